package gallery

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net"
)

var errHelloSeen = errors.New("gallery: the hello was seen")

// serverName reads the visitor's ClientHello and returns the name in it, and all that was read. The name is empty where
// there is none, or no ClientHello.
//
// crypto/tls parses it, in a handshake that can read but not write and ends there. The true one begins with the same
// bytes again.
func serverName(ctx context.Context, conn net.Conn) (name string, seen []byte) {
	var read bytes.Buffer
	_ = tls.Server(&deaf{conn, io.TeeReader(conn, &read)}, &tls.Config{
		GetConfigForClient: func(hello *tls.ClientHelloInfo) (*tls.Config, error) {
			name = hello.ServerName
			return nil, errHelloSeen
		},
	}).HandshakeContext(ctx) // always errHelloSeen, or no hello
	return name, read.Bytes()
}

// deaf is a connection to which nothing is written.
type deaf struct {
	net.Conn
	reader io.Reader
}

func (d *deaf) Read(p []byte) (int, error) { return d.reader.Read(p) }

func (d *deaf) Write([]byte) (int, error) { return 0, io.ErrClosedPipe }

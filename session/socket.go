package session

import (
	"crypto/x509"
	"time"

	"securesocket/tlsengine"
)

// socket is what the bytes of a connection move over: TLS, or TCP as it is. The
// methods are those of tlsengine's Conn.
type socket interface {
	AwaitRead() error
	TryRead(p []byte) (int, error) // io.EOF: close_notify, or FIN in plain mode
	Write(p []byte) (int, error)
	CloseWrite() error
	CloseWriteRaw() error
	SetReadDeadline(t time.Time) error
	Close() error
	Abort() error
}

var (
	_ socket = (*tlsengine.Conn)(nil)
	_ socket = (*tlsengine.Plain)(nil)
)

// leafOf is the peer's own certificate; nil: it showed none.
func leafOf(r *tlsengine.Report) *x509.Certificate {
	if len(r.PeerChain) == 0 {
		return nil
	}
	return r.PeerChain[0]
}

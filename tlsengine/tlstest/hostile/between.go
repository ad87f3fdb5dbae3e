package hostile

import (
	"context"
	"io"
	"net"
	"sync"
)

// Change is what somebody on the way makes of a record, header and all: what it returns is sent on. nth counts the records
// of that direction of a connection from 0. The two directions of a connection, and connections, run beside each other.
type Change func(fromServer bool, nth int, record []byte) []byte

// Between is a handler for tlstest.ServeRaw: somebody on the way between its clients and the server at address. It ends when
// both directions have, or ctx does.
func Between(ctx context.Context, address string, change Change) func(net.Conn) {
	return func(client net.Conn) {
		server, err := new(net.Dialer).DialContext(ctx, "tcp", address)
		if err != nil {
			return
		}
		stop := context.AfterFunc(ctx, func() { _ = client.Close(); _ = server.Close() })
		defer stop()
		var wg sync.WaitGroup
		wg.Go(func() {
			pass(server, client, func(nth int, record []byte) []byte { return change(false, nth, record) })
		})
		wg.Go(func() { pass(client, server, func(nth int, record []byte) []byte { return change(true, nth, record) }) })
		wg.Wait()
		_ = server.Close()
	}
}

// pass sends on what comes, and its end.
func pass(to, from net.Conn, change func(int, []byte) []byte) {
	header := make([]byte, headerLen)
	for nth := 0; ; nth++ {
		if _, err := io.ReadFull(from, header); err != nil {
			break
		}
		record := make([]byte, headerLen+int(header[3])<<8+int(header[4]))
		copy(record, header)
		if _, err := io.ReadFull(from, record[headerLen:]); err != nil {
			break
		}
		if _, err := to.Write(change(nth, record)); err != nil {
			break
		}
	}
	if tcp, ok := to.(*net.TCPConn); ok {
		_ = tcp.CloseWrite()
	}
	drain(from)
}

// ChangedHellos changes the first hello of each side; nil: it passes as it is.
func ChangedHellos(client, server func(*Hello)) Change {
	return func(fromServer bool, nth int, record []byte) []byte {
		change := client
		if fromServer {
			change = server
		}
		if nth != 0 || change == nil || record[0] != Handshake {
			return record
		}
		h, rest, err := ParseHello(record[headerLen:])
		if err != nil {
			return record
		}
		change(h)
		content := append(h.Bytes(), rest...)
		return append([]byte{Handshake, record[1], record[2], byte(len(content) >> 8), byte(len(content))}, content...)
	}
}

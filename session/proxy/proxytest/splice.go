package proxytest

import (
	"io"
	"net"
	"sync"
)

// splice forwards both directions until both have ended. An end of one is handed
// on as FIN, a reset as a reset. early reads the client's bytes: some may have
// been read with the request.
func splice(early io.Reader, client, peer *net.TCPConn) {
	var wg sync.WaitGroup
	forward := func(to, from *net.TCPConn, read io.Reader) {
		if _, err := io.Copy(to, read); err != nil {
			for _, conn := range []*net.TCPConn{to, from} {
				_ = conn.SetLinger(0)
				_ = conn.Close()
			}
			return
		}
		_ = to.CloseWrite()
	}
	wg.Go(func() { forward(peer, client, early) })
	wg.Go(func() { forward(client, peer, peer) })
	wg.Wait()
}

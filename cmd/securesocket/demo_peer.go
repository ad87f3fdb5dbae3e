package main

import (
	"crypto/tls"
	"io"
	"net"
	"sync"
	"time"
)

// demoPeerTimeout bounds each connection of a demo's peer: no demo waits longer for one.
const demoPeerTimeout = 10 * time.Second

// demoPeer is a TLS server on 127.0.0.1 that sends back what it gets.
type demoPeer struct {
	listener net.Listener
	running  sync.WaitGroup
}

func startDemoPeer(certificate tls.Certificate) (*demoPeer, error) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	p := &demoPeer{listener: listener}
	p.running.Go(func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return // close
			}
			p.running.Go(func() { serveEcho(conn, certificate) })
		}
	})
	return p, nil
}

func serveEcho(raw net.Conn, certificate tls.Certificate) {
	_ = raw.SetDeadline(time.Now().Add(demoPeerTimeout))
	conn := tls.Server(raw, &tls.Config{Certificates: []tls.Certificate{certificate}, MinVersion: tls.VersionTLS12})
	_, _ = io.Copy(conn, conn) // until the client's close_notify, or the alert with which it refuses the certificate
	_ = conn.Close()           // with close_notify
}

// port is where it listens.
func (p *demoPeer) port() int32 { return int32(p.listener.Addr().(*net.TCPAddr).Port) } //nolint:gosec // a port

// close ends it and waits for its connections.
func (p *demoPeer) close() {
	_ = p.listener.Close()
	p.running.Wait()
}

package client_test

import (
	"context"
	"crypto/tls"
	"io"
	"testing"

	"github.com/stretchr/testify/require"

	"securesocket/client"
	"securesocket/tlsengine/tlstest"
)

// benchConn is a connection over the real service in this process to a peer on loopback.
func benchConn(b *testing.B, handle func(*tls.Conn)) *client.Conn {
	b.Helper()
	ca := tlstest.NewCA(b)
	conn, err := dialer(b, ca).Dial(context.Background(), "tcp", tlstest.Serve(b, serverConfig(ca), handle))
	require.NoError(b, err)
	b.Cleanup(conn.Abort)
	return conn
}

func BenchmarkDownload(b *testing.B) {
	conn := benchConn(b, func(conn *tls.Conn) {
		for chunk := make([]byte, 256<<10); ; {
			if _, err := conn.Write(chunk); err != nil {
				return
			}
		}
	})
	p := make([]byte, 64<<10)
	b.SetBytes(int64(len(p)))
	b.ReportAllocs()
	for b.Loop() {
		if _, err := io.ReadFull(conn, p); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkUpload(b *testing.B) {
	conn := benchConn(b, func(conn *tls.Conn) { _, _ = io.Copy(io.Discard, conn) })
	p := make([]byte, 64<<10)
	b.SetBytes(int64(len(p)))
	b.ReportAllocs()
	for b.Loop() {
		if _, err := conn.Write(p); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkEcho64(b *testing.B) {
	conn := benchConn(b, tlstest.Echo)
	p := make([]byte, 64)
	b.ReportAllocs()
	for b.Loop() {
		if _, err := conn.Write(p); err != nil {
			b.Fatal(err)
		}
		if _, err := io.ReadFull(conn, p); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkDialClose(b *testing.B) {
	ca := tlstest.NewCA(b)
	d := dialer(b, ca)
	address := tlstest.Serve(b, serverConfig(ca), tlstest.Echo)
	b.ReportAllocs()
	for b.Loop() {
		conn, err := d.Dial(context.Background(), "tcp", address)
		if err != nil {
			b.Fatal(err)
		}
		if err := conn.Close(); err != nil {
			b.Fatal(err)
		}
	}
}

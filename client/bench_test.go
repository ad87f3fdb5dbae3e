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

// benchConns runs f over connections over the real service in this process to a peer on loopback.
func benchConns(b *testing.B, handle func(*tls.Conn), f func(*testing.B, *client.Conn)) {
	for name, resumable := range map[string]bool{"plain": false, "resumable": true} {
		b.Run(name, func(b *testing.B) {
			ca := tlstest.NewCA(b)
			d := dialer(b, ca)
			d.Resumable = resumable
			conn, err := d.Dial(context.Background(), "tcp", tlstest.Serve(b, serverConfig(ca), handle))
			require.NoError(b, err)
			b.Cleanup(conn.Abort)
			b.ReportAllocs()
			f(b, conn)
		})
	}
}

func BenchmarkDownload(b *testing.B) {
	benchConns(b, func(conn *tls.Conn) {
		for chunk := make([]byte, 256<<10); ; {
			if _, err := conn.Write(chunk); err != nil {
				return
			}
		}
	}, func(b *testing.B, conn *client.Conn) {
		p := make([]byte, 64<<10)
		b.SetBytes(int64(len(p)))
		for b.Loop() {
			if _, err := io.ReadFull(conn, p); err != nil {
				b.Fatal(err)
			}
		}
	})
}

func BenchmarkUpload(b *testing.B) {
	benchConns(b, func(conn *tls.Conn) { _, _ = io.Copy(io.Discard, conn) }, func(b *testing.B, conn *client.Conn) {
		p := make([]byte, 64<<10)
		b.SetBytes(int64(len(p)))
		for b.Loop() {
			if _, err := conn.Write(p); err != nil {
				b.Fatal(err)
			}
		}
	})
}

func BenchmarkEcho64(b *testing.B) {
	benchConns(b, tlstest.Echo, func(b *testing.B, conn *client.Conn) {
		p := make([]byte, 64)
		for b.Loop() {
			if _, err := conn.Write(p); err != nil {
				b.Fatal(err)
			}
			if _, err := io.ReadFull(conn, p); err != nil {
				b.Fatal(err)
			}
		}
	})
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

package main

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/require"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"

	pb "securesocket/gen/securesocket/v1"
	"securesocket/server/servertest/h2attack"
	"securesocket/tlsengine/tlstest"
)

// fronted is a daemon at a grpcs:// address, with a caller whom it knows by a certificate.
type fronted struct {
	*daemon
	addr    string
	clients *tlstest.CA
	caller  *tls.Config
}

func startFronted(tb testing.TB, args ...string) fronted {
	tb.Helper()
	dir, servers, clients := tb.TempDir(), tlstest.NewCA(tb), tlstest.NewCA(tb)
	cert, key := servers.Leaf(tlstest.Names("127.0.0.1", "localhost")).WriteFiles(dir)
	anchors := filepath.Join(dir, "clients.pem")
	require.NoError(tb, os.WriteFile(anchors, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: clients.DER()}), 0o600))
	d := start(tb, 1, nil, append([]string{
		"--listen", "grpcs://127.0.0.1:0", "--tls-cert", cert, "--tls-key", key, "--tls-client-ca", anchors, "--callers-allow", "dns:*",
	}, args...)...)
	caller := clients.Leaf(tlstest.Names("caller.test"), tlstest.ExtKeyUsage(x509.ExtKeyUsageClientAuth))
	return fronted{d, strings.TrimPrefix(d.ready[0], "grpcs://"), clients, &tls.Config{
		RootCAs: servers.Pool(), ServerName: "localhost", Certificates: []tls.Certificate{caller.Certificate()}, NextProtos: []string{"h2"},
	}}
}

// client is the caller's, over a connection of its own.
func (g fronted) client(tb testing.TB) pb.SecureSocketServiceClient {
	tb.Helper()
	cc, err := grpc.NewClient(g.addr, grpc.WithTransportCredentials(credentials.NewTLS(g.caller)))
	require.NoError(tb, err)
	tb.Cleanup(func() { _ = cc.Close() })
	return pb.NewSecureSocketServiceClient(cc)
}

// dial makes a connection of the caller's on which HTTP/2 was agreed.
func (g fronted) dial() (net.Conn, error) { return tls.Dial("tcp", g.addr, g.caller) }

// known is how a caller of some name shows himself.
func (g fronted) known(name string) *tls.Config {
	caller := g.caller.Clone()
	caller.Certificates = []tls.Certificate{g.clients.Leaf(tlstest.Names(name), tlstest.ExtKeyUsage(x509.ExtKeyUsageClientAuth)).Certificate()}
	return caller
}

// connectAs is a connection of that caller's.
func (g fronted) connectAs(tb testing.TB, name string) *grpc.ClientConn {
	tb.Helper()
	cc, err := grpc.NewClient(g.addr, grpc.WithTransportCredentials(credentials.NewTLS(g.known(name))))
	require.NoError(tb, err)
	tb.Cleanup(func() { _ = cc.Close() })
	return cc
}

// another returns what makes connections on which HTTP/2 was agreed, all of one caller
// and from one address: another caller and another address each time.
func (g fronted) another() h2attack.Dialer {
	n := others.Add(1)
	caller := g.known("eve" + strconv.Itoa(int(n)) + ".test")
	from := &net.TCPAddr{IP: net.IPv4(127, 3, byte(n>>8), byte(n))}
	d := &tls.Dialer{NetDialer: &net.Dialer{LocalAddr: from}, Config: caller}
	return func() (net.Conn, error) { return d.DialContext(context.Background(), "tcp", g.addr) }
}

var others atomic.Int32

// resident is how much memory the process has.
func (d *daemon) resident(tb testing.TB) int {
	tb.Helper()
	text, err := os.ReadFile("/proc/" + itoa(d.cmd.Process.Pid) + "/statm")
	if err != nil {
		tb.Skip("no /proc: ", err)
	}
	pages, err := strconv.Atoi(strings.Fields(string(text))[1])
	require.NoError(tb, err)
	return pages * os.Getpagesize()
}

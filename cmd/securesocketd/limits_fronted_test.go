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
	"securesocket/tlsengine/tlstest"
)

// fronted is a daemon at a grpcs:// address, with a caller whom it knows by a certificate.
type fronted struct {
	*daemon
	addr   string
	caller *tls.Config
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
	return fronted{d, strings.TrimPrefix(d.ready[0], "grpcs://"), &tls.Config{
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

// raw is a connection of the caller's on which HTTP/2 was agreed, from a new address
// each time: whoever floods from one has used up its places for a while.
func (g fronted) raw() (net.Conn, error) {
	n := rawAddresses.Add(1)
	from := &net.TCPAddr{IP: net.IPv4(127, 3, byte(n>>8), byte(n))}
	return (&tls.Dialer{NetDialer: &net.Dialer{LocalAddr: from}, Config: g.caller}).DialContext(context.Background(), "tcp", g.addr)
}

var rawAddresses atomic.Int32

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

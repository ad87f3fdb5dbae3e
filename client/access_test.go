package client_test

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"
	"google.golang.org/grpc/codes"

	"securesocket/client"
	pb "securesocket/gen/securesocket/v1"
	"securesocket/tlsengine/tlstest"
)

func putFile(t *testing.T, content []byte) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "file")
	require.NoError(t, os.WriteFile(path, content, 0o600))
	return path
}

func clientLeaf(ca *tlstest.CA, name string, options ...tlstest.Option) *tlstest.Identity {
	return ca.Leaf(append(options, tlstest.CommonName(name), tlstest.ExtKeyUsage(x509.ExtKeyUsageClientAuth))...)
}

// TestTLSWithTheService: unary calls and streams go over TLS 1.3 or 1.2, and not over anything older.
func TestTLSWithTheService(t *testing.T) {
	t.Parallel()
	ca, clients := tlstest.NewCA(t), tlstest.NewCA(t)
	cafile := putFile(t, ca.PEM())
	cert, key := clientLeaf(clients, "somebody").WriteFiles(t.TempDir())
	for _, version := range []uint16{tls.VersionTLS12, tls.VersionTLS13} {
		config := guardedTLS(ca, clients)
		config.MinVersion, config.MaxVersion = version, version
		service := startGuarded(t, config)
		for _, host := range []string{"localhost", "127.0.0.1"} {
			c, err := client.Dial("grpcs://"+host+":"+service.port, client.WithCAFile(cafile), client.WithCertificateFiles(cert, key))
			require.NoError(t, err)
			conn, err := c.DialContext(t.Context(), "tcp", "example.com:443")
			require.NoError(t, err)
			require.NoError(t, conn.Close())
			require.NoError(t, c.Close())
			calls := service.taken()
			require.Len(t, calls, 2)
			require.Equal(t, []string{"somebody", "somebody"}, []string{calls[0].certificate, calls[1].certificate})
		}
	}

	config := guardedTLS(ca, nil)
	config.MinVersion, config.MaxVersion = tls.VersionTLS10, tls.VersionTLS11
	service := startGuarded(t, config)
	roots := ca.Pool()
	err := askService(t, "grpcs://localhost:"+service.port, client.WithTLS(&tls.Config{MinVersion: tls.VersionTLS10, RootCAs: roots})) //nolint:gosec // what is to be refused
	requireWay(t, err, "refused")
	require.Empty(t, service.taken())
}

// TestTLSSettingsAreCloned: and what they say holds.
func TestTLSSettingsAreCloned(t *testing.T) {
	t.Parallel()
	ca := tlstest.NewCA(t)
	service := startGuarded(t, guardedTLS(ca, nil, tlstest.Names("service.example")))
	settings := &tls.Config{RootCAs: ca.Pool(), ServerName: "service.example", NextProtos: []string{"http/1.1"}}
	c, err := client.Dial("grpcs://127.0.0.1:"+service.port, client.WithTLS(settings), client.WithTLS(nil))
	require.NoError(t, err)
	settings.RootCAs, settings.ServerName = x509.NewCertPool(), "other.example"
	_, err = c.Capabilities(t.Context())
	require.NoError(t, err)
	require.NoError(t, c.Close())
}

func TestServiceCertificateRefused(t *testing.T) {
	t.Parallel()
	ca := tlstest.NewCA(t)
	cafile := putFile(t, ca.PEM())
	for way, config := range map[string]*tls.Config{
		"untrusted":   guardedTLS(tlstest.NewCA(t), nil),
		"expired":     guardedTLS(ca, nil, tlstest.Expired()),
		"name":        guardedTLS(ca, nil, tlstest.Names("other.example")),
		"certificate": guardedTLS(ca, nil, tlstest.ExtKeyUsage(x509.ExtKeyUsageClientAuth)),
	} {
		t.Run(way, func(t *testing.T) {
			t.Parallel()
			service := startGuarded(t, config)
			c, err := client.Dial("grpcs://localhost:"+service.port, client.WithCAFile(cafile))
			require.NoError(t, err)
			defer c.Close()
			_, err = c.Capabilities(t.Context())
			e := requireWay(t, err, way)
			require.Equal(t, codes.Unavailable, e.Code)
			require.Equal(t, pb.ErrorReason_ERROR_REASON_UNSPECIFIED, e.Reason)
			var cause *tls.CertificateVerificationError
			require.ErrorAs(t, err, &cause)

			_, err = c.DialContext(t.Context(), "tcp", "example.com:443")
			requireWay(t, err, way)
			require.Empty(t, service.taken())
		})
	}
}

// TestErrorsOfTheWayAreNotShared: gRPC has one error for all calls that meet it.
func TestErrorsOfTheWayAreNotShared(t *testing.T) {
	t.Parallel()
	service := startGuarded(t, guardedTLS(tlstest.NewCA(t), nil))
	c, err := client.Dial("grpcs://localhost:" + service.port)
	require.NoError(t, err)
	defer c.Close()
	var all sync.WaitGroup
	for range 8 {
		all.Go(func() {
			_, err := c.Capabilities(t.Context())
			if e, ok := errors.AsType[*client.Error](err); ok {
				e.Phase, e.Message = pb.Phase_PHASE_DNS, "changed"
			}
		})
	}
	all.Wait()
	_, err = c.Capabilities(t.Context())
	require.Equal(t, pb.Phase_PHASE_UNSPECIFIED, requireWay(t, err, "untrusted").Phase)
}

// TestClientCertificateWanted: in TLS 1.3 the refusal comes after this side's handshake.
func TestClientCertificateWanted(t *testing.T) {
	t.Parallel()
	ca, clients := tlstest.NewCA(t), tlstest.NewCA(t)
	cafile := client.WithCAFile(putFile(t, ca.PEM()))
	show := func(id *tlstest.Identity) client.Option {
		return client.WithCertificateFiles(id.WriteFiles(t.TempDir()))
	}
	for _, version := range []uint16{tls.VersionTLS12, tls.VersionTLS13} {
		config := guardedTLS(ca, clients)
		config.MinVersion, config.MaxVersion = version, version
		service := startGuarded(t, config)
		for name, options := range map[string][]client.Option{
			"none":      {cafile},
			"foreign":   {cafile, show(clientLeaf(tlstest.NewCA(t), "foreign"))},
			"expired":   {cafile, show(clientLeaf(clients, "expired", tlstest.Expired()))},
			"no client": {cafile, show(clients.Leaf(tlstest.CommonName("server")))},
		} {
			e := requireWay(t, askService(t, "grpcs://localhost:"+service.port, options...), "identity")
			require.Equal(t, codes.Unauthenticated, e.Code, name)
			require.Equal(t, pb.ErrorReason_ERROR_REASON_UNAUTHENTICATED, e.Reason, name)
			require.Empty(t, service.taken())
		}
	}
}

func TestWrongSchemeForThePort(t *testing.T) {
	t.Parallel()
	ca := tlstest.NewCA(t)
	plain, secure := startGuarded(t, nil), startGuarded(t, guardedTLS(ca, nil))
	trust := client.WithCAFile(putFile(t, ca.PEM()))
	requireWay(t, askService(t, "grpcs://localhost:"+plain.port, trust), "not_tls")
	requireWay(t, askService(t, "grpc://localhost:"+secure.port), "wants_tls")

	for name, words := range map[string]string{"alert": "\x15\x03\x01\x00\x02\x02\x46", "HTTP": "HTTP/1.1 400 Bad Request\r\n\r\n"} {
		address := tlstest.ServeRaw(t, func(conn net.Conn) {
			_, _ = conn.Write([]byte(words))
			_, _ = conn.Read(make([]byte, 1024))
		})
		requireWay(t, askService(t, "grpc://"+address), "wants_tls")
		require.NotEmpty(t, name)
	}
	// TLS, but for something else.
	config := guardedTLS(ca, nil)
	config.NextProtos = nil
	address := tlstest.Serve(t, config, func(conn *tls.Conn) { _, _ = conn.Read(make([]byte, 1)) })
	requireWay(t, askService(t, "grpcs://"+address, trust), "not_http2")
	config.NextProtos = []string{"http/1.1"}
	address = tlstest.Serve(t, config, func(conn *tls.Conn) { _, _ = conn.Read(make([]byte, 1)) })
	requireWay(t, askService(t, "grpcs://"+address, trust), "refused")
	// Nobody at all is what it always was.
	err := askService(t, "grpcs://"+tlstest.Refusing(t), trust)
	var e *client.Error
	require.ErrorAs(t, err, &e)
	require.Equal(t, codes.Unavailable, e.Code)
	require.Empty(t, e.Metadata)
}

// TestFilesAreReadAgain: the next connection has the new ones; what is there by half changes nothing.
func TestFilesAreReadAgain(t *testing.T) {
	t.Parallel()
	ca, clients := tlstest.NewCA(t), tlstest.NewCA(t)
	service := startGuarded(t, guardedTLS(ca, clients))
	dir := t.TempDir()
	cert, key := clientLeaf(clients, "first").WriteFiles(dir)
	cafile := putFile(t, ca.PEM())
	c, err := client.Dial("grpcs://localhost:"+service.port, client.WithCAFile(cafile), client.WithCertificateFiles(cert, key))
	require.NoError(t, err)
	defer c.Close()
	connect := func() string { // by a connection of its own
		service.taken()
		conn, err := (&client.Dialer{Client: c, Dedicated: true}).Dial(t.Context(), "tcp", "example.com:443")
		require.NoError(t, err)
		require.NoError(t, conn.Close())
		return service.taken()[0].certificate
	}
	require.Equal(t, "first", connect())
	second := clientLeaf(clients, "second")
	require.NoError(t, os.WriteFile(cert, second.ChainPEM(), 0o600))
	require.Equal(t, "first", connect(), "its key is not there yet")
	require.NoError(t, os.WriteFile(key, second.KeyPEM(), 0o600))
	require.Equal(t, "second", connect())
	require.NoError(t, os.Remove(cert))
	require.NoError(t, os.Remove(cafile))
	require.Equal(t, "second", connect())

	require.NoError(t, os.WriteFile(cafile, tlstest.NewCA(t).PEM(), 0o600))
	_, err = (&client.Dialer{Client: c, Dedicated: true}).Dial(t.Context(), "tcp", "example.com:443")
	requireWay(t, err, "untrusted")
}

func TestCredentialsRefusedAtOnce(t *testing.T) {
	t.Parallel()
	ca := tlstest.NewCA(t)
	leaf := ca.Leaf()
	cert, key := leaf.WriteFiles(t.TempDir())
	otherKey := putFile(t, ca.Leaf().KeyPEM())
	nothing := filepath.Join(t.TempDir(), "nothing")
	token := putFile(t, []byte("t0ken\n"))
	for name, c := range map[string]struct {
		address string
		option  client.Option
		want    string
		file    string
	}{
		"no CA file":         {"grpcs://host:1", client.WithCAFile(nothing), "WithCAFile", nothing},
		"no CA in it":        {"grpcs://host:1", client.WithCAFile(key), "WithCAFile", key},
		"no certificate":     {"grpcs://host:1", client.WithCertificateFiles(nothing, key), "WithCertificateFiles", nothing},
		"no key":             {"grpcs://host:1", client.WithCertificateFiles(cert, nothing), "WithCertificateFiles", nothing},
		"no CA named":        {"grpcs://host:1", client.WithCAFile(""), "WithCAFile", "-"},
		"none named":         {"grpcs://host:1", client.WithCertificateFiles("", ""), "WithCertificateFiles", ""},
		"no token named":     {"grpcs://host:1", client.WithTokenFile(""), "WithTokenFile", "-"},
		"no key named":       {"grpcs://host:1", client.WithCertificateFiles(cert, ""), "WithCertificateFiles", ""},
		"another key":        {"grpcs://host:1", client.WithCertificateFiles(cert, otherKey), "WithCertificateFiles", cert},
		"TLS over a socket":  {"unix:///s", client.WithTLS(&tls.Config{}), "WithTLS", ""},
		"CA without TLS":     {"grpc://host:1", client.WithCAFile(putFile(t, ca.PEM())), "WithCAFile", ""},
		"cert without TLS":   {"grpc://host:1", client.WithCertificateFiles(cert, key), "WithCertificateFiles", ""},
		"token in clear":     {"grpc://host:1", client.WithTokenFile(token), "WithTokenFile", ""},
		"no token file":      {"grpcs://host:1", client.WithTokenFile(nothing), "WithTokenFile", nothing},
		"a key for a token":  {"grpcs://host:1", client.WithTokenFile(key), "WithTokenFile", key},
		"an empty token":     {"unix:///s", client.WithTokenFile(putFile(t, []byte(" \n"))), "WithTokenFile", "-"},
		"too long for HTTP2": {"unix:///s", client.WithTokenFile(putFile(t, make([]byte, 2<<20))), "WithTokenFile", "-"},
	} {
		_, err := client.Dial(c.address, c.option)
		var e *client.CredentialsError
		require.ErrorAs(t, err, &e, name)
		require.Equal(t, c.want, e.Option, name)
		if c.file != "-" {
			require.Equal(t, c.file, e.File, name)
		}
		if c.file == nothing {
			require.ErrorIs(t, err, fs.ErrNotExist, name)
		}
		require.NotContains(t, err.Error(), "t0ken")
	}
}

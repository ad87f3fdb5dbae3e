package main

import (
	"crypto/tls"
	"crypto/x509"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"securesocket/tlsengine/tlstest"
)

// writeClient makes a client certificate by ca.
func writeClient(t *testing.T, ca *tlstest.CA, name string, options ...tlstest.Option) (cert, key string) {
	t.Helper()
	return ca.Leaf(append(options, tlstest.CommonName(name), tlstest.ExtKeyUsage(x509.ExtKeyUsageClientAuth))...).WriteFiles(t.TempDir())
}

func serviceTLS(ca, clients *tlstest.CA, options ...tlstest.Option) *tls.Config {
	config := &tls.Config{Certificates: []tls.Certificate{ca.Leaf(options...).Certificate()}}
	if clients != nil {
		config.ClientAuth, config.ClientCAs = tls.RequireAndVerifyClientCert, clients.Pool()
	}
	return config
}

func TestCallerByToken(t *testing.T) {
	t.Parallel()
	ca := tlstest.NewCA(t)
	service := startGuarded(t, &guarded{token: "t0ken"}, serviceTLS(ca, nil))
	cafile, tokenFile := writeFile(t, ca.PEM()), writeFile(t, []byte("t0ken\n"))
	at := []string{"--server", "grpcs://" + service.address, "--cacert", cafile}
	capabilities := func(more ...string) result {
		return runWith(t.Context(), nil, append(append([]string{"capabilities"}, at...), more...)...)
	}
	r := capabilities("--token-file", tokenFile)
	require.Equal(t, exitDone, r.code, r.stderr)
	require.Regexp(t, `(?m)^principal +token:ada$`, r.stdout)
	require.Regexp(t, `(?m)^role +administrator$`, r.stdout)
	require.Regexp(t, `(?m)^  listeners of one caller +7$`, r.stdout)

	r = capabilities()
	require.Equal(t, exitPolicy, r.code)
	require.Contains(t, r.stderr, "(UNAUTHENTICATED)")
	require.Contains(t, r.stderr, "--token-file")
	stale := writeFile(t, []byte("stale"))
	r = capabilities("--token-file", stale)
	require.Equal(t, exitPolicy, r.code)
	require.Contains(t, r.stderr, stale)
	r = capabilities("--token-file", "/nonexistent")
	require.Equal(t, exitUsage, r.code)
	r = runWith(t.Context(), nil, "capabilities", "--server", "grpc://"+service.address, "--token-file", tokenFile)
	require.Equal(t, exitUsage, r.code)
	require.Contains(t, r.stderr, "grpcs://")
	require.NotContains(t, r.stderr, "t0ken")
}

func TestCallerByCertificate(t *testing.T) {
	t.Parallel()
	ca, clients := tlstest.NewCA(t), tlstest.NewCA(t)
	service := startGuarded(t, &guarded{}, serviceTLS(ca, clients))
	at := []string{"capabilities", "--server", "grpcs://" + service.address, "--cacert", writeFile(t, ca.PEM())}
	cert, key := writeClient(t, clients, "grace")
	r := runWith(t.Context(), nil, append(at, "--cert", cert, "--key", key)...)
	require.Equal(t, exitDone, r.code, r.stderr)
	require.Regexp(t, `(?m)^principal +x509:grace$`, r.stdout)
	require.Regexp(t, `(?m)^role +caller$`, r.stdout)

	r = runWith(t.Context(), nil, at...)
	require.Equal(t, exitPolicy, r.code)
	require.Contains(t, r.stderr, "--cert and --key")
	cert, key = writeClient(t, clients, "grace", tlstest.Expired())
	r = runWith(t.Context(), nil, append(at, "--cert", cert, "--key", key)...)
	require.Equal(t, exitPolicy, r.code, r.stderr)
	r = runWith(t.Context(), nil, append(at, "--cert", cert)...)
	require.Equal(t, exitUsage, r.code, r.stderr)
}

// In listen, --cert and --key are the listener's.
func TestCallerOfListen(t *testing.T) {
	t.Parallel()
	ca, clients := tlstest.NewCA(t), tlstest.NewCA(t)
	service := startGuarded(t, &guarded{}, serviceTLS(ca, clients))
	own, ownKey := ca.Leaf().WriteFiles(t.TempDir())
	cert, key := writeClient(t, clients, "grace")
	at := []string{"listen", "127.0.0.1:0", "--cert", own, "--key", ownKey, "--server", "grpcs://" + service.address, "--cacert", writeFile(t, ca.PEM())}
	r := runWith(t.Context(), strings.NewReader(""), at...)
	require.Equal(t, exitPolicy, r.code, r.stderr)
	require.Contains(t, r.stderr, "--api-cert and --api-key")
	r = runWith(t.Context(), strings.NewReader(""), append(at, "--api-cert", cert, "--api-key", key)...)
	require.Equal(t, exitOther, r.code, "it is let in, and this service cannot listen: "+r.stderr)
	require.NotContains(t, r.stderr, "UNAUTHENTICATED")
}

func TestServiceThatIsNotTheRightOne(t *testing.T) {
	t.Parallel()
	ca := tlstest.NewCA(t)
	cafile := writeFile(t, ca.PEM())
	good := startGuarded(t, &guarded{}, serviceTLS(ca, nil)).address
	expired := startGuarded(t, &guarded{}, serviceTLS(ca, nil, tlstest.Expired())).address
	plain := startGuarded(t, &guarded{}, nil).address
	for name, c := range map[string]struct {
		args []string
		want string // in the remedy
	}{
		"untrusted": {[]string{"--server", "grpcs://" + good}, "--cacert"},
		"expired":   {[]string{"--server", "grpcs://" + expired, "--cacert", cafile}, "renewed"},
		"not TLS":   {[]string{"--server", "grpcs://" + plain, "--cacert", cafile}, "grpc://"},
		"TLS":       {[]string{"--server", "grpc://" + good}, "grpcs://"},
	} {
		for _, command := range []string{"capabilities", "connect example.com:443"} {
			r := runWith(t.Context(), strings.NewReader(""), append(strings.Fields(command), c.args...)...)
			require.Equal(t, exitNetwork, r.code, name)
			lines := strings.Split(strings.TrimSuffix(r.stderr, "\n"), "\n")
			require.Len(t, lines, 3, r.stderr)
			require.Contains(t, lines[2], c.want, name)
		}
	}
}

// Not parallel: the environment is the process's.
func TestAccessVariables(t *testing.T) {
	ca, clients := tlstest.NewCA(t), tlstest.NewCA(t)
	cert, key := writeClient(t, clients, "grace")
	other, otherKey := writeClient(t, clients, "other")
	service := startGuarded(t, &guarded{}, serviceTLS(ca, clients))
	t.Setenv(addressVariable, "grpcs://"+service.address)
	t.Setenv(caCertVariable, writeFile(t, ca.PEM()))
	t.Setenv(certVariable, cert)
	t.Setenv(keyVariable, key)
	t.Setenv(tokenFileVariable, writeFile(t, []byte("t0ken")))
	r := runWith(t.Context(), nil, "capabilities")
	require.Equal(t, exitDone, r.code, r.stderr)
	require.Contains(t, r.stdout, "x509:grace")
	r = runWith(t.Context(), nil, "capabilities", "--cert", other, "--key", otherKey)
	require.Contains(t, r.stdout, "x509:other", "flags go over variables")
	r = runWith(t.Context(), nil, "capabilities", "--cert", other)
	require.Equal(t, exitUsage, r.code, "a pair comes from one place")

	// An embedded service needs none of them, and a Unix socket none that is about TLS.
	require.Equal(t, exitDone, runWith(t.Context(), nil, "capabilities", "--embedded").code)
	unix, _ := startService(t)
	tokenFile := os.Getenv(tokenFileVariable)
	t.Setenv(tokenFileVariable, "")
	r = runWith(t.Context(), nil, "capabilities", "--server", unix)
	require.Equal(t, exitDone, r.code, r.stderr)
	t.Setenv(tokenFileVariable, tokenFile)
	// Flags that would do nothing are mistakes.
	require.Equal(t, exitUsage, runWith(t.Context(), nil, "capabilities", "--server", unix, "--cert", cert, "--key", key).code)
	require.Equal(t, exitUsage, runWith(t.Context(), nil, "capabilities", "--embedded", "--token-file", cert).code)
	require.Equal(t, exitUsage, runWith(t.Context(), nil, "capabilities", "--server", "grpc://"+service.address).code)

	// A file that is gone is named.
	require.NoError(t, os.Remove(os.Getenv(tokenFileVariable)))
	r = runWith(t.Context(), nil, "capabilities")
	require.Equal(t, exitUsage, r.code)
	require.Contains(t, r.stderr, filepath.Base(os.Getenv(tokenFileVariable)))
}

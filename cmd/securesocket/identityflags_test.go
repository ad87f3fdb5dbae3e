package main

import (
	"crypto/tls"
	"encoding/pem"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	pb "securesocket/gen/securesocket/v1"
	"securesocket/tlsengine/tlstest"
)

// A peer that asks for a certificate gets that of --client-cert, by every command that connects.
func TestClientCertificate(t *testing.T) {
	t.Parallel()
	ca := tlstest.NewCA(t)
	seen := make(chan string, 10)
	config := &tls.Config{Certificates: []tls.Certificate{ca.Leaf().Certificate()}, ClientAuth: tls.RequireAnyClientCert}
	address := tlstest.Serve(t, config, func(conn *tls.Conn) {
		if conn.Handshake() == nil {
			seen <- conn.ConnectionState().PeerCertificates[0].Subject.CommonName
		}
		tlstest.Echo(conn)
	})
	cafile := writeFile(t, ca.PEM())
	cert, key := ca.Leaf(tlstest.CommonName("the client")).WriteFiles(t.TempDir())
	for _, command := range []string{"connect", "status", "diagnose"} {
		r := runLocal(t, command, address, "--cafile", cafile, "--client-cert", cert, "--client-key", key)
		require.Equal(t, exitDone, r.code, r.stderr)
		require.Equal(t, "the client", <-seen, command)
	}
}

func TestIdentityFlags(t *testing.T) {
	t.Parallel()
	ca := tlstest.NewCA(t)
	leaf := ca.Intermediate().Leaf()
	cert, key := leaf.WriteFiles(t.TempDir())
	f := identityFlags{certs: []string{cert}, keys: []string{key}, refs: []string{"a", "b"}}
	all, err := f.identities()
	require.NoError(t, err)
	require.Len(t, all, 3)
	require.Equal(t, leaf.Chain, all[0].GetKeyPair().GetCertificateChain())
	require.Equal(t, leaf.KeyPEM(), all[0].GetKeyPair().GetPrivateKey())
	require.Equal(t, "b", all[2].GetIdentityRef())

	// Several pairs, in their order.
	another, anotherKey := ca.Leaf().WriteFiles(t.TempDir())
	all, err = (&identityFlags{certs: []string{cert, another}, keys: []string{key, anotherKey}}).identities()
	require.NoError(t, err)
	require.Len(t, all, 2)
	require.Equal(t, readFile(t, key), all[0].GetKeyPair().GetPrivateKey())
	require.Equal(t, readFile(t, anotherKey), all[1].GetKeyPair().GetPrivateKey())

	// One file may have both; an old header and a new type say that a passphrase is wanted, from a file.
	both := writeFile(t, slices.Concat(pemOf("CERTIFICATE", leaf.Chain...), leaf.KeyPEM()))
	old := writeFile(t, pem.EncodeToMemory(&pem.Block{Type: "RSA PRIVATE KEY", Bytes: []byte("sealed"),
		Headers: map[string]string{"Proc-Type": "4,ENCRYPTED", "DEK-Info": "AES-256-CBC,00"}}))
	sealed := writeFile(t, pemOf("ENCRYPTED PRIVATE KEY", []byte("sealed")))
	for _, key := range []string{both, old, sealed} {
		f := identityFlags{certs: []string{both}, keys: []string{key}, passphraseFile: writeFile(t, []byte("open sesame\r\n"))}
		all, err := f.identities()
		require.NoError(t, err)
		if key == both {
			require.Empty(t, all[0].GetKeyPair().GetPassphrase(), "it opens nothing here")
		} else {
			require.Equal(t, "open sesame", all[0].GetKeyPair().GetPassphrase())
		}
		require.Equal(t, key == both, strings.Contains(string(all[0].GetKeyPair().GetPrivateKey()), "BEGIN PRIVATE KEY"))
	}

	for name, f := range map[string]identityFlags{
		"no key":                  {certs: []string{cert}},
		"a key is missing":        {certs: []string{cert, cert}, keys: []string{key}},
		"no certificate":          {keys: []string{key}},
		"passphrase without key":  {passphraseFile: cert},
		"missing certificate":     {certs: []string{"/nonexistent"}, keys: []string{key}},
		"missing key":             {certs: []string{cert}, keys: []string{"/nonexistent"}},
		"missing passphrase":      {certs: []string{cert}, keys: []string{key}, passphraseFile: "/nonexistent"},
		"empty passphrase":        {certs: []string{cert}, keys: []string{key}, passphraseFile: writeFile(t, []byte("\n"))},
		"two lines":               {certs: []string{cert}, keys: []string{key}, passphraseFile: writeFile(t, []byte("one\ntwo\n"))},
		"no certificate in it":    {certs: []string{key}, keys: []string{key}},
		"no key in it":            {certs: []string{cert}, keys: []string{cert}},
		"broken certificate":      {certs: []string{writeFile(t, pemOf("CERTIFICATE", []byte("x")))}, keys: []string{key}},
		"encrypted, none given":   {certs: []string{cert}, keys: []string{sealed}},
		"encrypted the old way":   {certs: []string{cert}, keys: []string{old}},
		"certificate is too long": {certs: []string{"/dev/zero"}, keys: []string{key}},
	} {
		_, err := f.identities()
		require.Error(t, err, name)
		require.Equal(t, exitUsage, exitCode(err), name)
		require.NotContains(t, err.Error(), "sealed", name)
	}
}

// The service has the last word about a key, and nobody shows it.
func TestKeyThatDoesNotFit(t *testing.T) {
	t.Parallel()
	ca := tlstest.NewCA(t)
	cert, _ := ca.Leaf().WriteFiles(t.TempDir())
	key := ca.Leaf().KeyPEM()
	for _, command := range []string{"connect", "status -o json", "diagnose -o json"} {
		r := runLocal(t, command, "127.0.0.1:1", "--client-cert", cert, "--client-key", writeFile(t, key))
		require.Equal(t, exitUsage, r.code, r.stderr)
		require.Contains(t, r.stderr, "(INVALID_PRIVATE_KEY)")
		for line := range strings.Lines(string(key)) {
			require.NotContains(t, r.stdout+r.stderr, strings.TrimSpace(line))
		}
		r = runLocal(t, command, "127.0.0.1:1", "--identity", "nobody's")
		require.Contains(t, []int{exitUsage, exitPolicy}, r.code, r.stderr)
	}
}

// The flags of a connection arrive in the settings.
func TestTLSFlags(t *testing.T) {
	t.Parallel()
	p := startPeer(t, tlstest.Echo)
	_, _, failure := statusJSON(t, runLocal(t, "status -o json --group secp256r1 --revocation hard", p.address, "--cafile", p.cafile).stdout)
	require.Equal(t, pb.ErrorReason_ERROR_REASON_REVOCATION_UNAVAILABLE, failure.GetReason())
	session, _, failure := statusJSON(t, runLocal(t, "status -o json --group secp256r1 --revocation off --no-resumption", p.address, "--cafile", p.cafile).stdout)
	require.Nil(t, failure)
	require.Equal(t, "secp256r1", session.GetTls().GetGroup())
	require.Equal(t, pb.RevocationMode_REVOCATION_MODE_OFF, session.GetSettings().GetTls().GetRevocation())
	require.False(t, session.GetEffectiveSettings().GetTls().GetResumption())
	pin := strings.Repeat("00", 32)
	_, report, _ := statusJSON(t, runLocal(t, "status -o json --pin sha256/"+pin, p.address, "--cafile", p.cafile).stdout)
	require.Equal(t, pb.CertificateProblemCode_CERTIFICATE_PROBLEM_CODE_PIN_MISMATCH, report.GetProblems()[0].GetCode())
	for _, line := range []string{"--revocation maybe", "--pin beef", "--client-cert x"} {
		for _, command := range []string{"connect ", "status ", "diagnose "} {
			require.Equal(t, exitUsage, runLocal(t, command+line, p.address).code, line)
		}
	}
}

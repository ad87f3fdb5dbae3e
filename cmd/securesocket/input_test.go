package main

import (
	"bytes"
	"encoding/pem"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	pb "securesocket/gen/securesocket/v1"
	"securesocket/tlsengine/tlstest"
)

func TestParseTarget(t *testing.T) {
	t.Parallel()
	for s, want := range map[string]target{
		"example.com:443":       {"example.com", 443},
		"[::1]:443":             {"::1", 443},
		"192.0.2.1:65535":       {"192.0.2.1", 65535},
		":1":                    {"", 1}, // the service says what is wrong with it
		"b\u00fccher.example:1": {"b\u00fccher.example", 1},
	} {
		got, err := parseTarget(s)
		require.NoError(t, err, s)
		require.Equal(t, want, got, s)
	}
	for _, s := range []string{
		"", "example.com", "example.com:", "example.com:0", "example.com:65536", "example.com:-1", "example.com:+1",
		"example.com:443 ", "example.com:0x1", "example.com:https", "::1:443", "[::1]", "[example.com]:443", "https://example.com:443",
	} {
		_, err := parseTarget(s)
		_, ok := errors.AsType[*usageError](err)
		require.True(t, ok, s)
	}
}

func TestParseVersion(t *testing.T) {
	t.Parallel()
	for s, want := range map[string]pb.ProtocolVersion{
		"":        pb.ProtocolVersion_PROTOCOL_VERSION_UNSPECIFIED,
		"tls1.0":  pb.ProtocolVersion_PROTOCOL_VERSION_TLS1_0,
		"1.1":     pb.ProtocolVersion_PROTOCOL_VERSION_TLS1_1,
		"TLSv1.2": pb.ProtocolVersion_PROTOCOL_VERSION_TLS1_2,
		"TLS1.3":  pb.ProtocolVersion_PROTOCOL_VERSION_TLS1_3,
	} {
		got, err := parseVersion(s)
		require.NoError(t, err, s)
		require.Equal(t, want, got, s)
	}
	for _, s := range []string{"ssl3", "tls", "1.4", "tls1", "12"} {
		_, err := parseVersion(s)
		require.Error(t, err, s)
	}
}

func TestReadAnchors(t *testing.T) {
	t.Parallel()
	one, two := tlstest.NewCA(t), tlstest.NewCA(t)
	bundle := slices.Concat([]byte("# a comment\n"), one.PEM(), []byte("\nanother\n"), two.PEM())
	both := slices.Concat(two.DER(), one.DER())
	anchors, err := readAnchors("--cafile", []string{writeFile(t, bundle), writeFile(t, one.PEM()), writeFile(t, both)})
	require.NoError(t, err)
	require.Equal(t, [][]byte{one.DER(), two.DER(), one.DER(), two.DER(), one.DER()}, anchors)

	none, err := readAnchors("--cafile", nil)
	require.NoError(t, err)
	require.Empty(t, none)
}

// Each is a usage error that names the file and shows nothing of it.
func TestReadAnchorsRefuses(t *testing.T) {
	t.Parallel()
	ca := tlstest.NewCA(t)
	key := ca.Leaf().KeyPEM()
	block := func(kind string, content []byte) []byte {
		return pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: content})
	}
	files := map[string]string{
		"missing":     filepath.Join(t.TempDir(), "missing"),
		"a directory": t.TempDir(),
		"endless":     "/dev/zero",
	}
	for name, content := range map[string][]byte{
		"empty":           nil,
		"text":            []byte("no PEM at all"),
		"cut DER":         ca.DER()[:200],
		"DER and more":    slices.Concat(ca.DER(), []byte("secret")),
		"key":             key,
		"key behind":      slices.Concat(ca.PEM(), key),
		"old key":         block("RSA PRIVATE KEY", []byte("secret")),
		"cut key":         slices.Concat(ca.PEM(), key[:len(key)/2]),
		"no certificate":  block("CERTIFICATE", []byte("secret")),
		"two in one":      block("CERTIFICATE", slices.Concat(ca.DER(), ca.DER())),
		"another kind":    slices.Concat(ca.PEM(), block("X509 CRL", []byte("secret"))),
		"cut certificate": ca.PEM()[:200],
		"too many":        bytes.Repeat(ca.PEM(), maxAnchors+1),
	} {
		files[name] = writeFile(t, content)
	}
	for name, file := range files {
		if _, err := os.Stat("/dev/zero"); err != nil && name == "endless" {
			continue
		}
		_, err := readAnchors("--cafile", []string{file})
		_, ok := errors.AsType[*usageError](err)
		require.True(t, ok, "%s: %v", name, err)
		if name != "too many" {
			require.Contains(t, err.Error(), file, name)
		}
		for line := range strings.Lines(string(key)) {
			require.NotContains(t, err.Error(), strings.TrimSpace(line), name)
		}
		require.NotContains(t, err.Error(), "secret", name)
	}
}

// TestALPNIsNoList: a comma would be part of a protocol that nobody speaks.
func TestALPNIsNoList(t *testing.T) {
	t.Parallel()
	for _, line := range []string{"connect 127.0.0.1:1", "listen 127.0.0.1:0 --identity x"} {
		r := runLocal(t, line+" --alpn h2,http/1.1")
		require.Equal(t, exitUsage, r.code, r.stderr)
		require.Contains(t, r.stderr, "--alpn h2 --alpn http/1.1")
	}
}

package main

import (
	"bytes"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"encoding/hex"
	"encoding/pem"
	"math/big"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/encoding/protojson"

	pb "securesocket/gen/securesocket/v1"
	"securesocket/tlsengine/tlstest"
)

func pemOf(kind string, ders ...[]byte) []byte {
	var out bytes.Buffer
	for _, der := range ders {
		_ = pem.Encode(&out, &pem.Block{Type: kind, Bytes: der})
	}
	return out.Bytes()
}

// crlOf is a revocation list of ca with these serial numbers.
func crlOf(t *testing.T, ca *tlstest.CA, revoked ...*big.Int) []byte {
	t.Helper()
	list := &x509.RevocationList{Number: big.NewInt(1), ThisUpdate: time.Now().Add(-time.Hour), NextUpdate: time.Now().Add(time.Hour)}
	for _, serial := range revoked {
		list.RevokedCertificateEntries = append(list.RevokedCertificateEntries,
			x509.RevocationListEntry{SerialNumber: serial, RevocationTime: time.Now().Add(-2 * time.Hour)})
	}
	der, err := x509.CreateRevocationList(rand.Reader, list, ca.Certificate, ca.Key)
	require.NoError(t, err)
	return der
}

func TestValidate(t *testing.T) {
	t.Parallel()
	root := tlstest.NewCA(t)
	leaf := root.Intermediate().Leaf(tlstest.Names("www.example"))
	chain, cafile := writeFile(t, pemOf("CERTIFICATE", leaf.Chain...)), writeFile(t, root.PEM())
	r := runLocal(t, "validate --name www.example", chain, "--cafile", cafile)
	require.Equal(t, exitDone, r.code, r.stderr)
	require.Contains(t, strings.SplitN(r.stdout, "\n", 2)[0], " TRUSTED  "+chain+": ")
	for _, part := range []string{"CN=Test Root", "trust anchor, added by the caller", "intermediate 1, from the file", "leaf, from the file"} {
		require.Contains(t, r.stdout, part)
	}
	require.NotContains(t, r.stdout, "handshake")

	for _, c := range []struct {
		line   string
		status pb.CertificateStatus
	}{
		{"--name www.example --cafile " + cafile, pb.CertificateStatus_CERTIFICATE_STATUS_TRUSTED},
		{"--name www.example --no-system-roots --cafile " + cafile, pb.CertificateStatus_CERTIFICATE_STATUS_TRUSTED},
		{"--name www.example", pb.CertificateStatus_CERTIFICATE_STATUS_UNTRUSTED_SIGNERS},
		{"--name other.example --cafile " + cafile, pb.CertificateStatus_CERTIFICATE_STATUS_PRINCIPAL_MISMATCH},
		{"--name www.example --at 2999-01-01T00:00:00Z --cafile " + cafile, pb.CertificateStatus_CERTIFICATE_STATUS_INVALID_CHAIN},
		{"--client --cafile " + cafile, pb.CertificateStatus_CERTIFICATE_STATUS_INVALID},
	} {
		r := runLocal(t, "validate -o json "+c.line, chain)
		var answer pb.ValidateChainResponse
		require.NoError(t, protojson.Unmarshal([]byte(r.stdout), &answer), r.stdout+r.stderr)
		require.Equal(t, c.status, answer.GetReport().GetStatus(), c.line)
		want := exitCertificate
		if c.status == pb.CertificateStatus_CERTIFICATE_STATUS_TRUSTED {
			want = exitDone
		}
		require.Equal(t, want, r.code, c.line)
	}
}

// DER is taken too, several certificates one behind the other.
func TestValidateDER(t *testing.T) {
	t.Parallel()
	root := tlstest.NewCA(t)
	leaf := root.Intermediate().Leaf(tlstest.Names("www.example"))
	r := runLocal(t, "validate --name www.example --svg -", writeFile(t, slices.Concat(leaf.Chain...)), "--cafile", writeFile(t, root.PEM()))
	require.Equal(t, exitDone, r.code, r.stderr)
	requireSVG(t, r.stdout)
}

func TestValidateRevoked(t *testing.T) {
	t.Parallel()
	root := tlstest.NewCA(t)
	leaf := root.Leaf(tlstest.Names("www.example"))
	chain, cafile := writeFile(t, pemOf("CERTIFICATE", leaf.Chain...)), writeFile(t, root.PEM())
	lists := writeFile(t, pemOf("X509 CRL", crlOf(t, root, leaf.Leaf.SerialNumber)))
	r := runLocal(t, "validate --name www.example --revocation hard", chain, "--cafile", cafile, "--crl", lists)
	require.Equal(t, exitCertificate, r.code, r.stderr)
	require.Contains(t, r.stdout, "REVOKED")
	require.Contains(t, r.stderr, "(CERTIFICATE_REVOKED)")
	r = runLocal(t, "validate --name www.example --revocation hard", chain, "--cafile", cafile, "--crl", writeFile(t, crlOf(t, root)))
	require.Equal(t, exitDone, r.code, r.stderr)
	require.Contains(t, r.stdout, "not revoked")
	r = runLocal(t, "validate --name www.example --revocation hard", chain, "--cafile", cafile)
	require.Equal(t, exitCertificate, r.code, r.stderr)
	require.Contains(t, r.stderr, "(REVOCATION_UNAVAILABLE)")
}

// A pin is of the public key, in any of its usual forms.
func TestValidatePins(t *testing.T) {
	t.Parallel()
	root := tlstest.NewCA(t)
	leaf := root.Leaf(tlstest.Names("www.example"))
	chain, cafile := writeFile(t, pemOf("CERTIFICATE", leaf.Chain...)), writeFile(t, root.PEM())
	pin := sha256.Sum256(leaf.Leaf.RawSubjectPublicKeyInfo)
	for value, code := range map[string]int{
		hex.EncodeToString(pin[:]):                                exitDone,
		"sha256/" + hex.EncodeToString(make([]byte, sha256.Size)): exitCertificate,
	} {
		r := runLocal(t, "validate --name www.example", chain, "--cafile", cafile, "--pin", value)
		require.Equal(t, code, r.code, r.stderr)
	}
}

// Each is refused before anything is sent, by name of the file and with what to do.
func TestValidateRefusesNonsense(t *testing.T) {
	t.Parallel()
	ca := tlstest.NewCA(t)
	key := ca.Leaf().KeyPEM()
	chain := writeFile(t, ca.PEM())
	for name, c := range map[string]struct {
		content []byte
		flag    string // "": the chain itself
	}{
		"empty":           {nil, ""},
		"text":            {[]byte("no chain at all"), ""},
		"key":             {key, ""},
		"key behind":      {slices.Concat(ca.PEM(), key), ""},
		"key before":      {slices.Concat(key, ca.PEM()), ""},
		"cut key":         {slices.Concat(ca.PEM(), key[:len(key)/2]), ""},
		"cut certificate": {ca.PEM()[:200], ""},
		"DER and more":    {append(ca.DER(), 1, 2, 3), ""},
		"a list":          {pemOf("X509 CRL", crlOf(t, ca)), ""},
		"no CRL":          {[]byte("nothing"), "--crl"},
		"CRL of another":  {ca.PEM(), "--crl"},
		"CRL is DER":      {ca.DER(), "--crl"},
		"CRL is a key":    {key, "--crl"},
		"CRL and key":     {slices.Concat(pemOf("X509 CRL", crlOf(t, ca)), key), "--crl"},
		"no staple":       {[]byte("nothing"), "--staple"},
		"empty staple":    {nil, "--staple"},
		"two staples":     {pemOf("OCSP RESPONSE", []byte{0x30, 0}, []byte{0x30, 0}), "--staple"},
		"cafile is a key": {key, "--cafile"},
	} {
		file := writeFile(t, c.content)
		args := []string{"validate", "--name", "www.example"}
		if c.flag == "" {
			args = append(args, file)
		} else {
			args = append(args, chain, c.flag, file)
		}
		r := runWith(t.Context(), strings.NewReader(""), append(args, "--embedded")...)
		require.Equal(t, exitUsage, r.code, "%s: %s", name, r.stderr)
		require.Contains(t, r.stderr, file, name)
		require.Empty(t, r.stdout, name)
		for line := range strings.Lines(string(key)) {
			require.NotContains(t, r.stderr, strings.TrimSpace(line)+"\n", name)
		}
		if strings.Contains(name, "key b") || name == "key" || name == "cut key" {
			require.Contains(t, r.stderr, "private key", name)
		}
	}
	big := filepath.Join(t.TempDir(), "big")
	require.NoError(t, os.WriteFile(big, make([]byte, maxAnchorFile+1), 0o600))
	for _, args := range [][]string{
		{"validate"},
		{"validate", chain},
		{"validate", chain, chain, "--name", "a"},
		{"validate", "/nonexistent", "--name", "a"},
		{"validate", big, "--name", "a"},
		{"validate", chain, "--name", "a", "--at", "yesterday"},
		{"validate", chain, "--name", "a", "--revocation", "maybe"},
		{"validate", chain, "--name", "a", "--pin", "beef"},
		{"validate", chain, "--name", "a", "--no-system-roots"},
		{"validate", chain, "--name", "a", "--color", "red"},
		{"validate", chain, "--name", "a", "--svg", "-", "-o", "json"},
	} {
		r := runWith(t.Context(), strings.NewReader(""), append(args, "--embedded")...)
		require.Equal(t, exitUsage, r.code, "%v: %s", args, r.stderr)
		require.Equal(t, 2, strings.Count(r.stderr, "\n"), "%v: %s", args, r.stderr)
		require.Empty(t, r.stdout)
	}
}

func TestParsePins(t *testing.T) {
	t.Parallel()
	sum := sha256.Sum256([]byte("key"))
	digits := hex.EncodeToString(sum[:])
	const base = "LHDhK3oGRvkiehQnx7OOczTY5TicyT/gqn8M6GbnX8M=" // the same in base64
	colons := digits[:2]
	for i := 2; i < len(digits); i += 2 {
		colons += ":" + digits[i:i+2]
	}
	for _, value := range []string{digits, strings.ToUpper(digits), colons, "sha256/" + digits, "SHA256:" + colons} {
		pins, err := parsePins([]string{value})
		require.NoError(t, err, value)
		require.Equal(t, [][]byte{sum[:]}, pins, value)
	}
	want, err := parsePins([]string{base})
	require.NoError(t, err)
	for _, value := range []string{"sha256/" + base, "sha256//" + base, strings.TrimRight(base, "="), strings.ReplaceAll(base, "/", "_")} {
		pins, err := parsePins([]string{value})
		require.NoError(t, err, value)
		require.Equal(t, want, pins, value)
	}
	for _, value := range []string{"", "sha256/", digits[1:], digits + "00", "sha1/" + digits, "LHDh", base + "AA"} {
		_, err := parsePins([]string{value})
		require.Error(t, err, value)
	}
	none, err := parsePins(nil)
	require.NoError(t, err)
	require.Empty(t, none)
}

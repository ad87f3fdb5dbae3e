package identity_test

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"iter"
	"log/slog"
	"math/big"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"securesocket/tlsengine/identity"

	"github.com/stretchr/testify/require"
	"github.com/youmark/pkcs8"
	"software.sslmate.com/src/go-pkcs12"
)

const canaryPassphrase = "CANARY-Tr0ub4dor-8c1f"

// canary is a key whose bytes are known again wherever they turn up.
type canary struct {
	key    crypto.Signer
	secret []byte
	chain  [][]byte
}

func newCanaries(t *testing.T) map[string]canary {
	t.Helper()
	seed := []byte("CANARY-0123456789-of-32-bytes-ab")
	ec, err := ecdsa.ParseRawPrivateKey(elliptic.P256(), seed)
	require.NoError(t, err)
	rsaKey, err := rsa.GenerateKey(rand.Reader, 2048)
	require.NoError(t, err)
	canaries := map[string]canary{
		"Ed25519": {key: ed25519.NewKeyFromSeed(seed), secret: seed},
		"P-256":   {key: ec, secret: seed},
		"RSA":     {key: rsaKey, secret: rsaKey.D.Bytes()},
	}
	for name, c := range canaries {
		template := &x509.Certificate{SerialNumber: big.NewInt(1)}
		der, err := x509.CreateCertificate(rand.Reader, template, template, c.key.Public(), c.key)
		require.NoError(t, err)
		c.chain = [][]byte{der}
		canaries[name] = c
	}
	return canaries
}

// tracesOf returns each run of eight bytes of the secrets that stands in text: as it is, in hexadecimal, in base64 at any
// offset, or as a list of numbers.
func tracesOf(text string, secrets ...[]byte) iter.Seq[string] {
	runs := map[string]bool{}
	for _, decoded := range decodings(text) {
		for n := range max(0, len(decoded)-8+1) {
			runs[decoded[n:n+8]] = true
		}
	}
	return func(yield func(string) bool) {
		for _, secret := range secrets {
			for n := range max(0, len(secret)-8+1) {
				if run := string(secret[n : n+8]); runs[run] && !yield(run) {
					return
				}
			}
		}
	}
}

var (
	hexRun     = regexp.MustCompile(`[0-9a-fA-F]{16,}`)
	base64Run  = regexp.MustCompile(`[A-Za-z0-9+/_-]{11,}`)
	numbersRun = regexp.MustCompile(`(?:(?:0x)?[0-9a-f]{1,3},? ?){8,}`)
	number     = regexp.MustCompile(`(?:0x)?[0-9a-f]{1,3}`)
)

// decodings are what the text may be read as.
func decodings(text string) []string {
	all := []string{text}
	for _, run := range hexRun.FindAllString(text, -1) {
		for _, from := range []string{run, run[1:]} {
			if b, err := hex.DecodeString(from[:len(from)&^1]); err == nil {
				all = append(all, string(b))
			}
		}
	}
	for _, run := range base64Run.FindAllString(text, -1) {
		run = strings.NewReplacer("-", "+", "_", "/").Replace(run)
		for n := range 4 {
			from := run[n:]
			if b, err := base64.StdEncoding.DecodeString(from[:len(from)&^3]); err == nil {
				all = append(all, string(b))
			}
		}
	}
	for _, run := range numbersRun.FindAllString(text, -1) {
		var b []byte
		for _, n := range number.FindAllString(run, -1) {
			if value, err := strconv.ParseUint(n, 0, 8); err == nil {
				b = append(b, byte(value))
			}
		}
		all = append(all, string(b))
	}
	return all
}

func requireNoTrace(t *testing.T, text string, secrets ...[]byte) {
	t.Helper()
	for run := range tracesOf(text, secrets...) {
		require.Fail(t, "a secret shows", "%q in %q", run, text)
	}
}

// printed is every way that a value is commonly shown.
func printed(t *testing.T, v any) string {
	t.Helper()
	var out bytes.Buffer
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%X", "%d"} {
		fmt.Fprintf(&out, verb+"\n", v)
	}
	text, err := json.Marshal(v)
	require.NoError(t, err)
	out.Write(text)
	slog.New(slog.NewTextHandler(&out, nil)).Info("shown", "value", v)
	slog.New(slog.NewJSONHandler(&out, nil)).Info("shown", "value", v)
	return out.String()
}

func TestNoFailureShowsAKey(t *testing.T) {
	t.Parallel()
	stranger := clientLeaf(t)
	for name, c := range newCanaries(t) {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			der := pkcs8DER(t, c.key)
			encrypted, err := pkcs8.MarshalPrivateKey(c.key, []byte(canaryPassphrase), &pkcs8.Opts{Cipher: pkcs8.AES256CBC,
				KDFOpts: pkcs8.PBKDF2Opts{SaltSize: 8, IterationCount: 1, HMACHash: crypto.SHA256}})
			require.NoError(t, err)
			leaf := parsed(t, c.chain)[0]
			file, err := pkcs12.Modern.Encode(c.key, leaf, nil, canaryPassphrase)
			require.NoError(t, err)
			misplaced, err := pkcs12.Modern.Encode(c.key, parsed(t, stranger.Chain)[0], nil, canaryPassphrase)
			require.NoError(t, err)
			pairs := map[string]identity.KeyPair{
				"key as certificate":          {Chain: [][]byte{der}, PrivateKey: der},
				"PEM key as certificate":      {Chain: [][]byte{pemBlock("PRIVATE KEY", der)}, PrivateKey: der},
				"bare secret as certificate":  {Chain: [][]byte{c.secret}, PrivateKey: der},
				"wrong leaf":                  {Chain: stranger.Chain, PrivateKey: der},
				"cut":                         {Chain: c.chain, PrivateKey: der[:len(der)-1]},
				"trailing data":               {Chain: c.chain, PrivateKey: append(der[:len(der):len(der)], c.secret...)},
				"bare secret":                 {Chain: c.chain, PrivateKey: c.secret},
				"secret as the PEM type":      {Chain: c.chain, PrivateKey: pemBlock(hex.EncodeToString(c.secret), der)},
				"secret as a PEM header":      {Chain: c.chain, PrivateKey: pemWithHeader("PRIVATE KEY", der, hex.EncodeToString(c.secret))},
				"secret after the block":      {Chain: c.chain, PrivateKey: append(pemBlock("PRIVATE KEY", der), c.secret...)},
				"twice":                       {Chain: c.chain, PrivateKey: append(pemBlock("PRIVATE KEY", der), pemBlock("PRIVATE KEY", der)...)},
				"encrypted, no passphrase":    {Chain: c.chain, PrivateKey: encrypted},
				"encrypted, wrong passphrase": {Chain: c.chain, PrivateKey: encrypted, Passphrase: canaryPassphrase + "x"},
				"encrypted, cut":              {Chain: c.chain, PrivateKey: encrypted[:len(encrypted)-1], Passphrase: canaryPassphrase},
				"encrypted, wrong leaf":       {Chain: stranger.Chain, PrivateKey: encrypted, Passphrase: canaryPassphrase},
				"long passphrase":             {Chain: c.chain, PrivateKey: der, Passphrase: strings.Repeat(canaryPassphrase, 100)},
				"PKCS12, wrong passphrase":    {PKCS12: file, Passphrase: canaryPassphrase + "x"},
				"PKCS12, wrong leaf":          {PKCS12: misplaced, Passphrase: canaryPassphrase},
				"PKCS12, not one":             {PKCS12: der, Passphrase: canaryPassphrase},
				"PKCS12, bad passphrase":      {PKCS12: file, Passphrase: canaryPassphrase + "\xff"},
				"PKCS12 and a key":            {PKCS12: file, PrivateKey: der, Passphrase: canaryPassphrase},
			}
			for n := 0; n < len(der); n += 1 + len(der)/100 { // whatever a library may say about damage
				damaged := bytes.Clone(der)
				damaged[n] ^= 0x80
				pairs[fmt.Sprint("damaged at ", n)] = identity.KeyPair{Chain: stranger.Chain, PrivateKey: damaged}
			}
			for name, kp := range pairs {
				_, err := identity.FromKeyPair(kp)
				require.Error(t, err, name)
				secrets := [][]byte{c.secret, der, []byte(canaryPassphrase), kp.PrivateKey, kp.PKCS12}
				requireNoTrace(t, printed(t, err), secrets[:3]...)
				if strings.HasPrefix(name, "damaged") {
					continue
				}
				for _, v := range []any{kp, &kp, []identity.KeyPair{kp}, struct{ Pair identity.KeyPair }{kp}} {
					requireNoTrace(t, printed(t, v), secrets...)
				}
			}
		})
	}
}

func TestAnIdentityShowsItsPublicHalfAlone(t *testing.T) {
	t.Parallel()
	for name, c := range newCanaries(t) {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var chain []byte
			for _, der := range c.chain {
				chain = append(chain, pemBlock("CERTIFICATE", der)...)
			}
			i, err := identity.FromPEM("billing", chain, pemBlock("PRIVATE KEY", pkcs8DER(t, c.key)), "")
			require.NoError(t, err)
			spki := i.SPKISHA256()
			for _, v := range []any{i, []*identity.Identity{i}, struct{ Own *identity.Identity }{i}, map[string]any{"own": i}} {
				text := printed(t, v)
				requireNoTrace(t, text, c.secret)
				require.Contains(t, text, hex.EncodeToString(spki[:]))
				require.Contains(t, text, "billing")
			}
			require.NotPanics(t, func() { _ = printed(t, new(identity.Identity)) })

			// Nor does what crypto/tls is given for a key that is elsewhere show anything but the public half.
			caller, err := identity.FromCaller(c.chain, nil)
			require.NoError(t, err)
			cert, err := identity.Select(t.Context(), []*identity.Identity{caller}, signWith(c.key, nil), &tls.CertificateRequestInfo{
				Version: tls.VersionTLS13, SignatureSchemes: []tls.SignatureScheme{tls.Ed25519, tls.ECDSAWithP256AndSHA256, tls.PSSWithSHA256},
			})
			require.NoError(t, err)
			require.NotNil(t, cert.PrivateKey)
			requireNoTrace(t, fmt.Sprintf("%v %+v %#v", cert.PrivateKey, cert.PrivateKey, cert.PrivateKey), c.secret)
		})
	}
}

// The test of the tests: without the methods, a key pair shows, and is seen to.
func TestTheCanaryIsSeen(t *testing.T) {
	t.Parallel()
	type bare identity.KeyPair
	c := newCanaries(t)["Ed25519"]
	kp := bare{PrivateKey: c.secret, Passphrase: canaryPassphrase}
	for _, secret := range [][]byte{c.secret, []byte(canaryPassphrase)} {
		for _, text := range []string{fmt.Sprintf("%s", kp), fmt.Sprintf("%x", kp), fmt.Sprintf("%X", kp), fmt.Sprintf("%#v", kp)} {
			require.True(t, shows(text, secret), text)
		}
	}
	text, err := json.Marshal(kp)
	require.NoError(t, err)
	require.True(t, shows(string(text), c.secret))
	require.True(t, shows(fmt.Sprintf("%d", kp.PrivateKey), c.secret))
	for n := range 3 { // however it falls on groups of three
		require.True(t, shows(base64.URLEncoding.EncodeToString(append(make([]byte, n), c.secret...)), c.secret))
	}
}

func shows(text string, secret []byte) bool {
	for range tracesOf(text, secret) {
		return true
	}
	return false
}

func pemWithHeader(blockType string, der []byte, header string) []byte {
	return pem.EncodeToMemory(&pem.Block{Type: blockType, Bytes: der, Headers: map[string]string{"DEK-Info": header}})
}

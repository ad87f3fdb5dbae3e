package server_test

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"encoding/pem"
	"log/slog"
	"math"
	"math/big"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/status"

	pb "securesocket/gen/securesocket/v1"
	"securesocket/server"
	"securesocket/server/servertest"
	"securesocket/session"
	"securesocket/tlsengine/tlstest"
)

// uploadsOf are the calls that take authorities, for a session or the caller's defaults.
func uploadsOf(t *testing.T, k trustClients, s idle) map[string]func([]byte) error {
	t.Helper()
	ctx := t.Context()
	host, port := "127.0.0.1", int32(1)
	extra := func(bundle []byte) []*pb.ExtraCertificate {
		return []*pb.ExtraCertificate{{Certificate: bundle, Trusted: true}}
	}
	return map[string]func([]byte) error{
		"AddCertificates": func(b []byte) error {
			_, err := k.t.AddCertificates(ctx, &pb.AddCertificatesRequest{Scope: ofSession, SessionId: s.id, Bundle: b, Trusted: true})
			return err
		},
		"AddCertificates, defaults": func(b []byte) error {
			_, err := k.t.AddCertificates(ctx, &pb.AddCertificatesRequest{Scope: ofDefaults, Bundle: b, Trusted: true})
			return err
		},
		"SetCertificates": func(b []byte) error {
			_, err := k.t.SetCertificates(ctx, &pb.SetCertificatesRequest{Scope: ofSession, SessionId: s.id, Bundle: b})
			return err
		},
		"AddCertificate": func(b []byte) error {
			_, err := k.c.AddCertificate(ctx, &pb.AddCertificateRequest{SessionId: s.id, Certificate: b, Trusted: true})
			return err
		},
		"open.certificates": func(b []byte) error {
			return start(ctx, t, k.c, openFrame(&pb.Open{Host: host, Port: port, Certificates: extra(b)})).end()
		},
	}
}

// Threat 29. A private key among the certificates, wherever it stands and however it is spelled, is refused, and nothing
// of it is in the refusal or in the log.
func TestThreat29KeysAmongAuthorities(t *testing.T) {
	t.Parallel()
	heard := &transcript{}
	log := slog.New(slog.NewTextHandler(heard, &slog.HandlerOptions{Level: slog.LevelDebug}))
	svc := servertest.Start(t, systemOf(), func(sc *session.Config, sv *server.Config) { sc.Logger, sv.Logger = log, log })
	cc, err := grpc.NewClient("passthrough:///service", grpc.WithContextDialer(svc.DialContext),
		grpc.WithTransportCredentials(insecure.NewCredentials()), grpc.WithUnaryInterceptor(heard.unary), grpc.WithStreamInterceptor(heard.stream))
	require.NoError(t, err)
	t.Cleanup(func() { _ = cc.Close() })
	k := trustClients{t, pb.NewSecureSocketServiceClient(cc), pb.NewTrustServiceClient(cc)}
	s := newIdle(t.Context(), t, k.c, nil)
	ca := tlstest.NewCA(t)
	id := clientLeaf(ca)
	der := pkcs8Of(t, id.Key)
	sec1, err := x509.MarshalECPrivateKey(id.Key.(*ecdsa.PrivateKey))
	require.NoError(t, err)
	key := pemOf("PRIVATE KEY", der)
	for name, bundle := range map[string][]byte{
		"alone":               key,
		"before":              slices.Concat(key, ca.PEM()),
		"behind":              slices.Concat(ca.PEM(), key),
		"between":             slices.Concat(ca.PEM(), key, ca.PEM()),
		"SEC 1":               slices.Concat(ca.PEM(), pemOf("EC PRIVATE KEY", sec1)),
		"encrypted":           slices.Concat(ca.PEM(), pemOf("ENCRYPTED PRIVATE KEY", encryptedPKCS8(t, id.Key, passphrase))),
		"of OpenSSH":          slices.Concat(ca.PEM(), pemOf("OPENSSH PRIVATE KEY", der)),
		"by no known name":    slices.Concat(ca.PEM(), pemOf("SECRET", der)),
		"as a certificate":    slices.Concat(ca.PEM(), pemOf("CERTIFICATE", der)),
		"without an end":      slices.Concat(ca.PEM(), key[:len(key)-30]),
		"in a header":         slices.Concat(ca.PEM(), pemWithHeader(ca.DER(), string(bytes.ReplaceAll(key[28:90], []byte("\n"), nil)))),
		"in a comment":        slices.Concat([]byte("# "), bytes.ReplaceAll(bytes.TrimSpace(key), []byte("\n"), []byte("\n# ")), []byte("\n"), ca.PEM()),
		"DER":                 der,
		"DER, behind":         slices.Concat(ca.DER(), der),
		"PKCS#12":             pkcs12Of(t, id, passphrase),
		"PKCS#12, behind":     slices.Concat(ca.DER(), pkcs12Of(t, id, "")),
		"a chain and a key":   slices.Concat(ca.PEM(), pemOf("CERTIFICATE", id.Chain[0]), key),
		"a mark, and the key": slices.Concat([]byte("\xef\xbb\xbf"), key),
	} {
		for call, upload := range uploadsOf(t, k, s) {
			err := upload(bundle)
			require.Equal(t, codes.InvalidArgument, status.Code(err), "%s: %s", name, call)
			require.Equal(t, "INVALID_CERTIFICATE", reasonOf(t, err), "%s: %s", name, call)
		}
	}
	require.Empty(t, k.listed(t.Context(), ofSession, s.id, 0), "all of it or nothing")
	require.Empty(t, k.listed(t.Context(), ofDefaults, "", 0))

	// What keeps wants to have heard: a connection, and the refusal of a key.
	good := having(keyPair(&pb.KeyPair{CertificateChain: id.Chain, PrivateKey: key}))
	stillWorks(t.Context(), t, k.c, newIdle(t.Context(), t, k.c, ca, good), serveChain(t, ca.Leaf()))
	_, err = k.c.CreateSession(t.Context(), &pb.CreateSessionRequest{Settings: having(keyPair(&pb.KeyPair{CertificateChain: id.Chain, PrivateKey: der[1:]}))})
	require.Equal(t, "INVALID_PRIVATE_KEY", reasonOf(t, err))
	getSession(t.Context(), t, k.c, newIdle(t.Context(), t, k.c, nil, good))
	heard.keeps(t, append(secretsOf(t, id.Key), []byte(passphrase))...)
}

// pemWithHeader is a certificate with a header, where RFC 7468 allows none.
func pemWithHeader(der []byte, value string) []byte {
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Headers: map[string]string{"Key": value}, Bytes: der})
}

// Threat 29. A hundred thousand certificates, at once and by and by: a level takes no more than its bounds say.
func TestThreat29ManyAuthorities(t *testing.T) {
	t.Parallel()
	k := newTrustClients(t, servertest.Start(t, systemOf()))
	s := newIdle(t.Context(), t, k.c, nil)
	const all, most, each = 100_000, 2000, 500
	one := tlstest.NewCA(t).DER()
	for call, upload := range uploadsOf(t, k, s) {
		require.Equal(t, codes.ResourceExhausted, status.Code(upload(bytes.Repeat(one, all))), "%s: longer than any message", call)
		require.Equal(t, codes.InvalidArgument, status.Code(upload(bytes.Repeat([]byte{0x30, 0x82, 0, 0}, all))), "%s: no certificate at all", call)
		require.Equal(t, codes.InvalidArgument, status.Code(upload(bytes.Repeat(one, most+1))), "%s: the same one again counts", call)
	}
	many := manyCertificates(t, most+each)
	took := 0
	for batch := range slices.Chunk(many, each) {
		_, err := k.t.AddCertificates(t.Context(), &pb.AddCertificatesRequest{Scope: ofDefaults, Bundle: bytes.Join(batch, nil), Trusted: true})
		if err != nil {
			require.Equal(t, "LIMIT", reasonOf(t, err))
			break
		}
		took += len(batch)
	}
	require.Equal(t, most, took)
	for range all / most { // what is there already changes nothing
		k.add(t.Context(), ofDefaults, "", true, many[:each]...)
	}
	_, err := k.t.AddCertificates(t.Context(), &pb.AddCertificatesRequest{Scope: ofDefaults, Bundle: many[most], Trusted: true})
	require.Equal(t, "LIMIT", reasonOf(t, err))
}

// Threat 29. Two authorities of one name are two; the same one twice is one; each trusts what it has issued.
func TestThreat29AuthoritiesOfOneName(t *testing.T) {
	t.Parallel()
	k := newTrustClients(t, servertest.Start(t, systemOf()))
	first, second, third := tlstest.NewCA(t), tlstest.NewCA(t), tlstest.NewCA(t)
	require.Equal(t, first.Certificate.RawSubject, second.Certificate.RawSubject)
	s := newIdle(t.Context(), t, k.c, nil)
	resp := k.add(t.Context(), ofSession, s.id, true, first.DER(), second.DER(), first.DER())
	require.EqualValues(t, 2, resp.GetCount())
	for ca, trusted := range map[*tlstest.CA]bool{first: true, second: true, third: false} {
		_, err := connect(t, k.c, s, serveChain(t, ca.Leaf()))
		if trusted {
			require.NoError(t, err)
		} else {
			require.Equal(t, "CERTIFICATE_UNTRUSTED_SIGNERS", reasonOf(t, err))
		}
	}
}

// Threat 29. A certificate that is no authority vouches for nobody else, though it was uploaded as one that is trusted.
func TestThreat29NoAuthority(t *testing.T) {
	t.Parallel()
	for name, opts := range map[string][]tlstest.Option{
		"cA is FALSE":          {tlstest.NotCA()},
		"no basic constraints": {tlstest.WithoutBasicConstraints()},
		"may not sign":         {tlstest.WithoutCertSign()},
		"a critical extension": {tlstest.CriticalExtension()},
		"not valid any more":   {tlstest.Expired()},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			k := newTrustClients(t, servertest.Start(t, systemOf()))
			none := tlstest.NewCA(t, opts...)
			s := newIdle(t.Context(), t, k.c, nil)
			for call, upload := range uploadsOf(t, k, s) {
				err := upload(none.DER())
				if call == "open.certificates" {
					continue // nobody is there
				}
				require.NoError(t, err, call)
			}
			_, err := connect(t, k.c, s, serveChain(t, none.Leaf()))
			require.Equal(t, "CERTIFICATE_INVALID_CHAIN", reasonOf(t, err))
		})
	}
}

func connect(t *testing.T, c pb.SecureSocketServiceClient, s idle, addr string) (*pb.ConnectResponse, error) {
	t.Helper()
	host, port := hostPort(t, addr)
	return c.Connect(t.Context(), &pb.ConnectRequest{SessionId: s.id, Host: host, Port: port})
}

// algorithm is an AlgorithmIdentifier.
func algorithm(t *testing.T, id asn1.ObjectIdentifier, parameters any) pkix.AlgorithmIdentifier {
	t.Helper()
	der, err := asn1.Marshal(parameters)
	require.NoError(t, err)
	return pkix.AlgorithmIdentifier{Algorithm: id, Parameters: asn1.RawValue{FullBytes: der}}
}

// costly is a key whose decryption is so many iterations of PBKDF2 (RFC 8018, appendix A).
func costly(t *testing.T, iterations int64) []byte {
	t.Helper()
	hmacSHA256 := pkix.AlgorithmIdentifier{Algorithm: asn1.ObjectIdentifier{1, 2, 840, 113549, 2, 9}, Parameters: asn1.NullRawValue}
	derivation := algorithm(t, asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 5, 12}, struct {
		Salt       []byte
		Iterations int64
		PRF        pkix.AlgorithmIdentifier
	}{[]byte("saltsalt"), iterations, hmacSHA256})
	der, err := asn1.Marshal(struct {
		By   pkix.AlgorithmIdentifier
		Data []byte
	}{algorithm(t, asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 5, 13}, []pkix.AlgorithmIdentifier{
		derivation, algorithm(t, asn1.ObjectIdentifier{2, 16, 840, 1, 101, 3, 4, 1, 42}, make([]byte, 16)),
	}), make([]byte, 48)})
	require.NoError(t, err)
	return der
}

// pkcs1 is an RSA key of these numbers, whatever they are.
func pkcs1(t *testing.T, numbers ...*big.Int) []byte {
	t.Helper()
	der, err := asn1.Marshal(append([]*big.Int{new(big.Int)}, numbers...))
	require.NoError(t, err)
	return der
}

// numbersOf are n, e, d, p, q, d mod p-1, d mod q-1 and q^-1 mod p.
func numbersOf(key *rsa.PrivateKey) []*big.Int {
	p, q := key.Primes[0], key.Primes[1]
	one := big.NewInt(1)
	return []*big.Int{
		key.N, big.NewInt(int64(key.E)), key.D, p, q,
		new(big.Int).Mod(key.D, new(big.Int).Sub(p, one)), new(big.Int).Mod(key.D, new(big.Int).Sub(q, one)), new(big.Int).ModInverse(q, p),
	}
}

// Threat 31. Keys that do not fit, are locked, cost too much or are no keys. What would be paid for by computing, such as
// numbers of 400,000 bits and more iterations than a century has time for, is refused before it is: else this would not end.
func TestThreat31HostileKeys(t *testing.T) {
	t.Parallel()
	c := servertest.Start(t).Client(t)
	ca := tlstest.NewCA(t)
	ec, strong, edwards := clientLeaf(ca), clientLeaf(ca, tlstest.RSA(2048)), clientLeaf(ca, tlstest.Ed25519())
	of := numbersOf(strong.Key.(*rsa.PrivateKey))
	with := func(n int, value *big.Int) []byte {
		numbers := slices.Clone(of)
		numbers[n] = value
		return pkcs1(t, numbers...)
	}
	bits := func(n int) *big.Int { return new(big.Int).SetBit(big.NewInt(1), n-1, 1) }
	long := make([]*big.Int, 8)
	for i := range long {
		long[i] = bits(16_384)
	}
	eOne := slices.Clone(of) // consistent: everything is its own signature
	eOne[1], eOne[2], eOne[5], eOne[6] = big.NewInt(1), big.NewInt(1), big.NewInt(1), big.NewInt(1)
	eOneChain := chainFor(t, ca, &rsa.PublicKey{N: of[0], E: 1})
	order := elliptic.P256().Params().N
	scalar := func(d *big.Int) []byte {
		return pemOf("EC PRIVATE KEY", sec1Of(t, d))
	}
	montgomery, err := asn1.Marshal(struct {
		Version int
		Kind    pkix.AlgorithmIdentifier
		Key     []byte
	}{0, pkix.AlgorithmIdentifier{Algorithm: asn1.ObjectIdentifier{1, 3, 101, 110}}, append([]byte{4, 32}, make([]byte, 32)...)})
	require.NoError(t, err)
	lowOrder := ed25519.PublicKey(append([]byte{1}, make([]byte, 31)...)) // the neutral element: of order one
	for name, bad := range map[string]struct {
		chain     [][]byte
		key       []byte
		field     string
		elsewhere bool // the chain is to blame
	}{
		"of another leaf":            {chain: ec.Chain, key: pkcs8Of(t, clientLeaf(ca).Key)},
		"of another kind":            {chain: ec.Chain, key: pkcs8Of(t, strong.Key)},
		"encrypted, no passphrase":   {chain: ec.Chain, key: encryptedPKCS8(t, ec.Key, passphrase), field: "passphrase"},
		"encrypted, endless":         {chain: ec.Chain, key: costly(t, math.MaxInt64)},
		"encrypted, a little more":   {chain: ec.Chain, key: costly(t, 2_000_001)},
		"RSA of 16,384 bits":         {chain: strong.Chain, key: pkcs1(t, long...)},
		"RSA of 400,000 bits":        {chain: strong.Chain, key: with(0, bits(400_000))},
		"RSA with a prime of them":   {chain: strong.Chain, key: with(3, bits(400_000))},
		"RSA with an exponent of it": {chain: strong.Chain, key: with(1, bits(400_000))},
		"RSA, e = 1":                 {chain: eOneChain, key: pkcs1(t, eOne...), elsewhere: true},
		"RSA, e = 1, of a good leaf": {chain: strong.Chain, key: pkcs1(t, eOne...)},
		"RSA, e = 0":                 {chain: strong.Chain, key: with(1, new(big.Int))},
		"RSA, e = 2":                 {chain: strong.Chain, key: with(1, big.NewInt(2))},
		"RSA, n = 0":                 {chain: strong.Chain, key: with(0, new(big.Int))},
		"RSA, n is not p times q":    {chain: strong.Chain, key: with(0, new(big.Int).Add(of[0], big.NewInt(2)))},
		"RSA, negative":              {chain: strong.Chain, key: with(2, big.NewInt(-3))},
		"RSA, a prime of one":        {chain: strong.Chain, key: with(4, big.NewInt(1))},
		"EC, the scalar zero":        {chain: ec.Chain, key: scalar(new(big.Int))},
		"EC, the group's order":      {chain: ec.Chain, key: scalar(order)},
		"EC, beyond it":              {chain: ec.Chain, key: scalar(new(big.Int).Add(order, big.NewInt(1)))},
		"Ed25519, a leaf of order 1": {chain: chainFor(t, ca, lowOrder), key: pkcs8Of(t, edwards.Key)},
		"X25519":                     {chain: edwards.Chain, key: montgomery},
		"Ed25519, half of it":        {chain: edwards.Chain, key: pkcs8Of(t, edwards.Key)[:32]},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newIdle(t.Context(), t, c, nil)
			for path, set := range settersOf(t, c, s) {
				err := set(having(keyPair(&pb.KeyPair{CertificateChain: bad.chain, PrivateKey: bad.key, Passphrase: passphraseFor(bad.field)})))
				require.Equal(t, codes.InvalidArgument, status.Code(err), path)
				reason, metadata := infoOf(t, err)
				if bad.elsewhere {
					require.Contains(t, []string{"INVALID_CERTIFICATE", "INVALID_PRIVATE_KEY"}, reason, path)
					continue
				}
				require.Equal(t, "INVALID_PRIVATE_KEY", reason, path)
				field := "private_key"
				if bad.field != "" {
					field = bad.field
				}
				require.Equal(t, fieldIn(path, "tls.identities[0].key_pair."+field), metadata["field"])
			}
			require.Empty(t, getSession(t.Context(), t, c, s).GetSettings().GetTls().GetIdentities())
		})
	}
}

// passphraseFor is none where it is missed.
func passphraseFor(field string) string {
	if field == "passphrase" {
		return ""
	}
	return passphrase
}

// chainFor is a leaf with a public key that nobody need have the private one of.
func chainFor(t *testing.T, ca *tlstest.CA, public any) [][]byte {
	t.Helper()
	template := clientLeaf(ca).Leaf
	der, err := x509.CreateCertificate(rand.Reader, template, ca.Certificate, public, ca.Key)
	require.NoError(t, err)
	return [][]byte{der}
}

// sec1Of is an EC key of P-256 with a scalar, without its public half (RFC 5915).
func sec1Of(t *testing.T, d *big.Int) []byte {
	t.Helper()
	der, err := asn1.Marshal(struct {
		Version int
		Scalar  []byte
		Curve   asn1.ObjectIdentifier `asn1:"explicit,tag:0"`
	}{1, d.FillBytes(make([]byte, 32)), asn1.ObjectIdentifier{1, 2, 840, 10045, 3, 1, 7}})
	require.NoError(t, err)
	return der
}

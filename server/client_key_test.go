package server_test

import (
	"crypto/tls"
	"testing"

	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/types/known/fieldmaskpb"

	pb "securesocket/gen/securesocket/v1"
	"securesocket/server/servertest"
	"securesocket/tlsengine/tlstest"
)

// badKeyPairs are key pairs that are refused when they are set, by field.
func badKeyPairs(tb testing.TB, id *tlstest.Identity) map[string]struct {
	pair   *pb.KeyPair
	reason pb.ErrorReason
	field  string
} {
	tb.Helper()
	ca := tlstest.NewCA(tb)
	other, weak := clientLeaf(ca), clientLeaf(ca, tlstest.RSA(1024))
	key, encrypted := pkcs8Of(tb, id.Key), encryptedPKCS8(tb, id.Key, passphrase)
	const (
		badKey   = pb.ErrorReason_ERROR_REASON_INVALID_PRIVATE_KEY
		badChain = pb.ErrorReason_ERROR_REASON_INVALID_CERTIFICATE
	)
	return map[string]struct {
		pair   *pb.KeyPair
		reason pb.ErrorReason
		field  string
	}{
		"nothing":                   {&pb.KeyPair{}, badChain, "certificate_chain"},
		"no key":                    {&pb.KeyPair{CertificateChain: id.Chain}, badKey, "private_key"},
		"no chain":                  {&pb.KeyPair{PrivateKey: key}, badChain, "certificate_chain"},
		"another's key":             {&pb.KeyPair{CertificateChain: other.Chain, PrivateKey: key}, badKey, "private_key"},
		"garbage":                   {&pb.KeyPair{CertificateChain: id.Chain, PrivateKey: []byte("garbage")}, badKey, "private_key"},
		"a damaged key":             {&pb.KeyPair{CertificateChain: id.Chain, PrivateKey: key[:len(key)-1]}, badKey, "private_key"},
		"garbage for a chain":       {&pb.KeyPair{CertificateChain: [][]byte{[]byte("garbage")}, PrivateKey: key}, badChain, "certificate_chain"},
		"the key for a certificate": {&pb.KeyPair{CertificateChain: [][]byte{key}, PrivateKey: key}, badChain, "certificate_chain"},
		"weak RSA":                  {&pb.KeyPair{CertificateChain: weak.Chain, PrivateKey: weak.KeyPEM()}, badKey, "private_key"},
		"no passphrase":             {&pb.KeyPair{CertificateChain: id.Chain, PrivateKey: encrypted}, badKey, "passphrase"},
		"wrong passphrase":          {&pb.KeyPair{CertificateChain: id.Chain, PrivateKey: encrypted, Passphrase: passphrase + "!"}, badKey, "passphrase"},
		"wrong one, PKCS#12":        {&pb.KeyPair{Pkcs12: pkcs12Of(tb, id, passphrase), Passphrase: passphrase + "!"}, badKey, "passphrase"},
		"garbage for PKCS#12":       {&pb.KeyPair{Pkcs12: []byte("garbage")}, badKey, "pkcs12"},
		"both":                      {&pb.KeyPair{Pkcs12: pkcs12Of(tb, id, ""), PrivateKey: key}, badChain, "pkcs12"},
	}
}

// settersOf are the calls that take settings, with the path of theirs.
func settersOf(t *testing.T, c pb.SecureSocketServiceClient, s idle) map[string]func(*pb.SessionSettings) error {
	t.Helper()
	return map[string]func(*pb.SessionSettings) error{
		"settings": func(m *pb.SessionSettings) error {
			_, err := c.CreateSession(t.Context(), &pb.CreateSessionRequest{Settings: m})
			return err
		},
		"settings, to change": func(m *pb.SessionSettings) error {
			_, err := c.UpdateSession(t.Context(), &pb.UpdateSessionRequest{SessionId: s.id, Settings: m})
			return err
		},
		"open.settings": func(m *pb.SessionSettings) error {
			return start(t.Context(), t, c, openFrame(&pb.Open{Host: "127.0.0.1", Port: 1, Settings: m})).end()
		},
	}
}

func TestKeysThatAreRefused(t *testing.T) {
	t.Parallel()
	c := servertest.Start(t).Client(t)
	id := clientLeaf(tlstest.NewCA(t))
	good := having(keyPair(&pb.KeyPair{CertificateChain: id.Chain, PrivateKey: id.KeyPEM()}))
	s := newIdle(t.Context(), t, c, nil, good)
	before := getSession(t.Context(), t, c, s).GetSettings()
	for name, bad := range badKeyPairs(t, id) {
		t.Run(name, func(t *testing.T) {
			for path, set := range settersOf(t, c, s) {
				reason, metadata := infoOf(t, set(having(good.GetTls().GetIdentities()[0], keyPair(bad.pair))))
				require.Equal(t, nameOf(bad.reason), reason, path)
				require.Equal(t, fieldIn(path, "tls.identities[1].key_pair."+bad.field), metadata["field"])
			}
		})
	}
	for name, bad := range map[string]struct {
		id     *pb.Identity
		reason pb.ErrorReason
		field  string
	}{
		"no source":      {&pb.Identity{}, pb.ErrorReason_ERROR_REASON_INVALID_FIELD, "source"},
		"unknown ref":    {identityRef("nobody's"), pb.ErrorReason_ERROR_REASON_INVALID_FIELD, "identity_ref"},
		"unknown public": {&pb.Identity{Source: &pb.Identity_Public{Public: &pb.PublicIdentity{SpkiSha256: make([]byte, 32)}}}, pb.ErrorReason_ERROR_REASON_INVALID_FIELD, "public"},
		"signer without a chain": {&pb.Identity{Source: &pb.Identity_CallerSigner{CallerSigner: &pb.CallerSigner{}}},
			pb.ErrorReason_ERROR_REASON_INVALID_CERTIFICATE, "caller_signer.certificate_chain"},
		"a scheme of another key": {&pb.Identity{Source: &pb.Identity_CallerSigner{CallerSigner: &pb.CallerSigner{CertificateChain: id.Chain, SignatureSchemes: []int32{0x0804}}}},
			pb.ErrorReason_ERROR_REASON_INVALID_PRIVATE_KEY, "caller_signer.signature_schemes"},
		"a scheme that is none": {&pb.Identity{Source: &pb.Identity_CallerSigner{CallerSigner: &pb.CallerSigner{CertificateChain: id.Chain, SignatureSchemes: []int32{-1}}}},
			pb.ErrorReason_ERROR_REASON_INVALID_FIELD, "caller_signer.signature_schemes"},
	} {
		t.Run(name, func(t *testing.T) {
			for path, set := range settersOf(t, c, s) {
				reason, metadata := infoOf(t, set(having(bad.id)))
				require.Equal(t, nameOf(bad.reason), reason, path)
				require.Equal(t, fieldIn(path, "tls.identities[0]."+bad.field), metadata["field"])
			}
		})
	}
	t.Run("too many", func(t *testing.T) {
		var many []*pb.Identity
		for range 9 {
			many = append(many, keyPair(&pb.KeyPair{})) // counted before they are read
		}
		for path, set := range settersOf(t, c, s) {
			reason, metadata := infoOf(t, set(having(many...)))
			require.Equal(t, "INVALID_FIELD", reason)
			require.Equal(t, fieldIn(path, "tls.identities"), metadata["field"])
		}
	})
	requireSame(t, before, getSession(t.Context(), t, c, s).GetSettings(), "all of it or nothing")
	list, err := c.ListSessions(t.Context(), &pb.ListSessionsRequest{})
	require.NoError(t, err)
	require.Len(t, list.GetSessions(), 1)
}

func fieldIn(path, field string) string {
	if path == "open.settings" {
		return path + "." + field
	}
	return "settings." + field
}

// What a reply shows of an identity stands for it in a later request.
func TestThePublicFormKeepsTheIdentity(t *testing.T) {
	t.Parallel()
	bothVersions(t, func(t *testing.T, version uint16) {
		clients := tlstest.NewCA(t)
		// One key with two chains, of which the doorman knows the second.
		first := clientLeaf(tlstest.NewCA(t, tlstest.CommonName("Others")))
		id := clientLeaf(clients.Intermediate(), tlstest.Key(first.Key))
		d := serveDoorman(t, version, tls.RequireAndVerifyClientCert, clients)
		c := servertest.Start(t).Client(t)
		var own []*pb.Identity
		for _, each := range []*tlstest.Identity{first, id} {
			own = append(own, keyPair(&pb.KeyPair{CertificateChain: each.Chain, PrivateKey: each.KeyPEM()}))
		}
		s := newIdle(t.Context(), t, c, d.ca, having(own...))
		admitted := func() {
			t.Helper()
			stillWorks(t.Context(), t, c, s, d.addr)
			d.admits(t, id)
		}
		admitted()
		shown := getSession(t.Context(), t, c, s).GetSettings()
		require.Len(t, shown.GetTls().GetIdentities(), 2)
		for i, each := range []*tlstest.Identity{first, id} {
			public := shown.GetTls().GetIdentities()[i].GetPublic()
			require.Equal(t, each.Chain, public.GetCertificateChain())
			require.Len(t, public.GetSpkiSha256(), 32)
			require.False(t, public.GetCallerSigner())
		}
		update := func(m *pb.SessionSettings, paths ...string) *pb.SessionSettings {
			t.Helper()
			req := &pb.UpdateSessionRequest{SessionId: s.id, Settings: m}
			if len(paths) > 0 {
				req.UpdateMask = &fieldmaskpb.FieldMask{Paths: paths}
			}
			resp, err := c.UpdateSession(t.Context(), req)
			require.NoError(t, err)
			return resp.GetSession().GetSettings()
		}
		requireSame(t, shown, update(shown), "sent back")
		admitted()
		requireSame(t, shown, update(shown, "*"), "sent back, all of it")
		admitted()
		requireSame(t, shown.GetTls(), update(&pb.SessionSettings{Label: "another"}, "label").GetTls(), "untouched")
		admitted()
		got := update(having(shown.GetTls().GetIdentities()[1]), "tls.identities")
		require.Len(t, got.GetTls().GetIdentities(), 1)
		admitted()
		update(nil, "tls.identities")
		_, err := c.UpdateSession(t.Context(), &pb.UpdateSessionRequest{SessionId: s.id, Settings: shown})
		require.Equal(t, "INVALID_FIELD", reasonOf(t, err), "it has been given up")

		// It is the session's own, and no other's.
		_, err = c.CreateSession(t.Context(), &pb.CreateSessionRequest{Settings: shown})
		require.Equal(t, "INVALID_FIELD", reasonOf(t, err))
	})
}

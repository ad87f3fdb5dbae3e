package server_test

import (
	"bytes"
	"crypto"
	"crypto/tls"
	"encoding/hex"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"

	pb "securesocket/gen/securesocket/v1"
	"securesocket/tlsengine/tlstest"
)

// misplaced are settings with a key, or a passphrase, where none belongs.
func misplaced(tb testing.TB, id *tlstest.Identity) map[string]*pb.SessionSettings {
	tb.Helper()
	key := pkcs8Of(tb, id.Key)
	unknown := &pb.KeyPair{CertificateChain: id.Chain, PrivateKey: key}
	unknown.ProtoReflect().SetUnknown(protowire.AppendBytes(protowire.AppendTag(nil, 99, protowire.BytesType), key))
	return map[string]*pb.SessionSettings{
		"a field that is not known": having(keyPair(unknown)),
		"too large":                 having(keyPair(&pb.KeyPair{CertificateChain: id.Chain, PrivateKey: bytes.Repeat(key, 256<<10/len(key)+1)})),
		"a name":                    having(identityRef(hex.EncodeToString(key))),
		"a public half":             having(&pb.Identity{Source: &pb.Identity_Public{Public: &pb.PublicIdentity{CertificateChain: [][]byte{key}, SpkiSha256: key}}}),
		"a signer's chain":          having(&pb.Identity{Source: &pb.Identity_CallerSigner{CallerSigner: &pb.CallerSigner{CertificateChain: [][]byte{key}}}}),
		"PEM for a certificate":     having(keyPair(&pb.KeyPair{CertificateChain: [][]byte{id.KeyPEM()}, PrivateKey: key})),
		"PKCS#12":                   having(keyPair(&pb.KeyPair{Pkcs12: key, Passphrase: passphrase})),
		"a pin":                     {Tls: &pb.TlsSettings{Trust: &pb.TrustSettings{SpkiSha256Pins: [][]byte{key}}}},
		"a name to verify":          {Tls: &pb.TlsSettings{VerifyNames: []string{strings.Repeat("a", 1025) + passphrase}}},
	}
}

// Whatever is done with a key, and whatever goes wrong with it, it is not told.
func TestThreat32NoSecretIsTold(t *testing.T) {
	t.Parallel()
	bothVersions(t, func(t *testing.T, version uint16) {
		eachKey(t, func(t *testing.T, key crypto.Signer) {
			clients := tlstest.NewCA(t)
			id := clientLeaf(clients, tlstest.Key(key))
			heard, cc := startOverheard(t)
			c := pb.NewSecureSocketServiceClient(cc)
			secrets := append(secretsOf(t, key), []byte(passphrase))

			// What works, and what the peer refuses.
			good := serveDoorman(t, version, tls.RequireAndVerifyClientCert, clients)
			bad := serveDoorman(t, version, tls.RequireAndVerifyClientCert, tlstest.NewCA(t))
			for _, form := range formsOf(t, id) {
				used(t, c, having(keyPair(form)), good, bad)
				good.admits(t, id)
				good.admits(t, id)
			}

			// What is refused when it is set.
			s := newIdle(t.Context(), t, c, nil)
			for name, bad := range badKeyPairs(t, id) {
				for path, set := range settersOf(t, c, s) {
					require.Error(t, set(having(keyPair(bad.pair))), "%s: %s", name, path)
				}
			}
			for name, m := range misplaced(t, id) {
				for path, set := range settersOf(t, c, s) {
					require.Error(t, set(m), "%s: %s", name, path)
				}
			}
			for _, der := range [][]byte{pkcs8Of(t, key), id.KeyPEM()} {
				_, err := c.AddCertificate(t.Context(), &pb.AddCertificateRequest{SessionId: s.id, Certificate: der})
				require.Equal(t, "INVALID_CERTIFICATE", reasonOf(t, err))
			}
			defaults := having(keyPair(formsOf(t, id)["PKCS#8 encrypted"]))
			_, err := pb.NewTrustServiceClient(cc).UpdateDefaults(t.Context(), &pb.UpdateDefaultsRequest{Settings: defaults})
			require.Equal(t, "INVALID_FIELD", reasonOf(t, err), "keys are not kept")
			repeated(t, c, defaults)
			heard.keeps(t, secrets...)
		})
	})
}

// used takes an identity through a session's life.
func used(t *testing.T, c pb.SecureSocketServiceClient, settings *pb.SessionSettings, good, bad doorman) {
	t.Helper()
	s := newIdle(t.Context(), t, c, good.ca, settings)
	_, err := c.AddCertificate(t.Context(), &pb.AddCertificateRequest{SessionId: s.id, Certificate: bad.ca.DER(), Trusted: true})
	require.NoError(t, err)
	stillWorks(t.Context(), t, c, s, good.addr)
	shown := getSession(t.Context(), t, c, s).GetSettings()
	require.NotNil(t, shown.GetTls().GetIdentities()[0].GetPublic())
	_, err = c.ListSessions(t.Context(), &pb.ListSessionsRequest{})
	require.NoError(t, err)
	_, err = c.UpdateSession(t.Context(), &pb.UpdateSessionRequest{SessionId: s.id, Settings: shown})
	require.NoError(t, err)
	stillWorks(t.Context(), t, c, s, good.addr)

	begin(t, c, s, bad.addr)
	k := attach(t.Context(), t, c, s, getSession(t.Context(), t, c, s).GetAttachSeq()+1)
	closedOf(k, 3)
	require.Error(t, bad.next(t).err)
	getSession(t.Context(), t, c, s)
	certificateStatus(t, c, s)
	_, err = c.DeleteSession(t.Context(), &pb.DeleteSessionRequest{SessionId: s.id})
	require.NoError(t, err)
}

// repeated sends a request twice, and then another under its id.
func repeated(t *testing.T, c pb.SecureSocketServiceClient, settings *pb.SessionSettings) {
	t.Helper()
	req := &pb.CreateSessionRequest{Settings: settings, RequestId: "once"}
	first, err := c.CreateSession(t.Context(), req)
	require.NoError(t, err)
	second, err := c.CreateSession(t.Context(), req)
	require.NoError(t, err)
	require.Equal(t, first.GetSession().GetSessionId(), second.GetSession().GetSessionId())
	req = proto.CloneOf(req)
	req.Settings.Tls.Identities[0].GetKeyPair().Passphrase += " "
	_, err = c.CreateSession(t.Context(), req)
	require.Error(t, err)
	req.Settings.Tls.Identities = nil
	_, err = c.CreateSession(t.Context(), req)
	require.Equal(t, "REQUEST_ID_REUSED", reasonOf(t, err))
}

package server_test

import (
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"io"
	"testing"

	"github.com/stretchr/testify/require"

	pb "securesocket/gen/securesocket/v1"
	"securesocket/tlsengine/tlstest"
)

// fromNobody trusts a session's own anchors alone.
func fromNobody(s *pb.SessionSettings) {
	s.Tls.Trust = &pb.TrustSettings{Base: pb.TrustSettings_BASE_NONE}
}

func level(l pb.ClientAuth) func(*pb.ListenRequest) {
	return settling(func(s *pb.SessionSettings) { s.Tls.ClientAuth = l })
}

func trusted(ca *tlstest.CA) func(*pb.ListenRequest) {
	return func(m *pb.ListenRequest) {
		m.Certificates = append(m.Certificates, &pb.ExtraCertificate{Certificate: ca.Root().DER(), Trusted: true})
	}
}

// showing has a client show an identity to whoever asks, whomever it names.
func showing(id *tlstest.Identity) func(*tls.Config) {
	return func(c *tls.Config) {
		c.GetClientCertificate = func(*tls.CertificateRequestInfo) (*tls.Certificate, error) {
			if id == nil {
				return new(tls.Certificate), nil
			}
			cert := id.Certificate()
			return &cert, nil
		}
	}
}

const (
	alertHandshakeFailure    = 40
	alertCertificateRequired = 116
)

// peerSees is how a client's handshake ended for it: under TLS 1.3 it learns of a
// refusal on its first read.
func peerSees(tb testing.TB, peer *tls.Conn, err error) error {
	tb.Helper()
	if err != nil {
		return err
	}
	_, err = peer.Read(make([]byte, 1))
	return err
}

// Every level, with every kind of client.
func TestClientAuth(t *testing.T) {
	t.Parallel()
	const (
		untrustedCode = pb.CertificateProblemCode_CERTIFICATE_PROBLEM_CODE_UNABLE_TO_GET_LOCAL_ISSUER_CERTIFICATE
		firstCode     = pb.CertificateProblemCode_CERTIFICATE_PROBLEM_CODE_UNABLE_TO_VERIFY_FIRST_CERTIFICATE
		expiredCode   = pb.CertificateProblemCode_CERTIFICATE_PROBLEM_CODE_CERTIFICATE_EXPIRED
		purposeCode   = pb.CertificateProblemCode_CERTIFICATE_PROBLEM_CODE_INVALID_PURPOSE
	)
	clients := tlstest.NewCA(t)
	kinds := []struct {
		name  string
		id    *tlstest.Identity
		codes []pb.CertificateProblemCode // empty: it is good
		what  pb.CertificateStatus        // where it is judged and not refused
	}{
		{"none", nil, nil, pb.CertificateStatus_CERTIFICATE_STATUS_UNKNOWN},
		{"good", clientLeaf(clients), nil, pb.CertificateStatus_CERTIFICATE_STATUS_TRUSTED},
		{"untrusted", clientLeaf(tlstest.NewCA(t)), []pb.CertificateProblemCode{untrustedCode, firstCode}, pb.CertificateStatus_CERTIFICATE_STATUS_UNTRUSTED_SIGNERS},
		{"expired", clientLeaf(clients, tlstest.Expired()), []pb.CertificateProblemCode{expiredCode}, pb.CertificateStatus_CERTIFICATE_STATUS_EXPIRED},
		{"for servers", clients.Leaf(tlstest.ExtKeyUsage(x509.ExtKeyUsageServerAuth)), []pb.CertificateProblemCode{purposeCode}, pb.CertificateStatus_CERTIFICATE_STATUS_INVALID},
	}
	world := secureListener(t, nil)
	bothVersions(t, func(t *testing.T, version uint16) {
		for _, l := range []pb.ClientAuth{
			pb.ClientAuth_CLIENT_AUTH_NONE, pb.ClientAuth_CLIENT_AUTH_REQUEST, pb.ClientAuth_CLIENT_AUTH_REQUIRE,
			pb.ClientAuth_CLIENT_AUTH_VERIFY_IF_GIVEN, pb.ClientAuth_CLIENT_AUTH_REQUIRE_AND_VERIFY,
		} {
			w := *world
			w.tb, w.l = t, world.listen(func(m *pb.ListenRequest) {
				m.StartTlsOnAccept, m.Settings = true, world.keeping(t)
			}, level(l), trusted(clients), settling(fromNobody))
			a := w.accept(0)
			for _, kind := range kinds {
				about := l.String() + ", " + kind.name
				asked := l != pb.ClientAuth_CLIENT_AUTH_NONE
				requires := l == pb.ClientAuth_CLIENT_AUTH_REQUIRE || l == pb.ClientAuth_CLIENT_AUTH_REQUIRE_AND_VERIFY
				verifies := l >= pb.ClientAuth_CLIENT_AUTH_VERIFY_IF_GIVEN
				peer, err := w.handshake(onlyVersion(version), showing(kind.id))
				switch {
				case requires && kind.id == nil:
					want := uint64(alertHandshakeFailure) // RFC 5246, section 7.4.6
					if version == tls.VersionTLS13 {
						want = alertCertificateRequired
					}
					requireAlert(t, want, peerSees(t, peer, err))
					continue
				case verifies && len(kind.codes) > 0:
					requireAlert(t, alertBadCertificate, peerSees(t, peer, err))
					continue
				}
				require.NoError(t, err, about)
				got := a.next()
				s := got.GetSession()
				require.Equal(t, portOf(peer), s.GetRemote().GetPort(), "%s: one that was refused was given out", about)
				status, err := w.c.GetCertificateStatus(t.Context(), &pb.GetCertificateStatusRequest{SessionId: s.GetSessionId()})
				require.NoError(t, err)
				require.Equal(t, asked, s.GetTls().GetClientCertificateRequested(), about)
				require.Equal(t, asked && kind.id != nil, s.GetTls().GetClientCertificateShown(), about)
				require.Equal(t, s.GetCertificateStatus(), status.GetStatus())
				switch r := status.GetReport(); {
				case !asked || kind.id == nil:
					require.Nil(t, s.GetPeerCertificate(), about)
					require.Equal(t, pb.CertificateStatus_CERTIFICATE_STATUS_UNKNOWN, status.GetStatus(), about)
					require.Empty(t, r.GetProblems(), about)
					require.Empty(t, r.GetPeerChain(), about)
					require.Equal(t, pb.CertificateReport_TRUST_BASIS_NONE, r.GetTrustBasis(), about)
				case len(kind.codes) == 0:
					require.Equal(t, kind.id.Chain[0], s.GetPeerCertificate().GetDer(), about)
					require.Equal(t, pb.CertificateStatus_CERTIFICATE_STATUS_TRUSTED, status.GetStatus(), about)
					require.Equal(t, pb.CertificateReport_TRUST_BASIS_VALIDATED, r.GetTrustBasis(), about)
					require.Empty(t, r.GetProblems(), about)
					require.Len(t, r.GetVerifiedChain(), 2, about)
				default: // what is wrong with it is told, and it is no reason for trust
					require.Equal(t, kind.id.Chain[0], s.GetPeerCertificate().GetDer(), about)
					require.Equal(t, kind.what, status.GetStatus(), about)
					require.Equal(t, pb.CertificateReport_TRUST_BASIS_NONE, r.GetTrustBasis(), about)
					require.Equal(t, kind.codes, codesOf(r), about)
					require.Empty(t, r.GetVerifiedChain(), about)
				}
				k := w.attach(got)
				w.talks(peer, k)
				requireSame(t, s.GetTls(), k.event("secure_connected").GetSecureConnected().GetTls(), "what was negotiated")
				k.finish()
				require.NoError(t, peer.CloseWrite())
				require.NoError(t, k.end())
			}
			w.nothingMore(a)
		}
	})
}

// keeping are the settings that the world's own listener has, with its key.
func (w *listenerWorld) keeping(tb testing.TB) *pb.SessionSettings {
	tb.Helper()
	return having(uploaded(tb, w.ca.Leaf(tlstest.Names(listenerName))))
}

// A client's name is judged only where one is wanted.
func TestNamesOfClients(t *testing.T) {
	t.Parallel()
	clients := tlstest.NewCA(t)
	w := secureListener(t, nil, trusted(clients), level(pb.ClientAuth_CLIENT_AUTH_REQUIRE_AND_VERIFY), settling(fromNobody),
		settling(func(s *pb.SessionSettings) {
			s.Tls.VerifyNames = []string{"alice.example", "uri:spiffe://example/alice"}
		}))
	a := w.accept(0)
	for _, name := range []string{"alice.example", "uri:spiffe://example/alice"} {
		peer := w.dial(showing(clientLeaf(clients, tlstest.Names(name))))
		got := a.next()
		status, err := w.c.GetCertificateStatus(t.Context(), &pb.GetCertificateStatusRequest{SessionId: got.GetSession().GetSessionId()})
		require.NoError(t, err)
		require.Equal(t, name, status.GetReport().GetVerifyName())
		w.talks(peer, w.attach(got))
	}
	for _, name := range []string{"bob.example", listenerName, "127.0.0.1"} {
		peer, err := w.handshake(showing(clientLeaf(clients, tlstest.Names(name))))
		requireAlert(t, alertBadCertificate, peerSees(t, peer, err))
	}
	w.nothingMore(a)
}

func TestPinsOfClients(t *testing.T) {
	t.Parallel()
	clients := tlstest.NewCA(t)
	known := clientLeaf(clients)
	pin := sha256.Sum256(known.Leaf.RawSubjectPublicKeyInfo)
	w := secureListener(t, nil, trusted(clients), level(pb.ClientAuth_CLIENT_AUTH_REQUIRE_AND_VERIFY), settling(fromNobody),
		settling(func(s *pb.SessionSettings) { s.Tls.Trust.SpkiSha256Pins = [][]byte{pin[:]} }))
	a := w.accept(0)
	peer, err := w.handshake(showing(clientLeaf(clients)))
	requireAlert(t, alertBadCertificate, peerSees(t, peer, err))
	peer = w.dial(showing(known))
	w.talks(peer, w.attach(a.next()))
	w.nothingMore(a)
}

// An intermediate that the client leaves out may come with the request.
func TestIntermediateOfClients(t *testing.T) {
	t.Parallel()
	clients := tlstest.NewCA(t)
	between := clients.Intermediate()
	id := clientLeaf(between)
	id.Chain = id.Chain[:1]
	w := secureListener(t, nil, trusted(clients), level(pb.ClientAuth_CLIENT_AUTH_REQUIRE_AND_VERIFY), settling(fromNobody),
		func(m *pb.ListenRequest) {
			m.Certificates = append(m.Certificates, &pb.ExtraCertificate{Certificate: between.DER()})
		})
	a := w.accept(0)
	peer := w.dial(showing(id))
	got := a.next()
	require.Equal(t, pb.CertificateStatus_CERTIFICATE_STATUS_TRUSTED, got.GetSession().GetCertificateStatus())
	k := w.attach(got)
	w.talks(peer, k)
	k.finish()
	b, err := io.ReadAll(peer)
	require.NoError(t, err)
	require.Empty(t, b)
	w.nothingMore(a)
}

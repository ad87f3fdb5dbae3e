package tlsengine_test

import (
	"bytes"
	"crypto/rsa"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"math/big"
	"net"
	"reflect"
	"slices"
	"testing"

	"securesocket/tlsengine"
	"securesocket/tlsengine/forge"
	"securesocket/tlsengine/tlstest"

	"github.com/stretchr/testify/require"
)

// peerAlert is the alert that crypto/tls reports as the other side's; 0 for any other outcome.
func peerAlert(err error) uint8 {
	op, ok := errors.AsType[*net.OpError](err)
	if !ok || op.Op != "remote error" {
		return 0
	}
	return uint8(reflect.ValueOf(op.Err).Uint())
}

// heard is what a client got out of a connection to its end.
type heard struct {
	data string
	err  error
	conn *tls.Conn
}

// clientHears connects a TLS client that only listens, until there is an end or one message.
func clientHears(t *testing.T, config *tls.Config) (*net.TCPConn, <-chan heard) {
	t.Helper()
	ctx := t.Context()
	out := make(chan heard, 1)
	raw := tlstest.ConnectRaw(t, func(raw net.Conn) {
		h := heard{conn: tls.Client(raw, config)}
		if h.err = h.conn.HandshakeContext(ctx); h.err == nil {
			buf := make([]byte, 100)
			var n int
			n, h.err = h.conn.Read(buf) // under TLS 1.3 a refusal comes here
			h.data = string(buf[:n])
		}
		out <- h
		_, _ = raw.Read(make([]byte, 1))
	})
	return raw, out
}

// showing makes a client show the chain whatever authorities the server names; nil is an empty one.
func showing(config *tls.Config, id *tlstest.Identity) *tls.Config {
	config.GetClientCertificate = func(*tls.CertificateRequestInfo) (*tls.Certificate, error) {
		if id == nil {
			return new(tls.Certificate), nil
		}
		cert := id.Certificate()
		return &cert, nil
	}
	return config
}

var forClients = tlstest.ExtKeyUsage(x509.ExtKeyUsageClientAuth)

// Alerts that a client is sent.
const (
	handshakeFailure       = 40
	badCertificate         = 42
	unsupportedCertificate = 43
	decodeError            = 50
	certificateRequired    = 116
)

func TestClientAuth(t *testing.T) {
	t.Parallel()
	ca := tlstest.NewCA(t)
	shown := map[string]*tlstest.Identity{
		"none": nil, "good": ca.Leaf(forClients), "untrusted": tlstest.NewCA(t).Leaf(forClients),
		"expired": ca.Leaf(forClients, tlstest.Expired()),
	}
	const unknown, trusted, untrusted, expired = tlsengine.StatusUnknown, tlsengine.StatusTrusted, tlsengine.StatusUntrustedSigners, tlsengine.StatusExpired
	type row struct {
		status  tlsengine.Status
		refused bool
		alert13 uint8 // what the client is sent; under TLS 1.2 handshake_failure stands for certificate_required
	}
	passes := func(s tlsengine.Status) row { return row{status: s} }
	fails := func(s tlsengine.Status, alert uint8) row { return row{s, true, alert} }
	rows := map[tlsengine.ClientAuth]map[string]row{
		0:                           {"none": passes(unknown), "good": passes(unknown), "untrusted": passes(unknown), "expired": passes(unknown)},
		tlsengine.ClientAuthNone:    {"none": passes(unknown), "good": passes(unknown), "untrusted": passes(unknown), "expired": passes(unknown)},
		tlsengine.ClientAuthRequest: {"none": passes(unknown), "good": passes(trusted), "untrusted": passes(untrusted), "expired": passes(expired)},
		tlsengine.ClientAuthRequire: {"none": fails(unknown, certificateRequired), "good": passes(trusted), "untrusted": passes(untrusted), "expired": passes(expired)},
		tlsengine.ClientAuthVerifyIfGiven: {"none": passes(unknown), "good": passes(trusted), "untrusted": fails(untrusted, badCertificate),
			"expired": fails(expired, badCertificate)},
		tlsengine.ClientAuthRequireAndVerify: {"none": fails(unknown, certificateRequired), "good": passes(trusted),
			"untrusted": fails(untrusted, badCertificate), "expired": fails(expired, badCertificate)},
	}
	for level, cases := range rows {
		for what, want := range cases {
			t.Run(level.String()+" "+what, func(t *testing.T) {
				t.Parallel()
				bothVersions(t, func(t *testing.T, version uint16) {
					cfg := serving(t, ca.Leaf())
					cfg.ClientAuth, cfg.Trust = level, anchors(ca.Certificate)
					raw, out := clientHears(t, showing(clientConfig(ca, version), shown[what]))
					conn, err := tlsengine.Server(t.Context(), raw, cfg, nil)
					if want.refused {
						r := requireRefused(t, err)
						require.Equal(t, want.status, r.Status)
						require.Equal(t, tlsengine.BasisNone, r.Basis)
						alert := want.alert13
						if alert == certificateRequired {
							require.Equal(t, "NO_PEER_CERTIFICATE@-1", problems(r))
							require.False(t, r.Overridable())
							require.Empty(t, r.PeerChain)
							if version == tls.VersionTLS12 {
								alert = handshakeFailure
							}
						}
						require.Equal(t, alert, peerAlert((<-out).err))
						return
					}
					require.NoError(t, err)
					r := conn.Report()
					require.Equal(t, want.status, r.Status)
					_, err = conn.Write([]byte("welcome"))
					require.NoError(t, err)
					require.Equal(t, "welcome", (<-out).data)
					asked := level >= tlsengine.ClientAuthRequest
					switch {
					case !asked || shown[what] == nil:
						require.Equal(t, tlsengine.BasisNone, r.Basis)
						require.Empty(t, r.PeerChain)
						require.Empty(t, r.Problems)
						require.False(t, r.Started.IsZero())
						if asked {
							require.Equal(t, tlsengine.NoneShown, conn.State().ClientCertificate)
						} else {
							require.Equal(t, tlsengine.NotRequested, conn.State().ClientCertificate)
						}
						return
					case r.Status == trusted:
						require.Equal(t, tlsengine.BasisValidated, r.Basis)
						require.Empty(t, r.Problems)
						require.NotEmpty(t, r.VerifiedChain)
					default:
						require.Equal(t, tlsengine.BasisNone, r.Basis)
						require.NotEmpty(t, r.Problems)
						require.Empty(t, r.VerifiedChain)
					}
					require.Equal(t, tlsengine.OneShown, conn.State().ClientCertificate)
					require.True(t, r.PeerChain[0].Equal(shown[what].Leaf))
					require.NoError(t, conn.Abort())
				})
			})
		}
	}
}

// Names are asked of a client only where there are some.
func TestVerifyNamesOfAClient(t *testing.T) {
	t.Parallel()
	ca := tlstest.NewCA(t)
	id := ca.Leaf(forClients, tlstest.Names("robot.example", "uri:spiffe://here/robot"))
	for _, row := range []struct {
		names []string
		want  string
	}{
		{nil, ""}, {[]string{"robot.example"}, ""}, {[]string{"other.example", "uri:spiffe://here/robot"}, ""},
		{[]string{"other.example"}, "HOST_NAME_MISMATCH@0"},
	} {
		cfg := serving(t, ca.Leaf())
		cfg.ClientAuth, cfg.Trust, cfg.VerifyNames = tlsengine.ClientAuthRequireAndVerify, anchors(ca.Certificate), row.names
		raw, _ := clientHears(t, showing(clientConfig(ca, tls.VersionTLS13), id))
		conn, err := tlsengine.Server(t.Context(), raw, cfg, nil)
		if row.want != "" {
			require.Equal(t, row.want, problems(requireRefused(t, err)))
			continue
		}
		require.NoError(t, err)
		if row.names != nil {
			require.Equal(t, row.names[len(row.names)-1], conn.Report().VerifyName)
		}
	}
}

// A server's certificate is none for clients.
func TestPurposeOfAClient(t *testing.T) {
	t.Parallel()
	ca := tlstest.NewCA(t)
	cfg := serving(t, ca.Leaf())
	cfg.ClientAuth, cfg.Trust = tlsengine.ClientAuthVerifyIfGiven, anchors(ca.Certificate)
	raw, _ := clientHears(t, showing(clientConfig(ca, tls.VersionTLS13), ca.Leaf()))
	_, err := tlsengine.Server(t.Context(), raw, cfg, nil)
	require.Equal(t, "INVALID_PURPOSE@0", problems(requireRefused(t, err)))
}

// crypto/tls ends these by itself, with texts of its own for clients.
func TestMalformedCertificateOfAClient(t *testing.T) {
	t.Parallel()
	ca := tlstest.NewCA(t)
	for name, junk := range map[string][]byte{"junk": []byte("junk"), "cut": ca.DER()[:100]} {
		for _, level := range []tlsengine.ClientAuth{tlsengine.ClientAuthRequest, tlsengine.ClientAuthRequireAndVerify} {
			t.Run(name+" "+level.String(), func(t *testing.T) {
				t.Parallel()
				bothVersions(t, func(t *testing.T, version uint16) {
					cfg := serving(t, ca.Leaf())
					cfg.ClientAuth, cfg.Trust = level, anchors(ca.Certificate)
					raw, out := clientHears(t, showing(clientConfig(ca, version), ca.Leaf(forClients).Append(junk)))
					_, err := tlsengine.Server(t.Context(), raw, cfg, nil)
					r := requireRefused(t, err)
					require.Equal(t, "MALFORMED_CERTIFICATE@-1", problems(r))
					require.Equal(t, tlsengine.StatusInvalid, r.Status)
					require.Equal(t, "client: replace the certificate", r.Problems[0].Hint)
					require.EqualValues(t, decodeError, peerAlert((<-out).err))
				})
			})
		}
	}
}

func TestUnusableKeyOfAClient(t *testing.T) {
	t.Parallel()
	ca := tlstest.NewCA(t)
	huge := ca.Leaf(forClients, forge.PublicKey(&rsa.PublicKey{N: new(big.Int).SetBit(big.NewInt(1), 8200, 1), E: 65537}))
	strange := ca.Leaf(forClients)
	strange.Chain[0] = bytes.Replace(strange.Chain[0], ecPublicKey, []byte("\x06\x07\x2a\x86\x48\xce\x3d\x02\x09"), 1)
	for alert, id := range map[uint8]*tlstest.Identity{badCertificate: huge, unsupportedCertificate: strange} {
		bothVersions(t, func(t *testing.T, version uint16) {
			cfg := serving(t, ca.Leaf())
			cfg.ClientAuth = tlsengine.ClientAuthRequest
			raw, out := clientHears(t, showing(clientConfig(ca, version), id))
			_, err := tlsengine.Server(t.Context(), raw, cfg, nil)
			require.Equal(t, "MALFORMED_CERTIFICATE@-1", problems(requireRefused(t, err)))
			require.Equal(t, alert, peerAlert((<-out).err))
		})
	}
}

// ecPublicKey is the algorithm of a key in DER.
var ecPublicKey = []byte("\x06\x07\x2a\x86\x48\xce\x3d\x02\x01")

// The chain may be good, and the client not have its key: the verdict alone is not enough.
func TestClientWithoutItsKey(t *testing.T) {
	t.Parallel()
	ca := tlstest.NewCA(t)
	stolen, own := ca.Leaf(forClients), ca.Leaf(forClients)
	stolen.Key = own.Key
	bothVersions(t, func(t *testing.T, version uint16) {
		for _, level := range []tlsengine.ClientAuth{tlsengine.ClientAuthRequest, tlsengine.ClientAuthRequireAndVerify} {
			cfg := serving(t, ca.Leaf())
			cfg.ClientAuth, cfg.Trust = level, anchors(ca.Certificate)
			raw, out := clientHears(t, showing(clientConfig(ca, version), stolen))
			_, err := tlsengine.Server(t.Context(), raw, cfg, nil)
			requireKind(t, err, tlsengine.Misbehaved)
			require.EqualValues(t, 51, peerAlert((<-out).err), "decrypt_error")
		}
	})
}

// Authorities are named where a client can be helped by it.
func TestNamedAuthorities(t *testing.T) {
	t.Parallel()
	one, other := tlstest.NewCA(t, tlstest.CommonName("One")), tlstest.NewCA(t, tlstest.CommonName("Other"))
	many := []*x509.Certificate{one.Certificate}
	for range 3 {
		many = append(many, tlstest.NewCA(t, tlstest.CommonName(string(make([]byte, 6<<10)))).Certificate)
	}
	for name, row := range map[string]struct {
		trust tlsengine.Trust
		want  [][]byte
	}{
		"anchors":          {anchors(one.Certificate, other.Certificate), [][]byte{one.Certificate.RawSubject, other.Certificate.RawSubject}},
		"a base":           {tlsengine.Trust{Roots: one.Pool()}, nil},
		"a base and more":  {tlsengine.Trust{Roots: one.Pool(), Anchors: []*x509.Certificate{other.Certificate}}, nil},
		"nobody":           {tlsengine.Trust{}, nil},
		"more than fit":    {anchors(many...), nil},
		"as many as do so": {anchors(many[:3]...), [][]byte{many[0].RawSubject, many[1].RawSubject, many[2].RawSubject}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			bothVersions(t, func(t *testing.T, version uint16) {
				cfg := serving(t, one.Leaf())
				cfg.ClientAuth, cfg.Trust = tlsengine.ClientAuthRequest, row.trust
				config := clientConfig(one, version)
				var named [][]byte
				config.GetClientCertificate = func(info *tls.CertificateRequestInfo) (*tls.Certificate, error) {
					named = slices.Clone(info.AcceptableCAs)
					return new(tls.Certificate), nil
				}
				raw, out := clientHears(t, config)
				conn, err := tlsengine.Server(t.Context(), raw, cfg, nil)
				require.NoError(t, err)
				require.NoError(t, conn.Close())
				<-out
				require.ElementsMatch(t, row.want, named)
			})
		})
	}
}

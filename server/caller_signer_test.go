package server_test

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/tls"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/types/known/durationpb"

	pb "securesocket/gen/securesocket/v1"
	"securesocket/server/servertest"
	"securesocket/tlsengine/tlstest"
)

func callerSigner(id *tlstest.Identity, schemes ...tls.SignatureScheme) *pb.Identity {
	m := &pb.CallerSigner{CertificateChain: id.Chain}
	for _, s := range schemes {
		m.SignatureSchemes = append(m.SignatureSchemes, int32(s))
	}
	return &pb.Identity{Source: &pb.Identity_CallerSigner{CallerSigner: m}}
}

func signatureFrame(m *pb.Signature) *pb.AttachRequest {
	return &pb.AttachRequest{Frame: &pb.AttachRequest_Signature{Signature: m}}
}

var schemeHashes = map[tls.SignatureScheme]crypto.Hash{
	tls.PSSWithSHA256: crypto.SHA256, tls.PSSWithSHA384: crypto.SHA384, tls.PSSWithSHA512: crypto.SHA512,
	tls.PKCS1WithSHA256: crypto.SHA256, tls.PKCS1WithSHA384: crypto.SHA384, tls.PKCS1WithSHA512: crypto.SHA512,
	tls.ECDSAWithP256AndSHA256: crypto.SHA256, tls.ECDSAWithP384AndSHA384: crypto.SHA384, tls.ECDSAWithP521AndSHA512: crypto.SHA512,
	tls.Ed25519: 0,
}

var pss = []tls.SignatureScheme{tls.PSSWithSHA256, tls.PSSWithSHA384, tls.PSSWithSHA512}

// sign answers a sign_request as a caller does that keeps the key.
func sign(tb testing.TB, key crypto.Signer, r *pb.SignRequest) *pb.Signature {
	tb.Helper()
	scheme := tls.SignatureScheme(r.GetSignatureScheme())
	hash, known := schemeHashes[scheme]
	require.True(tb, known, "scheme %v", scheme)
	require.Equal(tb, hash != 0, r.GetPrehashed())
	if hash != 0 {
		require.Len(tb, r.GetInput(), hash.Size())
	}
	opts := crypto.SignerOpts(hash)
	if slices.Contains(pss, scheme) {
		opts = &rsa.PSSOptions{SaltLength: rsa.PSSSaltLengthEqualsHash, Hash: hash}
	}
	signature, err := key.Sign(rand.Reader, r.GetInput(), opts)
	require.NoError(tb, err)
	return &pb.Signature{SignId: r.GetSignId(), Signature: signature}
}

// fitting are the schemes that a caller may be asked for.
func fitting(key crypto.Signer, version uint16) []tls.SignatureScheme {
	switch key.(type) {
	case *rsa.PrivateKey:
		if version == tls.VersionTLS13 {
			return pss
		}
		return append(slices.Clone(pss), tls.PKCS1WithSHA256, tls.PKCS1WithSHA384, tls.PKCS1WithSHA512)
	case *ecdsa.PrivateKey:
		return []tls.SignatureScheme{tls.ECDSAWithP256AndSHA256}
	case ed25519.PrivateKey:
		return []tls.SignatureScheme{tls.Ed25519}
	}
	return nil
}

// works sends bytes there and back, and closes.
func works(k *asker) {
	k.tb.Helper()
	k.secure()
	k.write([]byte("ping"))
	k.until(func() bool { return string(k.data) == "ping" })
	k.send(closeFrame(pb.CloseSocket_HOW_GRACEFUL))
	require.Nil(k.tb, k.closed().GetFailure())
}

func TestSignaturesOfTheCaller(t *testing.T) {
	t.Parallel()
	bothVersions(t, func(t *testing.T, version uint16) {
		eachKey(t, func(t *testing.T, key crypto.Signer) {
			clients := tlstest.NewCA(t)
			id := clientLeaf(clients, tlstest.Key(key))
			spki := sha256.Sum256(id.Leaf.RawSubjectPublicKeyInfo)
			d := serveDoorman(t, version, tls.RequireAndVerifyClientCert, clients)
			c := servertest.Start(t).Client(t)
			signed := func(want []tls.SignatureScheme, schemes ...tls.SignatureScheme) {
				k := asked(open(t, c, d.addr, d.ca, func(m *pb.Open) { m.Settings = having(callerSigner(id, schemes...)) }))
				r := k.signRequest(1)
				require.Contains(t, want, tls.SignatureScheme(r.GetSignatureScheme()))
				require.Equal(t, spki[:], r.GetSpkiSha256())
				require.True(t, r.GetDeadlineTime().AsTime().After(time.Now()))
				require.Equal(t, []string{"HANDSHAKING", "sign_request"}, k.story(1)[5:])
				k.send(signatureFrame(sign(t, key, r)))
				works(k)
				d.admits(t, id)
			}
			all := fitting(key, version)
			signed(all)
			for _, scheme := range all { // each alone, so that it is the one
				signed([]tls.SignatureScheme{scheme}, scheme)
			}
		})
	})
}

// RSA with PKCS #1 is no scheme of TLS 1.3, so such an identity does not fit.
func TestASchemeThatTheVersionDoesNotHave(t *testing.T) {
	t.Parallel()
	key, err := clientRSA()
	require.NoError(t, err)
	clients := tlstest.NewCA(t)
	d := serveDoorman(t, tls.VersionTLS13, tls.VerifyClientCertIfGiven, clients)
	k := asked(open(t, servertest.Start(t).Client(t), d.addr, d.ca, func(m *pb.Open) {
		m.Settings = having(callerSigner(clientLeaf(clients, tlstest.Key(key)), tls.PKCS1WithSHA256))
	}))
	works(k)
	v := d.next(t)
	require.NoError(t, v.err)
	require.Empty(t, v.chain)
	require.NotContains(t, k.story(1), "sign_request")
}

func TestSignaturesThatDoNotCome(t *testing.T) {
	t.Parallel()
	const alertInternalError = 80
	short := func(s *pb.SessionSettings) { s.Tls.HandshakeTimeout = durationpb.New(2 * time.Second) }
	for name, tc := range map[string]struct {
		answer   func(k *asker, right *pb.Signature)
		reason   pb.ErrorReason
		settings func(*pb.SessionSettings)
	}{
		"of something else": {answer: func(k *asker, right *pb.Signature) {
			right.Signature[len(right.Signature)-1] ^= 1
			k.send(signatureFrame(right))
		}, reason: pb.ErrorReason_ERROR_REASON_SIGNATURE_FAILED},
		"garbage": {answer: func(k *asker, right *pb.Signature) {
			k.send(signatureFrame(&pb.Signature{SignId: right.GetSignId(), Signature: []byte("garbage")}))
		}, reason: pb.ErrorReason_ERROR_REASON_SIGNATURE_FAILED},
		"wrong, and then right": {answer: func(k *asker, right *pb.Signature) {
			k.send(signatureFrame(&pb.Signature{SignId: right.GetSignId(), Signature: []byte("garbage")}))
			k.send(signatureFrame(right))
		}, reason: pb.ErrorReason_ERROR_REASON_SIGNATURE_FAILED},
		"declined": {answer: func(k *asker, right *pb.Signature) {
			k.send(signatureFrame(&pb.Signature{SignId: right.GetSignId()}))
		}, reason: pb.ErrorReason_ERROR_REASON_SIGNATURE_FAILED},
		"declined, with a reason": {answer: func(k *asker, right *pb.Signature) {
			k.send(signatureFrame(&pb.Signature{SignId: right.GetSignId(), Error: "the card was drawn"}))
		}, reason: pb.ErrorReason_ERROR_REASON_SIGNATURE_FAILED},
		"never": {answer: func(*asker, *pb.Signature) {}, reason: pb.ErrorReason_ERROR_REASON_SIGNATURE_FAILED, settings: short},
		"never, for connect_timeout": {answer: func(*asker, *pb.Signature) {}, reason: pb.ErrorReason_ERROR_REASON_SIGNATURE_FAILED,
			settings: func(s *pb.SessionSettings) { s.ConnectTimeout = durationpb.New(2 * time.Second) }},
		"close instead": {answer: func(k *asker, _ *pb.Signature) { k.send(closeFrame(pb.CloseSocket_HOW_GRACEFUL)) },
			reason: pb.ErrorReason_ERROR_REASON_CANCELLED},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			bothVersions(t, func(t *testing.T, version uint16) {
				clients := tlstest.NewCA(t)
				id := clientLeaf(clients)
				d := serveDoorman(t, version, tls.RequireAndVerifyClientCert, clients)
				c := servertest.Start(t).Client(t)
				settings := having(callerSigner(id))
				if tc.settings != nil {
					tc.settings(settings)
				}
				s := newIdle(t.Context(), t, c, d.ca, settings)
				k := asked(attach(t.Context(), t, c, s, 1))
				done := connecting(t.Context(), t, c, s, d.addr)
				r := k.signRequest(1)
				if name == "never" || name == "never, for connect_timeout" {
					require.LessOrEqual(t, time.Until(r.GetDeadlineTime().AsTime()), 2*time.Second)
				}
				tc.answer(k, sign(t, id.Key, r))
				reason, metadata := infoOf(t, outcome(t, done))
				require.Equal(t, nameOf(tc.reason), reason)
				closed := k.closed()
				require.Equal(t, tc.reason, closed.GetFailure().GetReason())
				require.NotContains(t, k.story(1), "secure_connected")
				v := d.next(t)
				require.Error(t, v.err)
				if tc.reason == pb.ErrorReason_ERROR_REASON_SIGNATURE_FAILED {
					require.Equal(t, "handshake", metadata["phase"])
					require.Equal(t, pb.Phase_PHASE_HANDSHAKE, k.event("io_error").GetIoError().GetPhase())
					requireAlert(t, alertInternalError, v.err)
				}
				k.send(signatureFrame(sign(t, id.Key, r))) // the question is closed: ignored

				again := connecting(t.Context(), t, c, s, d.addr)
				r = k.signRequest(2)
				require.EqualValues(t, 2, r.GetSignId())
				k.send(signatureFrame(sign(t, id.Key, r)))
				require.NoError(t, outcome(t, again))
				d.admits(t, id)
				require.Empty(t, k.refused)
			})
		})
	}
}

// What was never asked is refused, and the question stays open.
func TestSignaturesThatNobodyAskedFor(t *testing.T) {
	t.Parallel()
	clients := tlstest.NewCA(t)
	id := clientLeaf(clients)
	d := serveDoorman(t, tls.VersionTLS13, tls.RequireAndVerifyClientCert, clients)
	k := asked(open(t, servertest.Start(t).Client(t), d.addr, d.ca, func(m *pb.Open) { m.Settings = having(callerSigner(id)) }))
	right := sign(t, id.Key, k.signRequest(1))
	for i, wrong := range []int64{right.GetSignId() + 1, 0, -1} {
		k.send(signatureFrame(&pb.Signature{SignId: wrong, Signature: right.GetSignature()}))
		k.until(func() bool { return len(k.refused) == i+1 })
		require.Equal(t, pb.ErrorReason_ERROR_REASON_SESSION_STATE, k.refused[i].GetFailure().GetReason())
	}
	k.send(signatureFrame(right))
	works(k)
	d.admits(t, id)
}

func TestASignRequestIsOfferedAgain(t *testing.T) {
	t.Parallel()
	bothVersions(t, func(t *testing.T, version uint16) {
		clients := tlstest.NewCA(t)
		id := clientLeaf(clients)
		d := serveDoorman(t, version, tls.RequireAndVerifyClientCert, clients)
		c := servertest.Start(t).Client(t)
		s := newIdle(t.Context(), t, c, d.ca, having(callerSigner(id)))
		begin(t, c, s, d.addr)
		first := asked(attach(t.Context(), t, c, s, 1))
		r := first.signRequest(1)
		second := asked(attach(t.Context(), t, c, s, 2))
		requireSame(t, r, second.signRequest(1), "the second stream")
		require.Equal(t, "SUPERSEDED", reasonOf(t, first.end()))
		second.send(signatureFrame(sign(t, id.Key, r)))
		works(second)
		d.admits(t, id)
		third := asked(attach(t.Context(), t, c, s, 3))
		third.closed()
		require.NotContains(t, third.story(1), "sign_request")
	})
}

// First the peer's certificate is decided about, and only then this side shows
// and signs anything.
func TestADecisionComesBeforeTheSignature(t *testing.T) {
	t.Parallel()
	bothVersions(t, func(t *testing.T, version uint16) {
		for name, accept := range map[string]bool{"accepted": true, "refused": false} {
			t.Run(name, func(t *testing.T) {
				t.Parallel()
				clients := tlstest.NewCA(t)
				id := clientLeaf(clients)
				d := serveDoorman(t, version, tls.RequireAndVerifyClientCert, clients)
				k := asked(open(t, servertest.Start(t).Client(t), d.addr, nil, func(m *pb.Open) {
					m.Settings = having(callerSigner(id))
					m.Settings.Tls.Override = pb.OverrideMode_OVERRIDE_MODE_ASK
				}))
				q := k.question(1)
				require.NotContains(t, k.story(1), "sign_request")
				if !accept {
					k.send(decisionFrame(&pb.CertificateDecision{DecisionId: q.GetDecisionId()}))
					require.Equal(t, pb.ErrorReason_ERROR_REASON_DECISION_REFUSED, k.closed().GetFailure().GetReason())
					require.NotContains(t, k.story(1), "sign_request")
					v := d.next(t)
					requireAlert(t, alertBadCertificate, v.err)
					require.Empty(t, v.chain)
					return
				}
				k.send(decisionFrame(exactly(q)))
				k.send(signatureFrame(sign(t, id.Key, k.signRequest(1))))
				works(k)
				d.admits(t, id)
			})
		}
	})
}

// The public form keeps it: the key is still asked for, by the same name.
func TestTheCallersKeyInPublicForm(t *testing.T) {
	t.Parallel()
	clients := tlstest.NewCA(t)
	id := clientLeaf(clients)
	d := serveDoorman(t, tls.VersionTLS13, tls.RequireAndVerifyClientCert, clients)
	c := servertest.Start(t).Client(t)
	s := newIdle(t.Context(), t, c, d.ca, having(callerSigner(id)))
	shown := getSession(t.Context(), t, c, s).GetSettings()
	public := shown.GetTls().GetIdentities()[0].GetPublic()
	require.True(t, public.GetCallerSigner())
	require.True(t, slices.EqualFunc(id.Chain, public.GetCertificateChain(), bytes.Equal))
	_, err := c.UpdateSession(t.Context(), &pb.UpdateSessionRequest{SessionId: s.id, Settings: shown})
	require.NoError(t, err)
	begin(t, c, s, d.addr)
	k := asked(attach(t.Context(), t, c, s, 1))
	r := k.signRequest(1)
	require.Equal(t, public.GetSpkiSha256(), r.GetSpkiSha256())
	k.send(signatureFrame(sign(t, id.Key, r)))
	works(k)
	d.admits(t, id)
}

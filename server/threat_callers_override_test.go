package server_test

import (
	"crypto/tls"
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/proto"

	pb "securesocket/gen/securesocket/v1"
	"securesocket/server"
	"securesocket/server/servertest"
	"securesocket/session"
)

// laxity is everything by which a caller can make a judgement laxer, in every combination.
func laxity() (all []*pb.TlsSettings) {
	for _, override := range []pb.OverrideMode{pb.OverrideMode_OVERRIDE_MODE_UNSPECIFIED, pb.OverrideMode_OVERRIDE_MODE_STRICT, pb.OverrideMode_OVERRIDE_MODE_ASK} {
		for revocation := range pb.RevocationMode_name {
			for base := range pb.TrustSettings_Base_name {
				for _, names := range [][]string{nil, {"another.example"}} {
					m := &pb.TlsSettings{Override: override, Revocation: pb.RevocationMode(revocation), VerifyNames: names}
					if base != 0 {
						m.Trust = &pb.TrustSettings{Base: pb.TrustSettings_Base(base)}
					}
					all = append(all, m)
				}
			}
		}
	}
	return all
}

// judging is what of settings says how strict a judgement is.
func judging(m *pb.SessionSettings) *pb.TlsSettings {
	t := m.GetTls()
	return &pb.TlsSettings{Override: t.GetOverride(), Revocation: t.GetRevocation(), Trust: t.GetTrust(), VerifyNames: t.GetVerifyNames()}
}

// expected fills in what a caller left out.
func expected(asked, strict *pb.TlsSettings) *pb.TlsSettings {
	want := proto.CloneOf(asked)
	if want.GetOverride() == 0 {
		want.Override = strict.GetOverride()
	}
	if want.GetRevocation() == 0 {
		want.Revocation = strict.GetRevocation()
	}
	if want.GetTrust() == nil {
		want.Trust = proto.CloneOf(strict.GetTrust())
	}
	if want.GetVerifyNames() == nil {
		want.VerifyNames = strict.GetVerifyNames()
	}
	return want
}

// TestThreat27LaxityIsNotInherited: whatever a session is allowed, it is told so exactly, and neither the next session of
// its caller nor anybody else's has any of it.
func TestThreat27LaxityIsNotInherited(t *testing.T) {
	t.Parallel()
	w := newAccessWorld(t)
	strict := judging(getSession(w.as(theOwner), t, w.c, newIdle(w.as(theOwner), t, w.c, nil)).GetEffectiveSettings())
	require.Equal(t, pb.OverrideMode_OVERRIDE_MODE_STRICT, strict.GetOverride())
	effective := func(who string, s idle) *pb.TlsSettings {
		return judging(getSession(w.as(who), t, w.c, s).GetEffectiveSettings())
	}
	drop := func(who string, s idle) {
		_, err := w.c.DeleteSession(w.as(who), &pb.DeleteSessionRequest{SessionId: s.id})
		require.NoError(t, err)
	}
	changed := newIdle(w.as(theOwner), t, w.c, nil)
	for _, asked := range laxity() {
		what := fmt.Sprint(asked)
		want := expected(asked, strict)
		lax := newIdle(w.as(theOwner), t, w.c, nil, &pb.SessionSettings{Tls: asked})
		requireSame(t, want, effective(theOwner, lax), what)
		_, err := w.c.UpdateSession(w.as(theOwner), &pb.UpdateSessionRequest{SessionId: changed.id, Settings: &pb.SessionSettings{Tls: asked},
			UpdateMask: mask("tls.override", "tls.revocation", "tls.trust", "tls.verify_names")})
		require.NoError(t, err)
		requireSame(t, want, effective(theOwner, changed), what)
		for _, who := range []string{theOwner, theNeighbour, theAdministrator} {
			next := newIdle(w.as(who), t, w.c, nil)
			requireSame(t, strict, effective(who, next), who+" after "+what)
			drop(who, next)
		}
		drop(theOwner, lax)

		if len(asked.GetVerifyNames()) > 0 {
			continue // is about one target, and no default
		}
		// As defaults they are for their caller's sessions alone, and go when they are taken back.
		_, err = w.tc.UpdateDefaults(w.as(theOwner), &pb.UpdateDefaultsRequest{Settings: &pb.SessionSettings{Tls: asked}})
		require.NoError(t, err)
		for who, want := range map[string]*pb.TlsSettings{theOwner: want, theNeighbour: strict, theAdministrator: strict} {
			next := newIdle(w.as(who), t, w.c, nil)
			requireSame(t, want, effective(who, next), who+" with defaults of the owner's "+what)
			drop(who, next)
		}
		_, err = w.tc.UpdateDefaults(w.as(theOwner), &pb.UpdateDefaultsRequest{Settings: &pb.SessionSettings{},
			UpdateMask: mask("tls.override", "tls.revocation", "tls.trust", "tls.verify_names")})
		require.NoError(t, err)
		next := newIdle(w.as(theOwner), t, w.c, nil)
		requireSame(t, strict, effective(theOwner, next), "taken back: "+what)
		drop(theOwner, next)
	}
}

// TestThreat27AcceptedIsNotTrusted: what one session accepted is told as it is, and is refused to the next, and to the same
// one when it is strict again; where the operator forbids it nobody may ask.
func TestThreat27AcceptedIsNotTrusted(t *testing.T) {
	t.Parallel()
	addr, ends, ca := serveFlawed(t, tls.VersionTLS13)
	svc := servertest.Start(t)
	c := svc.Client(t)
	owner, neighbour := servertest.As(t.Context(), theOwner), servertest.As(t.Context(), theNeighbour)
	s := newIdle(owner, t, c, ca, asking())
	k := asked(attach(owner, t, c, s, 1))
	done := connecting(owner, t, c, s, addr)
	k.send(decisionFrame(everything(k.question(1))))
	require.NoError(t, outcome(t, done))
	require.NoError(t, ends.next(t))
	judged, err := c.GetCertificateStatus(owner, &pb.GetCertificateStatusRequest{SessionId: s.id})
	require.NoError(t, err)
	require.Equal(t, pb.CertificateReport_TRUST_BASIS_OVERRIDE, judged.GetReport().GetTrustBasis(), "accepted is not validated")
	require.NotEmpty(t, judged.GetReport().GetProblems())

	off := &pb.SessionSettings{Tls: &pb.TlsSettings{Revocation: pb.RevocationMode_REVOCATION_MODE_OFF}}
	for name, next := range map[string]idle{"owner": newIdle(owner, t, c, ca, off), "neighbour": newIdle(neighbour, t, c, ca, off)} {
		ctx := map[string]string{"owner": theOwner, "neighbour": theNeighbour}[name]
		_, err := tryConnect(servertest.As(t.Context(), ctx), t, c, next, addr)
		require.Contains(t, reasonOf(t, err), "CERTIFICATE_", name)
		require.Error(t, ends.next(t))
	}
	_, err = c.UpdateSession(owner, &pb.UpdateSessionRequest{SessionId: s.id, Settings: off, UpdateMask: mask("tls.override")})
	require.NoError(t, err)
	_, err = tryConnect(owner, t, c, s, addr)
	require.Contains(t, reasonOf(t, err), "CERTIFICATE_", "the same session, strict again")

	forbidding := servertest.Start(t, func(sc *session.Config, _ *server.Config) { sc.ForbidOverride = true }).Client(t)
	_, err = forbidding.CreateSession(owner, &pb.CreateSessionRequest{Settings: asking()})
	require.Equal(t, "NOT_ALLOWED", reasonOf(t, err))
}

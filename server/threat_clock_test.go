package server_test

import (
	"crypto/tls"
	"io"
	"net"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/types/known/durationpb"

	pb "securesocket/gen/securesocket/v1"
	"securesocket/server"
	"securesocket/server/servertest"
	"securesocket/session"
	"securesocket/tlsengine/forge"
	"securesocket/tlsengine/tlstest"
	"securesocket/tlsengine/tlstest/wallclock"
)

const decade = 10 * 365 * 24 * time.Hour

// longLived is valid whatever the clock says.
func longLived() tlstest.Option {
	return tlstest.Validity(time.Now().Add(-2*decade), time.Now().Add(2*decade))
}

func setting(clock *wallclock.Clock) servertest.Option {
	return func(sc *session.Config, _ *server.Config) { sc.Now = clock.Now }
}

// eachJump runs a test with each jump of the clock, and what is wrong then with a certificate of today.
func eachJump(t *testing.T, f func(t *testing.T, by time.Duration, reason string)) {
	t.Helper()
	for reason, by := range map[string]time.Duration{"CERTIFICATE_EXPIRED": decade, "CERTIFICATE_NOT_YET_VALID": -decade} {
		t.Run(by.String(), func(t *testing.T) { t.Parallel(); f(t, by, reason) })
	}
}

// The clock jumps: what is up stays up, what waits goes on waiting, and who shakes hands next is judged by the new time.
func TestThreat54JumpUnderLiveSessions(t *testing.T) {
	t.Parallel()
	eachJump(t, func(t *testing.T, by time.Duration, reason string) {
		bothVersions(t, func(t *testing.T, version uint16) {
			var clock wallclock.Clock
			ca := tlstest.NewCA(t, longLived())
			config := versioned(ca.Leaf(), version)
			addr, release := tlstest.Serve(t, config, tlstest.Echo), make(chan struct{})
			w := worldOf(t, ca, addr, setting(&clock))
			hesitant := tlstest.ServeRaw(t, func(raw net.Conn) {
				select {
				case <-release:
					tlstest.Echo(tls.Server(raw, config))
				case <-t.Context().Done():
				}
			})
			says := func(k *caller, text string) {
				t.Helper()
				want := string(k.data) + text
				k.write([]byte(text))
				k.until(func() bool { return string(k.data) == want })
				require.NotContains(t, k.kinds(), "io_error")
				require.NotContains(t, k.kinds(), "closed")
			}

			live := open(t, w.direct, addr, ca)
			live.secure()
			says(live, "before")
			away := w.resumable(t, w.direct)
			away.secure()
			says(away, "before")
			away.cancel()
			w.detached(t, away.session())
			going := w.resumable(t, w.direct, grace(time.Second))
			going.secure()
			waiting := open(t, w.direct, hesitant, ca, func(m *pb.Open) {
				m.Settings = &pb.SessionSettings{ConnectTimeout: durationpb.New(patience), Tls: &pb.TlsSettings{HandshakeTimeout: durationpb.New(patience)}}
			})
			waiting.until(func() bool { return slices.Contains(waiting.kinds(), "HANDSHAKING") })
			resuming, ticket := newIdle(t.Context(), t, w.direct, ca), newTicketPeer(ca.Leaf(), version).serve(t)
			require.False(t, resumes(t.Context(), t, w.direct, resuming, ticket))
			require.True(t, resumes(t.Context(), t, w.direct, resuming, ticket))

			clock.Set(by)
			says(live, "after")
			back := away.again(w.direct)
			says(back, "after")
			_, err := tryConnect(t.Context(), t, w.direct, newIdle(t.Context(), t, w.direct, ca), addr)
			require.Equal(t, reason, reasonOf(t, err))
			_, err = tryConnect(t.Context(), t, w.direct, resuming, ticket)
			require.Equal(t, reason, reasonOf(t, err))
			going.cancel() // and nobody comes back: its grace ends
			var gone error
			require.Eventually(t, func() bool {
				_, gone = w.direct.GetSession(t.Context(), &pb.GetSessionRequest{SessionId: going.session().id})
				return gone != nil
			}, patience, 10*time.Millisecond)
			require.Equal(t, "SESSION_EXPIRED", reasonOf(t, gone))

			clock.Set(0)
			close(release)
			waiting.secure()
			says(waiting, "at last")
			says(live, "again")
			says(back, "again")
			stillWorks(t.Context(), t, w.direct, newIdle(t.Context(), t, w.direct, ca), addr)
		})
	})
}

// A handshake that is under way when the clock jumps is judged by the time that it is then.
func TestThreat54JumpInMidHandshake(t *testing.T) {
	t.Parallel()
	eachJump(t, func(t *testing.T, by time.Duration, reason string) {
		var clock wallclock.Clock
		ca := tlstest.NewCA(t, longLived())
		c := servertest.Start(t, setting(&clock)).Client(t)
		config := serverConfig(ca.Leaf())
		addr := tlstest.ServeRaw(t, func(raw net.Conn) {
			clock.Set(by)
			_, _ = io.Copy(io.Discard, tls.Server(raw, config))
		})
		k := open(t, c, addr, ca)
		require.Equal(t, reason, nameOf(k.closed().GetFailure().GetReason()))
	})
}

// What is remembered of revocation is good for its own time alone.
func TestThreat54JumpAndRevocation(t *testing.T) {
	t.Parallel()
	for name, by := range map[string]time.Duration{"ahead": decade, "back": -decade} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var clock wallclock.Clock
			ca, p := tlstest.NewCA(t, longLived()), publish(t)
			p.at("/crl", bytesAt(ca.CRL(forge.List{})))
			addr := serveChain(t, ca.Leaf(longLived(), forge.CRLDistributionPoint(p.url+"/crl")))
			c := servertest.Start(t, setting(&clock)).Client(t)
			connect := func() error {
				_, err := tryConnect(t.Context(), t, c, newIdle(t.Context(), t, c, ca, checking(hard)), addr)
				return err
			}
			require.NoError(t, connect())
			require.NoError(t, connect())
			require.Equal(t, 1, p.times("/crl"))
			clock.Set(by)
			require.Equal(t, "REVOCATION_UNAVAILABLE", reasonOf(t, connect()))
			require.Equal(t, 2, p.times("/crl"), "it is asked for anew, and is not of that time either")
			fresh := forge.List{ThisUpdate: clock.Now().Add(-time.Hour), NextUpdate: clock.Now().Add(time.Hour)}
			p.at("/crl", bytesAt(ca.CRL(fresh)))
			clock.Set(by + time.Hour/2) // the failure is forgotten
			require.NoError(t, connect())
			require.Equal(t, 3, p.times("/crl"))
			clock.Set(0)
			require.Equal(t, "REVOCATION_UNAVAILABLE", reasonOf(t, connect()), "what is of another time says nothing of this one")
			require.Equal(t, 4, p.times("/crl"))
		})
	}
}

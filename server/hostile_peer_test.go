package server_test

import (
	"crypto/tls"
	"fmt"
	"net"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/types/known/durationpb"

	pb "securesocket/gen/securesocket/v1"
	"securesocket/server/servertest"
	"securesocket/tlsengine/forge"
	"securesocket/tlsengine/tlstest"
	"securesocket/tlsengine/tlstest/hostile"
)

// neighbour is an honest session of the same service.
type neighbour struct{ *caller }

func newNeighbour(tb testing.TB, c pb.SecureSocketServiceClient) neighbour {
	tb.Helper()
	addr, ca := echoServer(tb)
	host, port := hostPort(tb, addr)
	// It lives while others wait for their turn.
	k := startFor(tb.Context(), time.Hour, tb, c, openFrame(&pb.Open{
		Host: host, Port: port, AttachSeq: 1, Certificates: []*pb.ExtraCertificate{{Certificate: ca.Root().DER(), Trusted: true}},
		Settings: &pb.SessionSettings{IdleTimeout: durationpb.New(time.Hour)},
	}))
	k.until(func() bool { return k.attached != nil })
	k.secure()
	n := neighbour{k}
	n.talks()
	return n
}

// talks sees that its bytes still come back.
func (n neighbour) talks() {
	n.tb.Helper()
	p := fmt.Appendf(nil, "still here, after %d bytes", n.sent)
	want := append(n.data[:len(n.data):len(n.data)], p...)
	n.write(p)
	n.until(func() bool { return len(n.data) >= len(want) })
	require.Equal(n.tb, want, n.data)
	require.NotContains(n.tb, n.kinds(), "io_error")
}

// hostileWorld is a service with a neighbour, and what peers need to be trusted.
type hostileWorld struct {
	c         pb.SecureSocketServiceClient
	ca        *tlstest.CA
	neighbour neighbour
}

func newHostileWorld(t *testing.T) hostileWorld {
	t.Helper()
	c := servertest.Start(t).Client(t)
	return hostileWorld{c, tlstest.NewCA(t), newNeighbour(t, c)}
}

func (w hostileWorld) leaf() *tlstest.Identity {
	return w.ca.Leaf(tlstest.Names("127.0.0.1", "localhost"))
}

// meets connects to a peer, and wants the session to fail for that reason.
func (w hostileWorld) meets(t *testing.T, addr string, want pb.ErrorReason) (*caller, *pb.Closed) {
	t.Helper()
	k := open(t, w.c, addr, w.ca, func(m *pb.Open) {
		m.Settings = &pb.SessionSettings{
			ConnectTimeout: durationpb.New(patience),
			Tls:            &pb.TlsSettings{HandshakeTimeout: durationpb.New(patience)},
		}
		if want == pb.ErrorReason_ERROR_REASON_HANDSHAKE_TIMEOUT {
			m.Settings.Tls.HandshakeTimeout = durationpb.New(300 * time.Millisecond)
		}
	})
	closed := k.closed()
	require.Equal(t, want, closed.GetFailure().GetReason(), "%v", closed)
	require.Equal(t, want, k.event("io_error").GetIoError().GetFailure().GetReason())
	require.Zero(t, closed.GetSentBytes())
	return k, closed
}

func versioned(id *tlstest.Identity, version uint16) *tls.Config {
	return &tls.Config{Certificates: []tls.Certificate{id.Certificate()}, MinVersion: version, MaxVersion: version}
}

// Chains that cost more than they are worth are refused, with a report.
func TestThreat16HugeAndExplosiveChains(t *testing.T) {
	t.Parallel()
	w := newHostileWorld(t)
	t.Run("peers", func(t *testing.T) {
		for name, tc := range map[string]struct {
			id      *tlstest.Identity
			reason  pb.ErrorReason
			problem string
		}{
			"17 certificates": {forged(hostile.ManyCertificates(w.ca.CA, 16)), pb.ErrorReason_ERROR_REASON_CERTIFICATE_UNDETERMINED, "CHAIN_TOO_LARGE"},
			"200 KiB":         {forged(hostile.LargeCertificates(w.ca.CA, 8, 25<<10)), pb.ErrorReason_ERROR_REASON_CERTIFICATE_UNDETERMINED, "CHAIN_TOO_LARGE"},
			"one of 40 KiB":   {forged(hostile.LargeCertificates(w.ca.CA, 1, 40<<10)), pb.ErrorReason_ERROR_REASON_CERTIFICATE_UNDETERMINED, "CHAIN_TOO_LARGE"},
			"5000 names":      {w.ca.Leaf(tlstest.Names(manyNames(5000)...)), pb.ErrorReason_ERROR_REASON_CERTIFICATE_UNDETERMINED, "CHAIN_TOO_LARGE"},
			"1500 names by as many constraints": {
				w.ca.Intermediate(tlstest.PermittedDNS(manyNames(1500)[1:]...)).Leaf(tlstest.Names(manyNames(1500)...)),
				pb.ErrorReason_ERROR_REASON_CERTIFICATE_INVALID_CHAIN, "NAME_CONSTRAINT_VIOLATED",
			},
			"15 of one name": {forged(hostile.Explosive(15)), pb.ErrorReason_ERROR_REASON_CERTIFICATE_UNTRUSTED_SIGNERS, "SELF_SIGNED_CERTIFICATE_IN_CHAIN"},
		} {
			t.Run(name, func(t *testing.T) {
				t.Parallel()
				bothVersions(t, func(t *testing.T, version uint16) {
					k := open(t, w.c, tlstest.Serve(t, versioned(tc.id, version), tlstest.Echo), w.ca)
					closed := k.closed()
					require.Equal(t, tc.reason, closed.GetFailure().GetReason(), "%v", closed)
					require.Equal(t, tc.problem, closed.GetFailure().GetMetadata()["problem"])
					require.Zero(t, closed.GetSentBytes())
				})
			})
		}
	})
	w.neighbour.talks()
}

func forged(id *forge.Identity) *tlstest.Identity { return &tlstest.Identity{Identity: id} }

func manyNames(n int) []string {
	names := []string{"127.0.0.1"}
	for i := range n {
		names = append(names, fmt.Sprintf("n%d.example", i))
	}
	return names
}

// A handshake that takes too long is the handshake clock's, one that is out of proportion or makes no sense is broken off
// at once: the clock is set to the test's patience then.
func TestThreat17SlowAndEndlessHandshakes(t *testing.T) {
	t.Parallel()
	w := newHostileWorld(t)
	const (
		late       = pb.ErrorReason_ERROR_REASON_HANDSHAKE_TIMEOUT
		misbehaved = pb.ErrorReason_ERROR_REASON_PEER_MISBEHAVED
		notTLS     = pb.ErrorReason_ERROR_REASON_NOT_TLS
		truncated  = pb.ErrorReason_ERROR_REASON_PEER_TRUNCATED
	)
	leaf, large := w.leaf(), forged(hostile.LargeCertificates(w.ca.CA, 4, 20<<10))
	flight := func(id *tlstest.Identity, version uint16, f hostile.Flight) func(testing.TB) string {
		return func(tb testing.TB) string {
			return tlstest.ServeRaw(tb, hostile.FlightServer(tb.Context(), versioned(id, version), f, tlstest.Echo))
		}
	}
	raw := func(handle func(net.Conn)) func(testing.TB) string {
		return func(tb testing.TB) string { return tlstest.ServeRaw(tb, handle) }
	}
	t.Run("peers", func(t *testing.T) {
		for name, tc := range map[string]struct {
			serve func(testing.TB) string
			want  pb.ErrorReason
		}{
			"says nothing":                       {raw(hostile.Silent), late},
			"a byte at a time":                   {raw(hostile.Drip(20 * time.Millisecond)), late},
			"ends in its hello":                  {raw(hostile.EndsMidHello), truncated},
			"a hello in records of one byte":     {raw(hostile.HelloInCrumbs), misbehaved},
			"HelloRetryRequest twice":            {raw(hostile.RetriesTwice), misbehaved},
			"warnings, for ever":                 {raw(hostile.Repeat(21, 3, 3, 0, 2, 1, 90)), misbehaved},
			"records without content, for ever":  {raw(hostile.Repeat(22, 3, 3, 0, 0)), misbehaved},
			"change_cipher_spec, for ever":       {raw(hostile.Repeat(20, 3, 3, 0, 1, 1)), notTLS},
			"another protocol":                   {raw(hostile.Repeat([]byte("SSH-2.0-OpenSSH_9.6\r\n")...)), notTLS},
			"change_cipher_spec after the hello": {flight(leaf, tls.VersionTLS13, hostile.Flight{After: []byte{20, 3, 3, 0, 1, 1}}), misbehaved},
			"80 KiB in records of one byte, 1.2": {flight(large, tls.VersionTLS12, hostile.Flight{Size: 1}), misbehaved},
			"80 KiB in records of one byte, 1.3": {flight(large, tls.VersionTLS13, hostile.Flight{Size: 1}), misbehaved},
			"records of 16 KiB with one byte":    {flight(leaf, tls.VersionTLS13, hostile.Flight{Size: 1, Padding: 1<<14 - 1}), misbehaved},
		} {
			t.Run(name, func(t *testing.T) {
				t.Parallel()
				k, closed := w.meets(t, tc.serve(t), tc.want)
				require.NotContains(t, k.kinds(), "secure_connected")
				require.Zero(t, closed.GetReceivedBytes())
			})
		}
	})
	w.neighbour.talks()
}

// What floods after the handshake is reset, as the one at fault.
func TestThreat18FloodsAfterTheHandshake(t *testing.T) {
	t.Parallel()
	w := newHostileWorld(t)
	leaf := w.leaf()
	t.Run("peers", func(t *testing.T) {
		for _, script := range hostile.Floods() {
			t.Run(script.Name+" under "+tls.VersionName(script.Version), func(t *testing.T) {
				t.Parallel()
				addr := tlstest.ServeRaw(t, hostile.Server(t.Context(), versioned(leaf, script.Version), script.Run))
				k, closed := w.meets(t, addr, pb.ErrorReason_ERROR_REASON_PEER_MISBEHAVED)
				require.Contains(t, k.kinds(), "secure_connected")
				require.NotContains(t, k.kinds(), "remote_closed", "the service ends it")
				require.Equal(t, pb.CloseCause_CLOSE_CAUSE_ERROR, closed.GetCause())
				require.Equal(t, pb.CloseCause_CLOSE_CAUSE_ERROR, closed.GetReadCause())
				require.Equal(t, pb.CloseCause_CLOSE_CAUSE_ERROR, closed.GetWriteCause())
				require.Less(t, closed.GetReceivedBytes(), int64(4<<10))
				require.Len(t, k.data, int(closed.GetReceivedBytes()), "what had come before is given")
				_, alerted := closed.GetFailure().GetMetadata()["alert"]
				require.Equal(t, !script.Uncounted, alerted, "%v", closed.GetFailure())
			})
		}
	})
	w.neighbour.talks()
}

// What an honest peer may do is no flood: bytes hidden in padding.
func TestThreat18PaddingIsNoFlood(t *testing.T) {
	t.Parallel()
	const records = 300
	w := newHostileWorld(t)
	addr := tlstest.ServeRaw(t, hostile.Server(t.Context(), versioned(w.leaf(), tls.VersionTLS13), func(p *hostile.Peer) {
		hostile.PaddedBytes(p, records)
	}))
	k := open(t, w.c, addr, w.ca)
	k.secure()
	k.finish()
	closed := k.closed()
	require.Nil(t, closed.GetFailure(), "%v", closed)
	require.EqualValues(t, records, closed.GetReceivedBytes())
	w.neighbour.talks()
}

// A listener has the world for peers.
func TestThreat18FloodsOfClients(t *testing.T) {
	t.Parallel()
	w := secureListener(t, nil)
	a := w.accept(0)
	peer := w.dial()
	neighbour := w.attach(a.next())
	w.talks(peer, neighbour)
	for _, script := range hostile.Floods() {
		version := func(c *tls.Config) { c.MinVersion, c.MaxVersion = script.Version, script.Version }
		raw, done := w.dialPlain(), make(chan struct{})
		go func() {
			defer close(done)
			hostile.Attack(t.Context(), raw, w.clientConfig(version), script.Run)
		}()
		k := w.attach(a.next())
		closed := k.closed()
		require.Equal(t, pb.ErrorReason_ERROR_REASON_PEER_MISBEHAVED, closed.GetFailure().GetReason(), "%s: %v", script.Name, closed)
		require.Equal(t, pb.CloseCause_CLOSE_CAUSE_ERROR, closed.GetCause())
		require.Less(t, closed.GetReceivedBytes(), int64(4<<10))
		require.NoError(t, k.end())
		<-done
	}
	w.talks(peer, neighbour)
}

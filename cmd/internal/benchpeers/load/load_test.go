package load

import (
	"context"
	"crypto/tls"
	"net"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// startPeer starts a peer until the test ends, and returns the direct way to it, as change makes it.
func startPeer(t *testing.T, resuming bool, change func(*tls.Config)) (*Peer, Dial) {
	t.Helper()
	identity, err := NewIdentity()
	require.NoError(t, err)
	peer, err := StartPeer(identity, resuming)
	require.NoError(t, err)
	t.Cleanup(peer.Close)
	config, err := ClientConfig(identity.CA)
	require.NoError(t, err)
	if change != nil {
		change(config)
	}
	dialer := &tls.Dialer{Config: config}
	return peer, func(ctx context.Context) (net.Conn, error) { return dialer.DialContext(ctx, "tcp", peer.Address()) }
}

func requirePlausible(t *testing.T, l Latencies) {
	t.Helper()
	require.Positive(t, l.Count)
	require.Positive(t, l.Rate())
	require.Positive(t, l.P50)
	require.GreaterOrEqual(t, l.P99, l.P50)
}

func TestEveryMeasurementMeasures(t *testing.T) {
	t.Parallel()
	const slice = 10 * time.Millisecond
	peer, dial := startPeer(t, false, nil)
	for _, direction := range []Direction{Down, Up} {
		moved, err := Bulk(t.Context(), dial, direction, 2, slice)
		require.NoError(t, err)
		require.GreaterOrEqual(t, moved.Bytes, int64(2*bulkRequest))
		require.Positive(t, moved.Rate())
	}
	for _, size := range []int{MinMessage, MaxMessage} {
		echoes, err := Echo(t.Context(), dial, size, 2, slice)
		require.NoError(t, err)
		requirePlausible(t, echoes)
	}
	for _, echoed := range []bool{false, true} {
		opened, err := Openings(t.Context(), dial, 2, echoed, slice)
		require.NoError(t, err)
		requirePlausible(t, opened)
	}
	require.NoError(t, peer.Err())
}

func TestCrowd(t *testing.T) {
	t.Parallel()
	_, dial := startPeer(t, false, nil)
	crowd, err := OpenCrowd(t.Context(), dial, 5)
	require.NoError(t, err)
	defer crowd.Close()
	require.NoError(t, crowd.Touch(16<<10))
	for _, s := range crowd.sessions {
		require.Nil(t, s.chunk, "an idle session holds no buffer")
	}
	paced, err := crowd.Pace(t.Context(), 64, 1_000, 20*time.Millisecond)
	require.NoError(t, err)
	requirePlausible(t, paced)
	_, err = crowd.Pace(t.Context(), 64, 0, time.Millisecond)
	require.Error(t, err)
}

func TestTermsAreInsistedOn(t *testing.T) {
	t.Parallel()
	peer, dial := startPeer(t, false, func(c *tls.Config) {
		c.CurvePreferences = []tls.CurveID{tls.X25519}
		c.MinVersion, c.MaxVersion = tls.VersionTLS12, tls.VersionTLS12
	})
	_, err := Echo(t.Context(), dial, 64, 1, time.Millisecond)
	require.Error(t, err)
	require.NoError(t, peer.Err(), "that is no handshake at all")

	good := tls.ConnectionState{Version: tls.VersionTLS13, CipherSuite: tls.TLS_AES_128_GCM_SHA256, CurveID: tls.X25519}
	require.NoError(t, peer.judge(good))
	for _, break1 := range []func(*tls.ConnectionState){
		func(s *tls.ConnectionState) { s.Version = tls.VersionTLS12 },
		func(s *tls.ConnectionState) { s.CipherSuite = tls.TLS_CHACHA20_POLY1305_SHA256 },
		func(s *tls.ConnectionState) { s.CurveID = tls.X25519MLKEM768 },
		func(s *tls.ConnectionState) { s.DidResume = true },
	} {
		state := good
		break1(&state)
		require.Error(t, peer.judge(state))
	}
}

func TestResumingPeerResumes(t *testing.T) {
	t.Parallel()
	peer, dial := startPeer(t, true, func(c *tls.Config) { c.ClientSessionCache = tls.NewLRUClientSessionCache(1) })
	for _, want := range []bool{false, true} {
		s, err := Open(t.Context(), dial)
		require.NoError(t, err)
		_, err = s.Echo(64) // the ticket comes with it
		require.NoError(t, err)
		require.Equal(t, want, s.conn.(*tls.Conn).ConnectionState().DidResume)
		require.NoError(t, s.Close())
	}
	require.NoError(t, peer.Err())
}

// A peer that never answers must not hold up a measurement for longer than its context.
func TestContextEndsAMeasurement(t *testing.T) {
	t.Parallel()
	near, far := net.Pipe()
	defer near.Close()
	defer far.Close()
	go func() { // takes everything, until the end of the test
		for chunk := make([]byte, 1<<10); ; {
			if _, err := far.Read(chunk); err != nil {
				return
			}
		}
	}()
	ctx, cancel := context.WithCancel(t.Context())
	s, err := Open(ctx, func(context.Context) (net.Conn, error) { return near, nil })
	require.NoError(t, err)
	cancel()
	_, err = s.Echo(64)
	require.Error(t, err)
	require.NoError(t, s.Close())
}

func TestClosedPeerEndsItsSessions(t *testing.T) {
	t.Parallel()
	peer, dial := startPeer(t, false, nil)
	s, err := Open(t.Context(), dial)
	require.NoError(t, err)
	defer s.Close()
	_, err = s.Echo(64)
	require.NoError(t, err)
	peer.Close()
	peer.Close()
	_, err = s.Echo(64)
	require.Error(t, err)
}

func TestQuantile(t *testing.T) {
	t.Parallel()
	require.Zero(t, quantile(nil, 0.5))
	hundred := make([]time.Duration, 100)
	for i := range hundred {
		hundred[i] = time.Duration(i)
	}
	require.Equal(t, time.Duration(50), quantile(hundred, 0.50))
	require.Equal(t, time.Duration(99), quantile(hundred, 0.99))
	require.Equal(t, time.Duration(99), quantile(hundred, 1))
}

func FuzzRequest(f *testing.F) {
	for _, r := range []request{{pull, 1}, {push, maxBulk}, {bounce, MinMessage}} {
		p := make([]byte, requestBytes)
		r.put(p)
		f.Add(p)
	}
	f.Add([]byte("GET / HTTP"))
	f.Fuzz(func(t *testing.T, p []byte) {
		r, err := parseRequest(p)
		if err != nil {
			return
		}
		require.Positive(t, r.size)
		require.LessOrEqual(t, r.size, maxBulk)
		if r.kind == bounce {
			require.LessOrEqual(t, r.size, chunkBytes)
			require.GreaterOrEqual(t, r.size, requestBytes)
		}
		again := make([]byte, requestBytes)
		r.put(again)
		require.Equal(t, p, again)
	})
}

package server_test

import (
	"context"
	"crypto/tls"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/sync/errgroup"
	"google.golang.org/protobuf/types/known/durationpb"

	pb "securesocket/gen/securesocket/v1"
	"securesocket/tlsengine/tlstest"
	"securesocket/tlsengine/tlstest/hostile"
)

// flip is a bit of the handshake that somebody on the way turns over.
type flip struct {
	fromServer bool
	nth, at    int // which record, and which of its bytes
	mask       byte
}

// inClear are the records of a handshake that pass before the first that is not: of each direction.
func (r *road) inClear(t *testing.T) (sent map[bool][][]byte) {
	t.Helper()
	var mu sync.Mutex
	sent, hidden := make(map[bool][][]byte), make(map[bool]bool)
	k := r.travel(t, func(fromServer bool, _ int, record []byte) []byte {
		mu.Lock()
		defer mu.Unlock()
		if hidden[fromServer] = hidden[fromServer] || record[0] == hostile.ApplicationData; !hidden[fromServer] {
			sent[fromServer] = append(sent[fromServer], slices.Clone(record))
		}
		return record
	}, nil)
	k.until(func() bool { return string(k.data) == "a secret" })
	k.cancel()
	mu.Lock()
	defer mu.Unlock()
	r.reached.Store(0)
	return sent
}

// flips are a sample of all that can be turned over: the headers whole, and of the messages every so many bytes.
func flips(sent map[bool][][]byte, every int) (all []flip) {
	for _, fromServer := range []bool{false, true} {
		for nth, record := range sent[fromServer] {
			last := len(record) - 4 // a signature may be shorter next time
			for at := 0; at < len(record); at++ {
				if at < 12 || at < last && (at+nth)%every == 0 {
					all = append(all, flip{fromServer, nth, at, 1 << (at % 8)})
				}
			}
		}
	}
	return all
}

// No bit of the handshake can be turned over so that a session comes up that is not the one which both sides mean.
func TestThreat21EveryByteCounts(t *testing.T) {
	t.Parallel()
	every := 29
	if testing.Short() || raceEnabled {
		every = 97
	}
	bothVersions(t, func(t *testing.T, version uint16) {
		r := newRoad(t, onlyVersion(version))
		g, ctx := errgroup.WithContext(t.Context())
		g.SetLimit(24) // most of those who wait have been told to wait for bytes that do not come
		var mu sync.Mutex
		reasons := make(map[string]int)
		sent := r.inClear(t)
		sample := flips(sent, every)
		require.Greater(t, len(sample), 40)
		for _, f := range sample {
			addr := tlstest.ServeRaw(t, hostile.Between(t.Context(), r.server, f.turn))
			host, port := hostPort(t, addr)
			g.Go(func() error {
				reason, s, err := r.once(ctx, host, port)
				up := s.GetTls()
				switch {
				case err != nil:
					return fmt.Errorf("%+v: %w", f, err)
				case reason == "" && !f.vain(version):
					return fmt.Errorf("%+v: %v", f, s)
				case up != nil && (versionOf(up) != version || up.GetAlpnProtocol() != "first"):
					return fmt.Errorf("%+v: less than both wanted: %v", f, up)
				case reason == "" && up == nil && !slices.Contains(spoilt, strings.TrimPrefix(s.GetLastError().GetReason().String(), "ERROR_REASON_")): // it was up, and is over
					return fmt.Errorf("%+v: %v", f, s)
				case reason != "" && !slices.Contains(spoilt, reason):
					return fmt.Errorf("%+v: the reason is %q", f, reason)
				}
				mu.Lock()
				reasons[reason]++
				mu.Unlock()
				return nil
			})
		}
		require.NoError(t, g.Wait())
		require.Positive(t, reasons["PEER_MISBEHAVED"])
		late := 0
		for _, f := range sample {
			if version == tls.VersionTLS12 && f.fromServer && f.nth >= lastFlight(sent[true]) {
				late++ // the server has all that it wants
			}
		}
		require.LessOrEqual(t, r.reached.Load(), int64(reasons[""]+late), "the server believes in more than the sessions do")
		t.Logf("%d bits: %v", len(sample), reasons)
	})
}

func (f flip) turn(fromServer bool, nth int, record []byte) []byte {
	if fromServer == f.fromServer && nth == f.nth && f.at < len(record) {
		record[f.at] ^= f.mask
	}
	return record
}

// vain are bits of no meaning: of the version that stands in a record's header (RFC 8446, section 5.1), and of the
// change_cipher_spec of a client of TLS 1.3, which has heard and proved all; what comes of that it hears from the server.
func (f flip) vain(version uint16) bool {
	return f.at == 1 || f.at == 2 || version == tls.VersionTLS13 && !f.fromServer && f.nth > 0
}

// lastFlight is where a server of TLS 1.2 begins to answer the client's Finished.
func lastFlight(records [][]byte) int {
	return slices.IndexFunc(records, func(r []byte) bool { return r[0] == hostile.ChangeCipherSpec })
}

// spoilt are the reasons of a handshake that somebody disturbed.
var spoilt = []string{
	"PEER_MISBEHAVED", "PEER_ALERT", "PEER_INCOMPATIBLE", "ALPN_MISMATCH", "NOT_TLS", "HANDSHAKE_TIMEOUT", "PEER_TRUNCATED",
	"PEER_RESET", "CERTIFICATE_INVALID", "CERTIFICATE_UNTRUSTED_SIGNERS", "CERTIFICATE_INVALID_CHAIN",
	"CERTIFICATE_PRINCIPAL_MISMATCH", "CERTIFICATE_EXPIRED", "CERTIFICATE_NOT_YET_VALID",
}

// once is a session of its own: as Connect answers it, or the reason why nothing came up.
func (r *road) once(ctx context.Context, host string, port int32) (reason string, up *pb.Session, err error) {
	created, err := r.c.CreateSession(ctx, &pb.CreateSessionRequest{Settings: &pb.SessionSettings{Tls: &pb.TlsSettings{
		AlpnProtocols: []string{"first", "second"}, HandshakeTimeout: durationpb.New(time.Second),
	}}})
	if err != nil {
		return "", nil, err
	}
	id := created.GetSession().GetSessionId()
	if _, err = r.c.AddCertificate(ctx, &pb.AddCertificateRequest{SessionId: id, Certificate: r.ca.Root().DER(), Trusted: true}); err != nil {
		return "", nil, err
	}
	resp, refused := r.c.Connect(ctx, &pb.ConnectRequest{SessionId: id, Host: host, Port: port})
	reason = infoReason(refused)
	got, err := r.c.GetSession(ctx, &pb.GetSessionRequest{SessionId: id})
	if err != nil {
		return "", nil, err
	}
	if refused == nil {
		up = resp.GetSession()
	} else if state := got.GetSession().GetState(); state != pb.State_STATE_UNCONNECTED || reason == "" {
		return "", nil, fmt.Errorf("state %v, %w", state, refused)
	}
	_, err = r.c.DeleteSession(ctx, &pb.DeleteSessionRequest{SessionId: id})
	return reason, up, err
}

// The same people on the way to a server of others.
func TestThreat21OpenSSL(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		client, server func(*hostile.Hello)
		version        uint16 // 0: the server takes 1.2 and 1.3
		want           pb.ErrorReason
	}{
		"1.2 alone":              {versionsOf(tls.VersionTLS12), nil, 0, misbehaved},
		"1.2, and no sentinel":   {versionsOf(tls.VersionTLS12), anotherRandom, 0, misbehaved},
		"suites taken away":      {lesserSuites, nil, tls.VersionTLS13, misbehaved},
		"ALPN taken away":        {withoutExtensions(hostile.ALPN), nil, tls.VersionTLS13, misbehaved},
		"the server's version":   {nil, withoutExtensions(hostile.SupportedVersions), 0, misbehaved},
		"extended_master_secret": {func(h *hostile.Hello) { versionsOf(tls.VersionTLS12)(h); h.Drop(hostile.ExtendedMasterSecret) }, anotherRandom, 0, misbehaved},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			addr, ca, _ := serveOpenSSL(t, tc.version, t.TempDir(), "-alpn", "first,second")
			r := newRoad(t, onlyVersion(tls.VersionTLS13))
			r.ca, r.server = ca, addr
			same := r.travel(t, hostile.ChangedHellos(nil, nil), nil)
			require.Equal(t, uint16(tls.VersionTLS13), versionOf(same.secure().GetTls()))
			same.cancel()
			r.refused(t, hostile.ChangedHellos(tc.client, tc.server), nil, tc.want)
		})
	}
	t.Run("of 1.2", func(t *testing.T) {
		for name, tc := range map[string]struct {
			client, server func(*hostile.Hello)
			want           pb.ErrorReason
		}{
			"suites taken away":      {lesserSuites, nil, alerted},
			"ALPN taken away":        {withoutExtensions(hostile.ALPN), nil, alerted},
			"extended_master_secret": {withoutExtensions(hostile.ExtendedMasterSecret), nil, alerted},
			"the server's binding":   {nil, withoutExtensions(hostile.ExtendedMasterSecret), alerted},
			"the server's ALPN":      {nil, withoutExtensions(hostile.ALPN), alerted},
		} {
			t.Run(name, func(t *testing.T) {
				t.Parallel()
				addr, ca, _ := serveOpenSSL(t, tls.VersionTLS12, t.TempDir(), "-alpn", "first,second")
				r := newRoad(t, onlyVersion(tls.VersionTLS12))
				r.ca, r.server = ca, addr
				r.refused(t, hostile.ChangedHellos(tc.client, tc.server), nil, tc.want)
			})
		}
	})
}

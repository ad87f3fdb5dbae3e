package door_test

import (
	"crypto/tls"
	"crypto/x509"
	"net"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/credentials/insecure"

	"securesocket/server/door"
	"securesocket/server/servertest/h2attack"
	"securesocket/tlsengine/tlstest"
)

// tlsPair are a server's and a client's configuration.
func tlsPair(tb testing.TB) (server, client *tls.Config) {
	tb.Helper()
	ca := tlstest.NewCA(tb)
	pool := x509.NewCertPool()
	pool.AddCert(ca.Certificate)
	return &tls.Config{Certificates: []tls.Certificate{ca.Leaf().Certificate()}, MinVersion: tls.VersionTLS13, NextProtos: []string{"h2"}},
		&tls.Config{RootCAs: pool, ServerName: "localhost", MinVersion: tls.VersionTLS13, NextProtos: []string{"h2"}}
}

// ownLimit are floods that do not get as far as the meter: grpc-go ends the
// connection, or the flood is none that costs anything (a stream that is not read
// has its window).
var ownLimit = map[string]bool{"CONTINUATION": true, "PING": true, "PING, acks unread": true, "huge headers": true, "zero window": true}

func TestThreat38FloodsAreEnded(t *testing.T) {
	t.Parallel()
	serverTLS, clientTLS := tlsPair(t)
	for name, tc := range map[string]struct {
		network        string
		server, client credentials.TransportCredentials
		header         []hpack.HeaderField
	}{
		"stranger, TCP": {network: "tcp", server: insecure.NewCredentials()},
		"caller, TCP":   {network: "tcp", server: insecure.NewCredentials(), header: []hpack.HeaderField{{Name: callerHeader, Value: "eve"}}},
		"caller, Unix":  {network: "unix", server: insecure.NewCredentials(), header: []hpack.HeaderField{{Name: callerHeader, Value: "eve"}}},
		"stranger, TLS": {network: "tcp", server: credentials.NewTLS(serverTLS), client: credentials.NewTLS(clientTLS)},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			ctx := as(t.Context(), "anna")
			for _, attack := range h2attack.Floods() {
				d := door.New(door.Config{FrameBurst: 1000, FramesPerSecond: 10}) // a slow machine must not make floods slow enough
				addr := serve(t, d, listen(t, tc.network), tc.server)
				dial := func() (net.Conn, error) {
					if tc.client != nil {
						return tls.Dial(tc.network, addr.String(), clientTLS)
					}
					return net.Dial(tc.network, addr.String())
				}
				good := client(t, addr, "", tc.client)
				require.NoError(t, check(ctx, good))
				count := 4_000
				if attack.Name == "HPACK bomb" { // it uses one in a hundred
					count *= 10
				}
				r, err := attack.Run(t.Context(), dial, h2attack.Options{Count: count, Timeout: 10 * time.Second, Header: tc.header})
				require.NoError(t, err)
				require.NoError(t, check(ctx, good), attack.Name)
				if ownLimit[attack.Name] {
					continue
				}
				require.NotEqual(t, h2attack.EndOpen, r.End, attack.Name)
				eventually(t, func() bool { return d.Stats().Flooded == 1 })
				if r.GoAway { // a reset may have overtaken it
					require.Equal(t, http2.ErrCodeEnhanceYourCalm, r.Code, attack.Name)
				}
			}
		})
	}
}

func TestTheEndOfAFloodIsAnnounced(t *testing.T) {
	t.Parallel()
	d := door.New(door.Config{})
	near, far := net.Pipe()
	metered := d.Meter(near)
	// Somebody reads whatever the server's end writes.
	frames := make(chan http2.Frame, 10)
	go func() {
		defer close(frames)
		fr := http2.NewFramer(nil, far)
		for {
			f, err := fr.ReadFrame()
			if err != nil {
				return
			}
			frames <- f
		}
	}()
	go func() {
		_, _ = far.Write([]byte(http2.ClientPreface))
		fr := http2.NewFramer(far, nil)
		for fr.WritePing(false, [8]byte{}) == nil {
			continue
		}
	}()
	require.NoError(t, http2.NewFramer(metered, nil).WriteSettings())
	var flood *door.FloodError
	for buf := make([]byte, 4096); flood == nil; {
		if _, err := metered.Read(buf); err != nil {
			require.ErrorAs(t, err, &flood)
		}
	}
	require.Equal(t, uint8(http2.FramePing), flood.Kind)
	_, err := metered.Read(make([]byte, 1))
	require.ErrorAs(t, err, &flood, "it stays ended")
	var last http2.Frame
	for f := range frames {
		last = f
	}
	require.IsType(t, &http2.GoAwayFrame{}, last)
	require.Equal(t, http2.ErrCodeEnhanceYourCalm, last.(*http2.GoAwayFrame).ErrCode)
	require.Equal(t, uint64(1), d.Stats().Flooded)
}

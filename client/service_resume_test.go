package client_test

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"crypto/tls"
	"encoding/json"
	"errors"
	"io"
	mathrand "math/rand/v2"
	"net"
	"strconv"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/types/known/durationpb"

	"securesocket/client"
	pb "securesocket/gen/securesocket/v1"
	"securesocket/server/servertest"
	"securesocket/tlsengine/tlstest"
)

// way is a way to a service that can be cut.
type way struct {
	service *servertest.Service
	life    func() int64 // how many bytes, in both directions, the next connection lives for

	mu    sync.Mutex
	conns map[net.Conn]bool
	down  bool
}

func newWay(t *testing.T) (*client.Client, *way) {
	t.Helper()
	w := &way{service: servertest.Start(t), conns: map[net.Conn]bool{}}
	c, err := client.Dial("grpc://service:1", client.WithContextDialer(w.dial))
	require.NoError(t, err)
	t.Cleanup(func() { _ = c.Close() })
	return c, w
}

func (w *way) dial(ctx context.Context, address string) (net.Conn, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.down {
		return nil, syscall.ECONNREFUSED
	}
	conn, err := w.service.DialContext(ctx, address)
	if err != nil {
		return nil, err
	}
	c := &cuttable{Conn: conn, left: -1}
	if w.life != nil {
		c.left = w.life()
	}
	w.conns[c] = true
	return c, nil
}

// cut breaks every connection. down: no other can be made until cut is called again without.
func (w *way) cut(down bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.down = down
	for c := range w.conns {
		c.Close()
		delete(w.conns, c)
	}
}

// cuttable is a connection that breaks after some bytes, in the middle of whatever there is.
type cuttable struct {
	net.Conn
	mu   sync.Mutex
	left int64 // -1: it does not break
}

var errCutWay = errors.New("the way was cut")

func (c *cuttable) pass(n int) int {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.left < 0 {
		return n
	}
	k := min(int64(n), c.left)
	c.left -= k
	return int(k)
}

func (c *cuttable) Read(p []byte) (int, error) {
	n, err := c.Conn.Read(p)
	if k := c.pass(n); k < n {
		c.Close()
		return k, errCutWay
	}
	return n, err
}

func (c *cuttable) Write(p []byte) (int, error) {
	k := c.pass(len(p))
	n, err := c.Conn.Write(p[:k])
	if k < len(p) {
		c.Close()
		return n, errCutWay
	}
	return n, err
}

// resumableDialer dials with what the service's tests trust.
func resumableDialer(c *client.Client, ca *tlstest.CA) *client.Dialer {
	return &client.Dialer{Client: c, RootCAs: [][]byte{ca.DER()}, Resumable: true}
}

// TestServiceSurvivesCuts: 16 MiB go each way while the way is cut again and again, and every byte arrives once.
func TestServiceSurvivesCuts(t *testing.T) {
	t.Parallel()
	const total = 16 << 20
	up, down := make([]byte, total), make([]byte, total)
	_, _ = rand.Read(up)
	_, _ = rand.Read(down)
	for name, life := range map[string]func() int64{
		"short lives": func() int64 { return 64<<10 + mathrand.N(int64(512<<10)) },
		"long lives":  func() int64 { return 1<<20 + mathrand.N(int64(4<<20)) },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c, w := newWay(t)
			ca := tlstest.NewCA(t)
			received := make(chan [32]byte, 1)
			address := tlstest.Serve(t, serverConfig(ca), func(peer *tls.Conn) {
				var both sync.WaitGroup
				both.Go(func() {
					_, _ = peer.Write(down)
					_ = peer.CloseWrite()
				})
				hash := sha256.New()
				_, _ = io.Copy(hash, peer)
				both.Wait()
				received <- [32]byte(hash.Sum(nil))
			})
			var resumed int
			d := resumableDialer(c, ca)
			d.OnResume = func(client.Resumed) { resumed++ }
			d.Dedicated = name == "long lives"
			conn, err := d.Dial(t.Context(), "tcp", address)
			require.NoError(t, err)
			w.mu.Lock()
			w.life = life
			w.mu.Unlock()
			w.cut(false)
			var writing sync.WaitGroup
			writing.Go(func() {
				for rest := up; len(rest) > 0; {
					n := min(len(rest), 1+mathrand.N(100<<10))
					if _, err := conn.Write(rest[:n]); err != nil {
						t.Error(err)
						return
					}
					rest = rest[n:]
				}
				if err := conn.CloseWrite(); err != nil {
					t.Error(err)
				}
			})
			hash := sha256.New()
			_, err = io.Copy(hash, conn)
			require.NoError(t, err)
			writing.Wait()
			require.Equal(t, sha256.Sum256(down), [32]byte(hash.Sum(nil)))
			require.NoError(t, conn.Close())
			require.Equal(t, sha256.Sum256(up), <-received)
			require.Greater(t, resumed, 2)
			t.Logf("resumed %d times", resumed)
		})
	}
}

// sessions are those that the service has.
func sessions(t *testing.T, c *client.Client) []*pb.Session {
	t.Helper()
	answer, err := c.Service().ListSessions(t.Context(), &pb.ListSessionsRequest{})
	require.NoError(t, err)
	return answer.GetSessions()
}

func gone(t *testing.T, c *client.Client) {
	t.Helper()
	require.Eventually(t, func() bool { return len(sessions(t, c)) == 0 }, 10*time.Second, 5*time.Millisecond)
}

// TestServiceForgetsResumable: whatever way a resumable connection ends, its session goes at once.
func TestServiceForgetsResumable(t *testing.T) {
	t.Parallel()
	for name, end := range map[string]func(*testing.T, *client.Conn, *way){
		"closed": func(t *testing.T, conn *client.Conn, _ *way) { require.NoError(t, conn.Close()) },
		"closed with bytes unread": func(t *testing.T, conn *client.Conn, _ *way) {
			_, err := conn.Write(make([]byte, 300_000))
			require.NoError(t, err)
			require.NoError(t, conn.Close())
		},
		"aborted": func(_ *testing.T, conn *client.Conn, _ *way) { conn.Abort() },
		"half-closed and read": func(t *testing.T, conn *client.Conn, _ *way) {
			_, err := io.WriteString(conn, greeting)
			require.NoError(t, err)
			require.NoError(t, conn.CloseWrite())
			got, err := io.ReadAll(conn)
			require.NoError(t, err)
			require.Equal(t, greeting, string(got))
		},
		"closed while away": func(t *testing.T, conn *client.Conn, w *way) {
			w.cut(true)
			time.AfterFunc(100*time.Millisecond, func() { w.cut(false) })
			_, err := io.WriteString(conn, greeting)
			require.NoError(t, err)
			require.NoError(t, conn.Close())
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c, w := newWay(t)
			ca := tlstest.NewCA(t)
			conn, err := resumableDialer(c, ca).Dial(t.Context(), "tcp", tlstest.Serve(t, serverConfig(ca), tlstest.Echo))
			require.NoError(t, err)
			require.Len(t, sessions(t, c), 1)
			end(t, conn, w)
			gone(t, c)
		})
	}
}

// TestServiceExpires: the grace is over; the service's own word has the exact numbers.
func TestServiceExpires(t *testing.T) {
	t.Parallel()
	c, w := newWay(t)
	ca := tlstest.NewCA(t)
	d := resumableDialer(c, ca)
	d.Settings = &pb.SessionSettings{DetachGrace: durationpb.New(time.Second)}
	conn, err := d.Dial(t.Context(), "tcp", tlstest.Serve(t, serverConfig(ca), tlstest.Echo))
	require.NoError(t, err)
	_, err = io.WriteString(conn, greeting)
	require.NoError(t, err)
	_, err = io.ReadFull(conn, make([]byte, len(greeting)))
	require.NoError(t, err)
	w.cut(true)
	service := w.service.Client(t) // another way to it
	require.Eventually(t, func() bool {
		_, err := service.GetSession(t.Context(), &pb.GetSessionRequest{SessionId: conn.SessionID()})
		return err != nil
	}, 20*time.Second, 10*time.Millisecond, "the grace is over")
	w.cut(false)
	_, err = conn.Read(make([]byte, 1))
	e := requireError(t, err, pb.ErrorReason_ERROR_REASON_SESSION_EXPIRED)
	for _, key := range []string{"accepted_bytes", "written_bytes", "received_bytes"} {
		require.Equal(t, strconv.Itoa(len(greeting)), e.Metadata[key], key)
	}
	require.Equal(t, "1", e.Metadata["generation"])
	require.NoError(t, conn.Close(), "all of it was delivered")
}

// TestServiceResumesABookmark: kill and resume, against the real service.
func TestServiceResumesABookmark(t *testing.T) {
	t.Parallel()
	c, _ := newWay(t)
	ca := tlstest.NewCA(t)
	d := resumableDialer(c, ca)
	d.ManualAck = true
	conn, err := d.Dial(t.Context(), "tcp", tlstest.Serve(t, serverConfig(ca), tlstest.Echo))
	require.NoError(t, err)
	_, err = io.WriteString(conn, greeting)
	require.NoError(t, err)
	_, err = io.ReadFull(conn, make([]byte, len(greeting)))
	require.NoError(t, err)
	conn.Ack(3)
	b := conn.Bookmark()
	b.ReceivedOffset = 4
	data, err := json.Marshal(b)
	require.NoError(t, err)
	b = client.Bookmark{}
	require.NoError(t, json.Unmarshal(data, &b))

	again, err := d.Resume(t.Context(), b)
	require.NoError(t, err)
	_, err = conn.Read(make([]byte, 1))
	requireError(t, err, pb.ErrorReason_ERROR_REASON_SUPERSEDED)
	require.EqualValues(t, len(greeting), again.SentOffset())
	require.Equal(t, conn.RemoteAddr(), again.RemoteAddr())
	require.Equal(t, conn.ConnectionState(), again.ConnectionState())
	require.Equal(t, conn.TrustBasis(), again.TrustBasis())
	require.Equal(t, conn.CertificateStatus(), again.CertificateStatus())
	_, err = io.WriteString(again, "!")
	require.NoError(t, err)
	require.NoError(t, again.CloseWrite())
	rest, err := io.ReadAll(again)
	require.NoError(t, err)
	require.Equal(t, greeting[4:]+"!", string(rest))
	require.NoError(t, again.Close())
	gone(t, c)
}

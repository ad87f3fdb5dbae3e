package callers

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
)

func TestFaultsOfHandshakes(t *testing.T) {
	t.Parallel()
	certificate := func(why CertificateFault, err error) error {
		return fmt.Errorf("while it was judged: %w", &CertificateError{Why: why, Err: err})
	}
	for _, tc := range []struct {
		err  error
		want handshakeFault
	}{
		{certificate(CertificateUntrusted, x509.UnknownAuthorityError{}), faultUnknownAuthority},
		{certificate(CertificateUntrusted, x509.CertificateInvalidError{Reason: x509.IncompatibleUsage}), faultBadCertificate},
		{certificate(CertificateExpired, nil), faultExpired},
		{certificate(CertificateRevoked, nil), faultRevoked},
		{certificate(CertificateRevocationStale, nil), faultRevoked},
		{certificate(CertificateName, nil), faultBadCertificate},
		{&net.OpError{Op: "remote error", Err: tls.AlertError(42)}, faultAlert},
		{&net.OpError{Op: "read", Err: os.ErrDeadlineExceeded}, faultTimeout},
		{&net.OpError{Op: "read", Err: syscall.ECONNRESET}, faultClosed},
		{&net.OpError{Op: "write", Err: syscall.EPIPE}, faultClosed},
		{io.EOF, faultClosed},
		{io.ErrUnexpectedEOF, faultClosed},
		{io.ErrClosedPipe, faultClosed},
		{net.ErrClosed, faultClosed},
		{errors.New("anything else"), faultProtocol},
	} {
		require.Equal(t, tc.want, faultOf(tc.err), "%v", tc.err)
	}
}

func TestWarningsOfHandshakesAreCounted(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var h handshakeFailures
		due := func(want int, ok bool) {
			t.Helper()
			more, now := h.due(slog.New(slog.DiscardHandler), nil)
			require.Equal(t, ok, now)
			require.Equal(t, want, more)
		}
		due(0, true)
		due(0, false)
		due(0, false)
		time.Sleep(time.Second - time.Nanosecond)
		due(0, false)
		h.timer.Stop() // the next one comes before it
		h.timer = nil
		h.writing.Done()
		time.Sleep(time.Nanosecond)
		due(3, true)
		time.Sleep(time.Second)
		due(0, true)
	})
}

// told has how many failures each warning of a rest tells of.
type told struct {
	slog.Handler

	mu    sync.Mutex
	rests []int64
}

func (*told) Enabled(context.Context, slog.Level) bool { return true }

func (h *told) Handle(_ context.Context, r slog.Record) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	r.Attrs(func(a slog.Attr) bool {
		if a.Key == "failures" {
			h.rests = append(h.rests, a.Value.Int64())
		}
		return true
	})
	return nil
}

// TestTheRestOfASecondIsTold: without a further failure, and at the end without waiting.
func TestTheRestOfASecondIsTold(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var h handshakeFailures
		log := &told{Handler: slog.DiscardHandler}
		fail := func(n int) {
			for range n {
				h.due(slog.New(log), []any{"address", "192.0.2.1:1"})
			}
		}
		rests := func() []int64 {
			synctest.Wait()
			log.mu.Lock()
			defer log.mu.Unlock()
			return slices.Clone(log.rests)
		}
		fail(3)
		require.Empty(t, rests())
		time.Sleep(time.Minute)
		require.Equal(t, []int64{2}, rests())
		fail(1)
		time.Sleep(time.Minute)
		require.Equal(t, []int64{2}, rests(), "a warning of its own told it")
		fail(1)
		for range 10 { // however many there are, one a second
			fail(100)
			time.Sleep(failuresEvery / 10)
		}
		require.Equal(t, []int64{2, 1000}, rests())
		fail(5)
		h.close(slog.New(log))
		require.Equal(t, []int64{2, 1000, 5}, rests())
		fail(5)
		time.Sleep(time.Minute)
		require.Equal(t, []int64{2, 1000, 5}, rests(), "nothing is written once it is closed")
	})
}

// stuck is a log that takes nothing until it is let go.
type stuck struct {
	slog.Handler

	begun, free chan struct{}
}

func (*stuck) Enabled(context.Context, slog.Level) bool { return true }

func (h *stuck) Handle(context.Context, slog.Record) error {
	close(h.begun)
	<-h.free
	return nil
}

// TestALogThatIsStuckHoldsNobody else, and the end waits for it.
func TestALogThatIsStuckHoldsNobody(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var h handshakeFailures
		log := &stuck{slog.DiscardHandler, make(chan struct{}), make(chan struct{})}
		h.due(slog.New(log), nil)
		h.due(slog.New(log), nil)
		<-log.begun
		require.True(t, h.mu.TryLock(), "nobody waits for the log")
		h.mu.Unlock()
		ended := make(chan struct{})
		go func() {
			defer close(ended)
			h.close(slog.New(log))
		}()
		synctest.Wait()
		select {
		case <-ended:
			require.Fail(t, "the timer still writes")
		default:
		}
		close(log.free)
		<-ended
	})
}

// leaving is a connection whose other end goes as soon as it has spoken.
type leaving struct{ net.Conn }

func (c leaving) Read([]byte) (int, error) {
	_ = c.Close()
	return 0, io.EOF
}

func TestWhoGoesWithoutAWordIsNoWarning(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		goes func(net.Conn)
		want string
	}{
		"without a word":      {func(c net.Conn) { _ = c.Close() }, "level=DEBUG"},
		"after a ClientHello": {func(c net.Conn) { _ = tls.Client(leaving{c}, &tls.Config{ServerName: "a.example"}).Handshake() }, "level=WARN"},
		"with something else": {func(c net.Conn) { _, _ = io.WriteString(c, "GET / HTTP/1.1\r\n\r\n"); _ = c.Close() }, "level=WARN"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			near, far := net.Pipe()
			defer near.Close()
			go tc.goes(far)
			conn := tls.Server(near, &tls.Config{GetCertificate: func(*tls.ClientHelloInfo) (*tls.Certificate, error) {
				_, err := near.Read(make([]byte, 1)) // until the other end is gone
				return nil, err
			}})
			err := conn.Handshake()
			require.Error(t, err)
			var log strings.Builder
			new(handshakeFailures).tell(slog.New(slog.NewTextHandler(&log, &slog.HandlerOptions{Level: slog.LevelDebug})), conn, err)
			require.Contains(t, log.String(), tc.want)
		})
	}
}

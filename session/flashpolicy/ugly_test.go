package flashpolicy_test

import (
	"context"
	"errors"
	"io"
	"net"
	"strings"
	"sync"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"securesocket/session/flashpolicy"

	"github.com/stretchr/testify/require"
)

// TestWhatIsNoFile: a port that has none, whatever it has, is passed over, and the next one is asked.
func TestWhatIsNoFile(t *testing.T) {
	t.Parallel()
	for name, handle := range map[string]func(net.Conn){
		"an end":        func(net.Conn) {},
		"a late end":    func(conn net.Conn) { heard(conn) },
		"a reset":       func(conn net.Conn) { _ = conn.(*net.TCPConn).SetLinger(0) },
		"a NUL":         says("\x00"),
		"spaces":        says(" \r\n\t\x00"),
		"a BOM":         says("\xef\xbb\xbf\x00"),
		"an alert":      says("\x15\x03\x03\x00\x02\x02\x46"),
		"a page":        says("<!doctype html><html><body><br></html>\x00"),
		"an older page": says("<html>\r\n<head><title>400 Bad Request</title></head>"),
		"HTTP":          says("HTTP/1.1 400 Bad Request\r\n\r\n<cross-domain-policy>"),
		"XMPP":          says("<?xml version='1.0'?><stream:stream xmlns:stream='http://etherx.jabber.org/streams'>"),
		"telnet":        says("\xff\xfb\x01"),
		"another root":  says("<x>" + policy(everybody)),
		"a namespace":   says(`<cross-domain-policy xmlns="urn:x"/>` + "\x00"),
		"binary":        says("\x01\x02\x03\xff" + policy(everybody)),
		"binary without end": func(conn net.Conn) {
			for err := error(nil); err == nil; _, err = conn.Write(make([]byte, 4096)) {
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			h := newHost(t, map[int]func(net.Conn){843: handle, 5000: says(policy(everybody))})
			require.NoError(t, checker(t, flashpolicy.Config{}).Check(t.Context(), "h", 5000, h.dial, nil))
			require.Equal(t, []string{"843", "5000"}, h.asked)

			h = newHost(t, map[int]func(net.Conn){5000: handle})
			err := checker(t, flashpolicy.Config{}).Check(t.Context(), "h", 5000, h.dial, nil)
			requireDenied(t, err, flashpolicy.RuleNone, "h:843, h:5000")
		})
	}
}

// TestMalformedFile: what begins as a file and is none is a refusal on any port, and nobody else is asked.
func TestMalformedFile(t *testing.T) {
	t.Parallel()
	noNUL := strings.TrimSuffix(policy(everybody), "\x00")
	long := strings.Repeat(" ", 20<<10)
	for name, text := range map[string]string{
		"no NUL":        noNUL,
		"too large":     "<cross-domain-policy>" + long + "</cross-domain-policy>\x00",
		"half":          noNUL[:len(noNUL)/2] + "\x00",
		"half, no NUL":  noNUL[:len(noNUL)/2],
		"UTF-16":        "\xff\xfe<\x00c\x00",
		"UTF-16, other": "\xfe\xff\x00<\x00c",
		"not its end":   "<cross-domain-policy>" + everybody + "</x>\x00",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			h := newHost(t, map[int]func(net.Conn){843: says(text), 5000: says(policy(everybody))})
			err := checker(t, flashpolicy.Config{}).Check(t.Context(), "h", 5000, h.dial, h.secureDial)
			requireDenied(t, err, flashpolicy.RuleMalformed, "h:843")
			require.Equal(t, []string{"843"}, h.asked)

			h = newHost(t, map[int]func(net.Conn){5000: says(text), 6000: says(policy(everybody))})
			err = checker(t, flashpolicy.Config{Ports: []int{6000}}).Check(t.Context(), "h", 5000, h.dial, h.secureDial)
			requireDenied(t, err, flashpolicy.RuleMalformed, "h:5000")
		})
	}
}

// TestLargest: the bound is of the file, to the byte, and what comes behind the NUL is not looked at.
func TestLargest(t *testing.T) {
	t.Parallel()
	fits := policy(everybody)
	for _, c := range []struct {
		most int
		rule string
	}{{len(fits) - 1, ""}, {len(fits) - 2, flashpolicy.RuleMalformed}} {
		for _, more := range []string{"", "<more/>\x00"} {
			h := newHost(t, map[int]func(net.Conn){843: says(fits + more)})
			err := checker(t, flashpolicy.Config{MaxBytes: c.most}).Check(t.Context(), "h", 1, h.dial, nil)
			if c.rule == "" {
				require.NoError(t, err)
				continue
			}
			requireDenied(t, err, c.rule, "h:843")
		}
	}
}

// TestEveryPiece: a file may come in any pieces.
func TestEveryPiece(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		for _, text := range []string{policy(everybody), "\xef\xbb\xbf \n" + policy(everybody)} {
			for size := range len(text) {
				err := checker(t, flashpolicy.Config{}).Check(t.Context(), "h", 1, piped(t, func(conn net.Conn) {
					if !heard(conn) {
						return
					}
					for rest := text; rest != ""; {
						n := min(size+1, len(rest))
						_, _ = io.WriteString(conn, rest[:n])
						rest = rest[n:]
						time.Sleep(time.Millisecond)
					}
				}), nil)
				require.NoError(t, err)
			}
		}
	})
}

// piped dials what does the same on every port.
func piped(tb testing.TB, handle func(net.Conn)) flashpolicy.Dial {
	tb.Helper()
	var handlers sync.WaitGroup
	tb.Cleanup(handlers.Wait)
	return func(context.Context, int) (net.Conn, error) {
		near, far := net.Pipe()
		handlers.Go(func() {
			defer far.Close()
			handle(far)
		})
		return near, nil
	}
}

// TestSlow: each port has its time and no more of it, whatever it does with it.
func TestSlow(t *testing.T) {
	t.Parallel()
	drip := func(text string) func(net.Conn) {
		return func(conn net.Conn) {
			heard(conn)
			for _, c := range []byte(text) {
				if _, err := conn.Write([]byte{c}); err != nil {
					return
				}
				time.Sleep(100 * time.Millisecond)
			}
		}
	}
	for name, tc := range map[string]struct {
		handle func(net.Conn) // nil: no answer to the dial
		rule   string
		ports  int // that are waited for
	}{
		"silent": {func(conn net.Conn) { _, _ = io.Copy(io.Discard, conn) }, flashpolicy.RuleNone, 2},
		"deaf": {func(conn net.Conn) {
			time.Sleep(time.Hour)
			_, _ = io.Copy(io.Discard, conn)
		}, flashpolicy.RuleNone, 2},
		"spaces, one by one": {drip(strings.Repeat(" ", 1000)), flashpolicy.RuleNone, 2},
		"a file, bit by bit": {drip("<cross-domain-policy>" + strings.Repeat(" ", 1000)), flashpolicy.RuleMalformed, 1},
		"a greeting, and then silence": {func(conn net.Conn) {
			heard(conn)
			_, _ = io.WriteString(conn, "220 mail.example\r\n")
			_, _ = io.Copy(io.Discard, conn)
		}, flashpolicy.RuleNone, 0},
		"no answer to the dial": {nil, flashpolicy.RuleNone, 2},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				dial := func(ctx context.Context, _ int) (net.Conn, error) {
					<-ctx.Done()
					return nil, ctx.Err()
				}
				if tc.handle != nil {
					dial = piped(t, tc.handle)
				}
				began := time.Now()
				err := checker(t, flashpolicy.Config{}).Check(t.Context(), "h", 5000, dial, nil)
				require.Equal(t, time.Duration(tc.ports)*3*time.Second, time.Since(began)) // the bubble's clock
				source := "h:843"
				if tc.rule == flashpolicy.RuleNone {
					source += ", h:5000"
				}
				requireDenied(t, err, tc.rule, source)
			})
		})
	}
}

// TestEnd: the context ends it at once, with its cause, and that is no refusal.
func TestEnd(t *testing.T) {
	t.Parallel()
	cause := errors.New("made up")
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancelCause(t.Context())
		began := time.Now()
		time.AfterFunc(time.Second, func() { cancel(cause) })
		silent := piped(t, func(conn net.Conn) { _, _ = io.Copy(io.Discard, conn) })
		err := checker(t, flashpolicy.Config{}).Check(ctx, "h", 5000, silent, silent)
		require.ErrorIs(t, err, cause)
		require.NotErrorAs(t, err, new(*flashpolicy.DeniedError))
		require.Equal(t, time.Second, time.Since(began))

		err = checker(t, flashpolicy.Config{}).Check(ctx, "h", 5000, func(context.Context, int) (net.Conn, error) {
			return nil, syscall.ECONNREFUSED
		}, nil)
		require.ErrorIs(t, err, cause)
	})
}

// TestUnasked: a server of nothing else may send its file and close before it has read anything.
func TestUnasked(t *testing.T) {
	t.Parallel()
	h := newHost(t, map[int]func(net.Conn){843: func(conn net.Conn) {
		_, _ = io.WriteString(conn, policy(everybody))
		_, _ = io.Copy(io.Discard, conn)
	}})
	require.NoError(t, checker(t, flashpolicy.Config{}).Check(t.Context(), "h", 443, h.dial, nil))
}

func TestConfig(t *testing.T) {
	t.Parallel()
	for _, cfg := range []flashpolicy.Config{
		{},
		{Origin: "example.com"},
		{Origin: "2001:db8::1"},
		{Origin: "192.0.2.1", Ports: []int{1, 65535, 5, 6}, Timeout: time.Hour, MaxBytes: 1 << 20},
	} {
		_, err := flashpolicy.New(cfg)
		require.NoError(t, err)
	}
	for _, tc := range []struct {
		field string
		cfg   flashpolicy.Config
	}{
		{"origin", flashpolicy.Config{Origin: "*.example.com"}},
		{"origin", flashpolicy.Config{Origin: "https://example.com"}},
		{"origin", flashpolicy.Config{Origin: "example.com:80"}},
		{"origin", flashpolicy.Config{Origin: "a b"}},
		{"origin", flashpolicy.Config{Origin: "fe80::1%eth0"}},
		{"origin", flashpolicy.Config{Origin: strings.Repeat("a", 254)}},
		{"ports", flashpolicy.Config{Ports: []int{1, 2, 3, 4, 5}}},
		{"ports", flashpolicy.Config{Ports: []int{0}}},
		{"ports", flashpolicy.Config{Ports: []int{65536}}},
		{"timeout", flashpolicy.Config{Timeout: -1}},
		{"max_bytes", flashpolicy.Config{MaxBytes: -1}},
		{"max_bytes", flashpolicy.Config{MaxBytes: 1<<20 + 1}},
	} {
		_, err := flashpolicy.New(tc.cfg)
		var ce *flashpolicy.ConfigError
		require.ErrorAs(t, err, &ce)
		require.Equal(t, tc.field, ce.Field)
	}
}

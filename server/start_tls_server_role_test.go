package server_test

import (
	"fmt"
	"io"
	"net"
	"runtime"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

const startTLSLine = "STARTTLS\r\n"

// A client that does not wait for the answer sends its hello right behind the command. Wherever the two are cut, what lies
// beyond receive_offset is the hello, whether or not the caller has seen it as bytes.
func TestPipelinedHelloIsCutAnywhere(t *testing.T) {
	t.Parallel()
	for name, late := range map[string]bool{"all of it before": false, "the rest after": true} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			eachEntrance(t, func(t *testing.T, by entrance) {
				p := openPorch(t)
				try := func(cut int) (whole int) {
					g, s := p.visit(t)
					k := attach(t.Context(), t, p.c, s, 1)
					back := takingBack(k, int64(len(startTLSLine)))
					hello, secured, done := g.hello()
					all := append([]byte(startTLSLine), hello...)
					cut = min(cut, len(all))
					g.say(all[:cut])
					readyRead(t, p.c, s, int64(cut))
					// Whether the caller has seen these bytes is chance, but that it has them all here.
					k.until(func() bool { return len(k.data) == cut })
					if !late {
						g.say(all[cut:])
						readyRead(t, p.c, s, int64(len(all)))
					}
					end := by.begin(k, p.c, asServer(int64(len(startTLSLine)), 0))
					if late {
						g.say(all[cut:])
					}
					require.Empty(t, end(), "cut at %d of %d", cut, len(all))
					require.NoError(t, <-done)
					k.secure()
					_, err := secured.Write([]byte("from the guest"))
					require.NoError(t, err)
					k.until(func() bool { return string(k.data) == startTLSLine+"from the guest" })
					if cut > len(startTLSLine) {
						require.Equal(t, 1, back.times)
					}
					k.write([]byte("to the guest"))
					b := make([]byte, 12)
					_, err = io.ReadFull(secured, b)
					require.NoError(t, err)
					require.Equal(t, "to the guest", string(b))
					require.NoError(t, secured.Close())
					k.finish()
					k.closed()
					return len(all)
				}
				whole := try(0)
				step := 1
				if testing.Short() {
					step = 17
				}
				for cut := 1; cut <= whole; cut += step {
					try(cut)
				}
			})
		})
	}
}

// The hello comes at the very moment of the StartTls: it is on its way from the socket while the offsets are judged.
func TestHelloAtTheMomentOfStartTLS(t *testing.T) {
	t.Parallel()
	rounds := 300
	if testing.Short() {
		rounds = 50
	}
	eachEntrance(t, func(t *testing.T, by entrance) {
		p := openPorch(t)
		for i := range rounds {
			g, s := p.visit(t)
			k := attach(t.Context(), t, p.c, s, 1)
			takingBack(k, int64(len(startTLSLine)))
			hello, secured, done := g.hello()
			g.say([]byte(startTLSLine))
			k.until(func() bool { return string(k.data) == startTLSLine })
			var wg sync.WaitGroup
			wg.Go(func() {
				// Beside others that compute each may take 10 ms, and a handshake has its clock.
				over := time.Now().Add(100 * time.Millisecond)
				for n := i % 60 * 20; n > 0 && time.Now().Before(over); n-- {
					runtime.Gosched()
				}
				g.say(hello)
			})
			end := by.begin(k, p.c, asServer(int64(len(startTLSLine)), 0))
			wg.Wait()
			require.Empty(t, end(), "round %d", i)
			require.NoError(t, <-done)
			_, err := secured.Write([]byte("x"))
			require.NoError(t, err)
			k.until(func() bool { return string(k.data) == startTLSLine+"x" })
			require.NoError(t, secured.Close())
			k.finish()
			k.closed()
		}
	})
}

// What somebody on the way has put behind the client's STARTTLS is for the handshake, which it spoils, and is no command:
// neither of the plain part, nor of the encrypted one.
func TestInjectedBehindTheCommand(t *testing.T) {
	t.Parallel()
	const injected = "RSET\r\nMAIL FROM:<mallory@example.org>\r\n"
	eachEntrance(t, func(t *testing.T, by entrance) {
		p := openPorch(t)
		for cut := range len(startTLSLine) + len(injected) + 1 {
			g, s := p.visit(t)
			k := attach(t.Context(), t, p.c, s, 1)
			takingBack(k, int64(len(startTLSLine)))
			hello, _, done := g.hello()
			all := startTLSLine + injected
			g.say([]byte(all[:cut]))
			readyRead(t, p.c, s, int64(cut))
			g.say([]byte(all[cut:]))
			readyRead(t, p.c, s, int64(len(all)))
			g.say(hello)
			end := by.begin(k, p.c, asServer(int64(len(startTLSLine)), 0))
			require.Equal(t, "NOT_TLS", end(), "cut at %d", cut)
			require.Error(t, <-done)
			events := len(k.events)
			closed := k.closed()
			require.Equal(t, "NOT_TLS", nameOf(closed.GetFailure().GetReason()))
			require.NotContains(t, k.kinds(), "secure_connected")
			require.EqualValues(t, len(startTLSLine), closed.GetReceivedBytes(), "what was injected counts for nothing")
			_ = events
		}
	})
}

var _ = fmt.Sprint
var _ net.Conn

package client_test

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/durationpb"

	"securesocket/client"
	pb "securesocket/gen/securesocket/v1"
)

func dialKeeper(t *testing.T, c *client.Client, change ...func(*client.Dialer)) *client.Conn {
	t.Helper()
	d := client.Dialer{Client: c, Resumable: true}
	for _, f := range change {
		f(&d)
	}
	conn, err := d.Dial(t.Context(), "tcp", "example.com:443")
	require.NoError(t, err)
	t.Cleanup(conn.Abort)
	return conn
}

// echoAndClose is a conversation with a peer that sends back what it gets.
func echoAndClose(conn *client.Conn) error {
	var want []byte
	for i := range 3 {
		part := bytes.Repeat([]byte{byte('a' + i)}, 1000)
		want = append(want, part...)
		if _, err := conn.Write(part); err != nil {
			return fmt.Errorf("write: %w", err)
		}
	}
	got := make([]byte, len(want)/2)
	if _, err := io.ReadFull(conn, got); err != nil {
		return fmt.Errorf("read: %w", err)
	}
	if err := conn.CloseWrite(); err != nil {
		return fmt.Errorf("close write: %w", err)
	}
	rest, err := io.ReadAll(conn)
	if err != nil {
		return fmt.Errorf("read to the end: %w", err)
	}
	if !bytes.Equal(want, append(got, rest...)) {
		return fmt.Errorf("%d bytes, or others", len(got)+len(rest))
	}
	return conn.Close()
}

// TestEveryCut breaks a conversation at every place once, and then at several: nothing is lost or doubled, and the
// session is gone afterwards.
func TestEveryCut(t *testing.T) {
	t.Parallel()
	run := func(t *testing.T, cut func(int) bool) (places int) {
		c, k := startKeeper(t, func(k *keeper) { k.cut, k.chunk, k.window = cut, 700, 1500 })
		conn, err := (&client.Dialer{Client: c, Resumable: true}).Dial(t.Context(), "tcp", "example.com:443")
		require.NoError(t, err)
		require.NoError(t, echoAndClose(conn))
		require.LessOrEqual(t, k.gone(), 1)
		return k.places()
	}
	places := run(t, nil)
	require.Greater(t, places, 20)
	for at := 1; at <= places; at++ {
		t.Run(fmt.Sprint(at), func(t *testing.T) {
			t.Parallel()
			run(t, func(n int) bool { return n == at })
		})
	}
	for _, every := range []int{7, 9, 13} {
		t.Run(fmt.Sprintf("every %d", every), func(t *testing.T) {
			t.Parallel()
			run(t, func(n int) bool { return n%every == 0 && n < 300 })
		})
	}
}

// FuzzCuts breaks a conversation wherever the fuzzer likes: after so many places, and so many again.
func FuzzCuts(f *testing.F) {
	f.Add([]byte{2, 2, 2, 2}, 700)
	f.Add([]byte{9, 3, 4, 2, 5, 1, 1, 8}, 100)
	f.Add([]byte{20, 1, 1, 1, 20, 1}, 5000)
	f.Add([]byte("'\x02\x02\x02\x02\x02\x02\x02100"), 655)
	f.Fuzz(func(t *testing.T, gaps []byte, chunk int) {
		if len(gaps) > 20 || chunk < 50 || chunk > 100_000 {
			return
		}
		synctest.Test(t, func(t *testing.T) {
			next := 0
			c, _ := startKeeper(t, func(k *keeper) {
				k.chunk, k.window = chunk, 2*int64(chunk)
				k.cut = func(n int) bool {
					if len(gaps) == 0 || n <= next+int(gaps[0]) {
						return false
					}
					next, gaps = n, gaps[1:]
					return true
				}
			})
			conn, err := (&client.Dialer{Client: c, Resumable: true}).Dial(t.Context(), "tcp", "example.com:443")
			require.NoError(t, err)
			require.NoError(t, echoAndClose(conn))
			conn.Abort() // where Close has given up waiting
		})
	})
}

// TestLostOpenAnswer: an open that was obeyed and not answered makes one session.
func TestLostOpenAnswer(t *testing.T) {
	t.Parallel()
	c, k := startKeeper(t, func(k *keeper) { k.cut = func(n int) bool { return n == 2 || n == 4 } })
	conn := dialKeeper(t, c)
	require.NoError(t, echoAndClose(conn))
	require.Len(t, k.begun(), 3)
	for i, first := range k.begun() {
		require.Equal(t, k.begun()[0].GetOpen().GetRequestId(), first.GetOpen().GetRequestId())
		require.EqualValues(t, i+1, first.GetOpen().GetAttachSeq())
	}
	require.Equal(t, 1, k.gone())
}

// TestWhatComesAgain is passed over: bytes and events of a service that goes on further back than it was asked to.
func TestWhatComesAgain(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		c, k := startKeeper(t)
		var mu sync.Mutex
		var events []int64
		conn := dialKeeper(t, c, func(d *client.Dialer) {
			d.ManualAck = true
			d.OnEvent = func(e client.Event) {
				mu.Lock()
				defer mu.Unlock()
				events = append(events, e.GetSeq())
			}
		})
		for back := range int64(4) { // a part of a frame, and whole frames
			_, err := io.WriteString(conn, "0123456789")
			require.NoError(t, err)
			synctest.Wait()
			s := k.only()
			k.do(func() {
				k.lie = func(a *pb.Attached) {
					s.cursor -= 5 * back
					s.told, a.SocketDataOffset = 0, s.cursor
					s.out = append(s.out, "new"...) // in one frame with what is old
				}
			})
			k.breakOnce()
			_, err = io.WriteString(conn, "abcde")
			require.NoError(t, err)
			synctest.Wait()
		}
		require.EqualValues(t, 3*18+10, k.begun()[4].GetAttach().GetReceivedOffset(), "what has come, though nothing was read")
		got := make([]byte, 72)
		_, err := io.ReadFull(conn, got)
		require.NoError(t, err)
		require.Equal(t, strings.Repeat("0123456789newabcde", 4), string(got))
		require.NoError(t, conn.Close())
		synctest.Wait()
		mu.Lock()
		defer mu.Unlock()
		require.Equal(t, []int64{1, 2, 3}, events)
	})
}

// TestLostAttachAnswer: the service has obeyed an attach, and this side does not know.
func TestLostAttachAnswer(t *testing.T) {
	t.Parallel()
	c, k := startKeeper(t)
	conn := dialKeeper(t, c)
	k.breakOnce()
	lost := 0
	k.do(func() {
		k.lie = func(*pb.Attached) { // called when the session is taken, before the answer
			if lost++; lost <= 3 {
				k.cut = func(int) bool {
					k.cut = nil
					return true
				}
			}
		}
	})
	require.NoError(t, echoAndClose(conn))
	k.do(func() { require.Equal(t, 4, lost) })
	for i, first := range k.begun()[1:] {
		require.EqualValues(t, i+2, first.GetAttach().GetAttachSeq())
	}
}

// TestResumedIsTold: with the cause, the tries, and never beside OnEvent.
func TestResumedIsTold(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var running atomic.Int32
		alone := func() func() {
			if running.Add(1) != 1 {
				t.Error("two callbacks at once")
			}
			return func() { running.Add(-1) }
		}
		var resumed []client.Resumed
		var downFor atomic.Int32
		c, k := startKeeper(t, func(k *keeper) {
			k.refuse = func(*pb.AttachRequest) error {
				if downFor.Add(-1) >= 0 {
					return status.Error(codes.Unavailable, "still down")
				}
				return nil
			}
		})
		conn := dialKeeper(t, c, func(d *client.Dialer) {
			d.OnEvent = func(client.Event) { defer alone()() }
			d.OnResume = func(r client.Resumed) {
				defer alone()()
				resumed = append(resumed, r)
			}
		})
		downFor.Store(4)
		k.breakOnce()
		require.NoError(t, echoAndClose(conn))
		require.Len(t, resumed, 1)
		require.Equal(t, 5, resumed[0].Tries)
		require.Less(t, resumed[0].Away, (100+200+400+800)*time.Millisecond)
		require.Positive(t, resumed[0].Away)
		require.Equal(t, codes.Unavailable, requireError(t, resumed[0].Err, pb.ErrorReason_ERROR_REASON_UNSPECIFIED).Code)
		for i, first := range k.begun()[1:] {
			require.EqualValues(t, i+2, first.GetAttach().GetAttachSeq(), "every try has its own")
		}
	})
}

// TestLimitIsWaitedOut: for as long as the service says.
func TestLimitIsWaitedOut(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		c, k := startKeeper(t)
		conn := dialKeeper(t, c)
		refused := false
		k.do(func() {
			k.refuse = func(*pb.AttachRequest) error {
				if refused {
					return nil
				}
				refused = true
				return refusal(codes.ResourceExhausted, pb.ErrorReason_ERROR_REASON_LIMIT, nil,
					&errdetails.RetryInfo{RetryDelay: durationpb.New(20 * time.Second)})
			}
		})
		k.breakOnce()
		start := time.Now()
		require.NoError(t, echoAndClose(conn))
		require.GreaterOrEqual(t, time.Since(start), 20*time.Second)
		require.Less(t, time.Since(start), 21*time.Second)
	})
}

// TestDoubledAttach: an earlier copy of this Conn's own attach has won; the next one has a larger number.
func TestDoubledAttach(t *testing.T) {
	t.Parallel()
	c, k := startKeeper(t)
	conn := dialKeeper(t, c)
	doubled := false
	k.do(func() {
		k.refuse = func(first *pb.AttachRequest) error {
			if !doubled {
				doubled = true
				k.do(func() { k.sessions[conn.SessionID()].seq = first.GetAttach().GetAttachSeq() })
			}
			return nil
		}
	})
	k.breakOnce()
	require.NoError(t, echoAndClose(conn))
	require.Len(t, k.begun(), 3)
}

// TestDialGivenUp: a resumable session that nobody waits for is not left behind.
func TestDialGivenUp(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		c, k := startKeeper(t)
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		d := client.Dialer{Client: c, Resumable: true}
		_, err := d.Dial(ctx, "tcp", "asks.example:443")
		requireError(t, err, pb.ErrorReason_ERROR_REASON_CONNECT_TIMEOUT)
		synctest.Wait()
		require.Equal(t, 1, k.gone())
	})
}

// TestAskedOnce: a question that comes again with every stream is put to the caller once, and answered on each.
func TestAskedOnce(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var asked atomic.Int32
		c, k := startKeeper(t)
		thinking, think := make(chan struct{}), make(chan struct{})
		d := client.Dialer{Client: c, Resumable: true, Decide: func(context.Context, *client.Question) client.Answer {
			asked.Add(1)
			close(thinking)
			<-think
			return client.AcceptAll()
		}}
		dialled := make(chan *client.Conn)
		go func() {
			conn, err := d.Dial(t.Context(), "tcp", "asks.example:443")
			if err != nil {
				t.Error(err)
			}
			dialled <- conn
		}()
		<-thinking
		s := k.only()
		next := func() { // the stream breaks and another one comes
			k.do(func() { s.emit(&pb.Event{Kind: &pb.Event_Draining{Draining: &pb.Draining{}}}) })
			synctest.Wait()
		}
		k.breakOnce()
		next()
		require.Zero(t, k.decisions(s))
		k.do(func() { s.stopAnswering = true }) // the answer is lost
		close(think)
		synctest.Wait()
		require.Equal(t, 1, k.decisions(s))
		k.do(func() { s.stopAnswering = false })
		k.breakOnce()
		next()
		conn := <-dialled
		require.Equal(t, 2, k.decisions(s))
		require.EqualValues(t, 1, asked.Load())
		require.NoError(t, conn.Close())
	})
}

package resume

import (
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

var epoch0 = time.Unix(1, 0)

// started is a core with an attached generation; nothing is pending to be sent.
func started(t *testing.T, o Options) *Core {
	t.Helper()
	c := New(Config{})
	require.EqualValues(t, 1, c.Begin(epoch0, o))
	_, err := c.Attach(epoch0, AttachArgs{})
	require.NoError(t, err)
	return c
}

func buffer(s string) *Buffer { return NewBuffer(slices.Clip([]byte(s))) }

// next is what is sent next.
func next(t *testing.T, c *Core, now time.Time) Frame {
	t.Helper()
	f, err := c.Next(now, c.Epoch(), 1<<20)
	require.NoError(t, err)
	return f
}

func TestAttachNeedsTheToken(t *testing.T) {
	t.Parallel()
	c := New(Config{Token: [32]byte{1}})
	_, err := c.Attach(epoch0, AttachArgs{})
	require.NoError(t, err, "the first attach may come without")
	_, err = c.Attach(epoch0, AttachArgs{Seq: 2})
	require.Equal(t, &TokenError{Missing: true}, err)
	_, err = c.Attach(epoch0, AttachArgs{Seq: 2, Token: make([]byte, 32)})
	require.Equal(t, &TokenError{}, err)
	_, err = c.Attach(epoch0, AttachArgs{Seq: 2, Trusted: true})
	require.NoError(t, err, "an Open that came again")
	token := [32]byte{1}
	_, err = c.Attach(epoch0, AttachArgs{Seq: 3, Token: token[:]})
	require.NoError(t, err)
}

func TestAttachChecksEveryPosition(t *testing.T) {
	t.Parallel()
	c := started(t, Options{Resumable: true})
	require.NoError(t, c.Received(1, buffer("abc")))
	require.Equal(t, FrameData, next(t, c, epoch0).Kind)
	require.NoError(t, c.Ack(epoch0, 1, 1, 2, 0))
	for _, test := range []struct {
		args AttachArgs
		want error
	}{
		{AttachArgs{Seq: 1}, &SupersededError{1}},
		{AttachArgs{Seq: 2 + maxSeqJump}, &OffsetError{"attach_seq", 1, 2 + maxSeqJump}},
		{AttachArgs{Seq: 2, EventSeq: 1}, &OffsetError{"received_event_seq", 0, 1}},
		{AttachArgs{Seq: 2, Generation: 2}, &OffsetError{"generation", 1, 2}},
		{AttachArgs{Seq: 2, Offset: 4}, &OffsetError{"received_offset", 3, 4}},
		{AttachArgs{Seq: 2, Offset: 1}, &OffsetError{"received_offset", 2, 1}},
	} {
		test.args.Trusted = true
		_, err := c.Attach(epoch0, test.args)
		require.Equal(t, test.want, err)
		require.EqualValues(t, 1, c.Epoch(), "who holds the session keeps it")
	}
	a, err := c.Attach(epoch0, AttachArgs{Seq: 1 + maxSeqJump, Offset: 2, Trusted: true})
	require.NoError(t, err)
	require.Equal(t, Attached{Epoch: 1 + maxSeqJump, Superseded: 1, Generation: 1, SendLimit: 1 << 20, Offset: 2}, a)
	require.NotZero(t, c.Effects()&Superseded)
	require.False(t, c.Detach(epoch0, 1), "an old stream's end detaches no other")
	require.Equal(t, "c", string(next(t, c, epoch0).Data.Bytes))
}

func TestAttachLimits(t *testing.T) {
	t.Parallel()
	c, now := New(Config{}), epoch0
	attach := func(seq int64) error {
		_, err := c.Attach(now, AttachArgs{Seq: seq, Trusted: true})
		return err
	}
	for i := range int64(attachBurst) {
		require.NoError(t, attach(i+1))
	}
	require.Equal(t, &LimitError{false, attachEvery}, attach(attachBurst+1))
	require.EqualValues(t, attachBurst, c.LastSeq(), "the seq is not consumed")
	now = now.Add(attachEvery)
	require.NoError(t, attach(attachBurst+1))
	for range 2 * failedBurst {
		require.ErrorAs(t, attach(1), new(*SupersededError))
	}
	for range failedBurst {
		require.ErrorAs(t, attach(1<<40), new(*OffsetError))
	}
	require.Equal(t, &LimitError{true, failedEvery}, attach(1<<40))
	now = now.Add(failedEvery)
	require.ErrorAs(t, attach(1<<40), new(*OffsetError))
}

func TestGraceAndWhatIsKnownAfterIt(t *testing.T) {
	t.Parallel()
	c := started(t, Options{Resumable: true})
	_, err := c.Data(epoch0, 1, 1, 0, []byte("hello"))
	require.NoError(t, err)
	c.NextWrite(1, 3).Release()
	c.Wrote(epoch0, 1, 3)
	require.NoError(t, c.Received(1, buffer("ab")))
	require.True(t, c.Deadline().IsZero(), "an attached session has no grace")
	require.True(t, c.Detach(epoch0, 1))
	end := epoch0.Add(DefaultGrace)
	require.Equal(t, end, c.Deadline())
	require.NoError(t, c.Tick(end.Add(-1)))
	final := &ExpiredError{1, 5, 3, 2}
	require.Equal(t, final, c.Tick(end))
	require.Empty(t, c.broken())
	_, err = c.Attach(end, AttachArgs{Seq: 2, Trusted: true})
	require.Equal(t, final, err)
	require.Zero(t, c.Begin(end, Options{}))
	require.ErrorIs(t, c.Tick(end.Add(ExpiredMemory)), ErrGone)
	require.True(t, c.Deadline().IsZero())
}

func TestPeersEndIsKeptUntilItIsAcked(t *testing.T) {
	t.Parallel()
	c := started(t, Options{Resumable: true})
	require.NoError(t, c.Received(1, buffer("bye")))
	c.Detach(epoch0, 1)
	c.PeerEnded(1, "FIN")
	c.PeerEnded(1, "RST")
	c.Emit(Event{})
	c.Emit(Event{Terminal: true})
	require.Zero(t, c.Emit(Event{Terminal: true}), "there is one end")
	offset, cause, ended := c.PeerEnd()
	require.EqualValues(t, 3, offset)
	require.Equal(t, "FIN", cause, "the first cause stays")
	require.True(t, ended)
	_, err := c.Attach(epoch0, AttachArgs{Seq: 2, Trusted: true})
	require.NoError(t, err)
	require.Equal(t, "bye", string(next(t, c, epoch0).Data.Bytes))
	require.EqualValues(t, 1, next(t, c, epoch0).Event.Seq)
	require.True(t, next(t, c, epoch0).Event.Terminal)
	require.NoError(t, c.Ack(epoch0, 2, 1, 3, 1))
	require.False(t, c.Settled())
	require.NoError(t, c.Ack(epoch0, 2, 1, 3, 2))
	require.True(t, c.Settled())
	c.Detach(epoch0, 2)
	require.True(t, c.Deadline().IsZero(), "nothing is owed")
}

func TestProgressIsSparseAndExact(t *testing.T) {
	t.Parallel()
	c := started(t, Options{Resumable: true})
	_, err := c.Data(epoch0, 1, 1, 0, []byte("x"))
	require.NoError(t, err)
	due := epoch0.Add(progressDelay)
	require.Equal(t, Frame{Wait: due}, next(t, c, epoch0))
	require.Equal(t, Progress{1, 1, 0, 1 << 20}, next(t, c, due).Progress)
	require.Equal(t, Frame{}, next(t, c, due))

	_, err = c.Data(due, 1, 1, 1, make([]byte, progressStep))
	require.NoError(t, err)
	require.EqualValues(t, 1+progressStep, next(t, c, due).Progress.Accepted, "enough has moved")

	_, err = c.Data(due, 1, 1, 1+progressStep, []byte("y"))
	require.NoError(t, err)
	require.NoError(t, c.Received(1, buffer("z")))
	require.Equal(t, FrameData, next(t, c, due).Kind)
	require.Equal(t, due.Add(progressDelay), c.Due())

	c.NextWrite(1, 1).Release()
	c.Wrote(due, 1, 1)
	c.WriteEnded(due, 1, "reset")
	require.EqualValues(t, 1, next(t, c, due).Progress.Written, "an end is told at once")
	_, err = c.Data(due, 1, 1, 9+progressStep, []byte("gap"))
	require.Equal(t, &EndedError{"data", false, 2 + progressStep, "reset"}, err, "no gap, where nothing is taken any more")
}

func TestFinishIsAPosition(t *testing.T) {
	t.Parallel()
	c := started(t, Options{Resumable: true})
	_, err := c.Data(epoch0, 1, 1, 0, []byte("abc"))
	require.NoError(t, err)
	require.Equal(t, &GapError{"finish", 3, 4}, c.Finish(epoch0, 1, 1, 4))
	require.Equal(t, &OffsetError{"finish", 3, 2}, c.Finish(epoch0, 1, 1, 2))
	require.NoError(t, c.CloseAt(5))
	_, err = c.Data(epoch0, 1, 1, 3, []byte("def"))
	require.Equal(t, &EndedError{"data", true, 5, nil}, err)
	_, err = c.Data(epoch0, 1, 1, 2, []byte("cde"))
	require.NoError(t, err)
	require.NoError(t, c.Finish(epoch0, 1, 1, 5), "again")
	w := c.NextWrite(1, 100)
	require.Equal(t, "abcde", string(w.Bytes))
	c.Wrote(epoch0, 1, 5)
	require.True(t, c.NextWrite(1, 100).Finish)
	c.FinishWritten(epoch0, 1)
	require.True(t, c.NextWrite(1, 100).Shutdown)
}

func TestNotResumable(t *testing.T) {
	t.Parallel()
	c := started(t, Options{ChunkBytes: 4, ReceiveBytes: 4, SendBytes: 4})
	require.NoError(t, c.Received(1, buffer("abcd")))
	require.Zero(t, c.Room(1))
	sent := next(t, c, epoch0).Data
	require.Equal(t, 4, c.Room(1), "freed when it is sent")
	require.Equal(t, "abcd", string(sent.Bytes))

	full, err := c.Data(epoch0, 1, 1, 0, []byte("more than fits"))
	require.NoError(t, err)
	require.False(t, full, "one payload of any size")
	full, err = c.Data(epoch0, 1, 1, 14, []byte("xyz"))
	require.NoError(t, err)
	require.True(t, full)
	c.Effects()
	c.Wrote(epoch0, 1, 14)
	require.NotZero(t, c.Effects()&WakeReceiver)
	full, err = c.Data(epoch0, 1, 1, 14, []byte("xyz"))
	require.NoError(t, err)
	require.False(t, full)
}

func TestPromiseHoldsHoweverItIsCut(t *testing.T) {
	t.Parallel()
	c := started(t, Options{Resumable: true, ChunkBytes: 8, SendBytes: 32})
	var sent int64
	for sent < 32 {
		n := min(1+7*(sent%2), 32-sent)
		_, err := c.Data(epoch0, 1, 1, sent, make([]byte, n))
		require.NoError(t, err)
		sent += n
		require.Empty(t, c.broken())
	}
	_, err := c.Data(epoch0, 1, 1, 32, []byte("x"))
	require.Equal(t, &WindowError{32, 33}, err)
}

func TestRoomIsAskedFor(t *testing.T) {
	t.Parallel()
	c := started(t, Options{Resumable: true, ChunkBytes: 4, ReceiveBytes: 4})
	require.NoError(t, c.Received(1, NewBuffer(append(make([]byte, 0, 4), "abc"...))))
	require.Equal(t, 1, c.Room(1))
	require.ErrorIs(t, c.Received(1, buffer("de")), ErrRoom)
	require.NoError(t, c.Received(1, buffer("d")), "a small payload goes into the last chunk")
	require.Zero(t, c.Room(1))
	require.Equal(t, "abcd", string(next(t, c, epoch0).Data.Bytes))
}

func TestEventsAreBoundedAndTheEndIsKept(t *testing.T) {
	t.Parallel()
	c := started(t, Options{Resumable: true})
	c.Emit(Event{Terminal: true}) // 1
	c.Begin(epoch0, Options{Resumable: true})
	for range maxEvents {
		c.Emit(Event{})
	}
	require.True(t, next(t, c, epoch0).Event.Terminal)
	gap := next(t, c, epoch0).Event
	require.EqualValues(t, 2, gap.DroppedFrom)
	require.EqualValues(t, 2, gap.Seq)
	require.EqualValues(t, 3, next(t, c, epoch0).Event.Seq)
	c.Emit(Event{Size: maxEventBytes + 1})
	require.Len(t, c.events.events, 2)
	require.True(t, c.events.events[0].Terminal, "beside the newest")
}

func TestCallerWithoutStream(t *testing.T) {
	t.Parallel()
	c := New(Config{})
	_, err := c.Data(epoch0, 0, 0, 0, []byte("early"))
	require.ErrorIs(t, err, ErrNoGeneration)
	c.Begin(epoch0, Options{Resumable: true})
	later := epoch0.Add(time.Second)
	for range 2 { // idempotent
		_, err = c.Data(later, 0, 0, 0, []byte("hello"))
		require.NoError(t, err)
	}
	require.Equal(t, Progress{1, 5, 0, 1 << 20}, c.Progress())
	require.Equal(t, later.Add(DefaultGrace), c.Deadline(), "renewed")
	require.NoError(t, c.Received(1, buffer("ab")))
	c.Emit(Event{})
	for range 2 {
		f, err := c.Read(later, 1, 0, 0, 100)
		require.NoError(t, err)
		require.Equal(t, "ab", string(f.Data.Bytes))
	}
	f, err := c.Read(later, 1, 2, 0, 100)
	require.NoError(t, err)
	require.EqualValues(t, 1, f.Event.Seq)
	require.ErrorAs(t, c.Ack(later, 0, 1, 3, 0), new(*OffsetError))
	require.ErrorAs(t, c.Ack(later, 0, 1, 0, 2), new(*OffsetError))
	require.NoError(t, c.Ack(later, 0, 1, 2, 0))
	_, err = c.Read(later, 1, 0, 0, 100)
	require.ErrorAs(t, err, new(*OffsetError), "acked")
	_, err = c.Attach(later, AttachArgs{Offset: 2, EventSeq: 1})
	require.NoError(t, err)
	_, err = c.Read(later, 1, 2, 1, 100)
	require.ErrorAs(t, err, new(*AttachedError))
}

func TestBytesHandedOutOutliveTheRing(t *testing.T) {
	t.Parallel()
	c := New(Config{})
	c.Begin(epoch0, Options{Resumable: true})
	_, err := c.Attach(epoch0, AttachArgs{})
	require.NoError(t, err)
	b := NewPool(8).Get()
	b.Filled(copy(b.Spare(), "secret"))
	require.NoError(t, c.Received(1, b))
	d := next(t, c, epoch0).Data
	require.NoError(t, c.Ack(epoch0, 1, 1, 6, 0))
	require.EqualValues(t, 1, b.refs.Load(), "the view's")
	require.Equal(t, "secret", string(d.Bytes))
	d.Release()
	require.Zero(t, b.refs.Load())
	require.Zero(t, b.Len(), "for the next owner")
}

// What the writer was doing when the connection was ended still counts.
func TestBytesWrittenMeanwhileCount(t *testing.T) {
	t.Parallel()
	c := started(t, Options{Resumable: true})
	_, err := c.Data(epoch0, 1, 1, 0, []byte("hello"))
	require.NoError(t, err)
	w := c.NextWrite(1, 2)
	c.WriteEnded(epoch0, 1, "stopped")
	c.Wrote(epoch0, 1, len(w.Bytes))
	w.Release()
	c.Detach(epoch0, 1)
	end := c.Deadline()
	require.Equal(t, &ExpiredError{1, 5, 2, 0}, c.Tick(end))
	c.Wrote(end, 1, 1)
	require.Equal(t, &ExpiredError{1, 5, 3, 0}, c.Tick(end))
}

// A Write without a stream waits where a stream's data would break its promise.
func TestUnaryWriteWaitsForRoom(t *testing.T) {
	t.Parallel()
	c := New(Config{})
	c.Begin(epoch0, Options{Resumable: true, ChunkBytes: 4, SendBytes: 8})
	full, err := c.Data(epoch0, 0, 1, 0, make([]byte, 6))
	require.NoError(t, err)
	require.False(t, full)
	full, err = c.Data(epoch0, 0, 1, 6, make([]byte, 3))
	require.NoError(t, err)
	require.True(t, full)
	_, err = c.Data(epoch0, 0, 1, 6, make([]byte, 9))
	require.Equal(t, &WindowError{8, 15}, err, "it would never fit")
	c.Wrote(epoch0, 1, 6)
	full, err = c.Data(epoch0, 0, 1, 6, make([]byte, 3))
	require.NoError(t, err)
	require.False(t, full)
	require.Empty(t, c.broken())
}

// An event behind the end of a generation belongs to none.
func TestEventAfterTheEnd(t *testing.T) {
	t.Parallel()
	c := started(t, Options{Resumable: true})
	c.Emit(Event{Terminal: true})
	c.Emit(Event{})
	require.EqualValues(t, 1, next(t, c, epoch0).Event.Generation)
	e := next(t, c, epoch0).Event
	require.Zero(t, e.Generation)
	require.EqualValues(t, 2, e.Seq)
}

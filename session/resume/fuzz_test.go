package resume

import (
	"errors"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// named are the errors that a Core may return.
func named(err error) bool {
	for _, is := range []bool{
		err == nil, errors.Is(err, ErrNoGeneration), errors.Is(err, ErrGone),
		errors.As(err, new(*SupersededError)), errors.As(err, new(*OffsetError)), errors.As(err, new(*GapError)),
		errors.As(err, new(*WindowError)), errors.As(err, new(*EndedError)), errors.As(err, new(*GenerationError)),
		errors.As(err, new(*TokenError)), errors.As(err, new(*AttachedError)), errors.As(err, new(*LimitError)),
		errors.As(err, new(*ExpiredError)),
	} {
		if is {
			return true
		}
	}
	return false
}

// FuzzFrames drives a core with any frames in any order: it returns a named
// error, and its invariants hold.
func FuzzFrames(f *testing.F) {
	f.Add([]byte("\x00\x00\x00\x01\x01\x01\x00\x03\x02\x01\x01\x00\x00\x06\x04\x01\x00\x00\x00\x05\x01\x01\x01\x00"), true)
	f.Add([]byte("\x00\x00\x00\x01\x08\x01\x00\x03\x00\x00\x00\x00\x0a\x06\x04\x01\x07\x09\x02\xff\xff"), false)
	f.Fuzz(func(t *testing.T, script []byte, resumable bool) {
		c, now := New(Config{}), time.Unix(1, 0)
		opts := Options{Resumable: resumable, ReceiveBytes: 16, SendBytes: 16, ChunkBytes: 4}
		arg := func() (v int64) { // small ones, and the extremes
			if len(script) == 0 {
				return 0
			}
			v, script = int64(int8(script[0])), script[1:]
			switch v {
			case 127:
				return 1<<63 - 1
			case -128:
				return -1 << 63
			}
			return v
		}
		for len(script) > 0 {
			op, epoch, gen := arg(), c.Epoch(), c.Generation()
			if op >= 64 { // of anybody
				op, epoch, gen = op-64, arg(), arg()
			}
			var err error
			switch op {
			case 0:
				c.Begin(now, opts)
			case 1:
				_, err = c.Attach(now, AttachArgs{Seq: arg(), Offset: arg(), Generation: gen, EventSeq: arg(), Trusted: op%2 == 1})
			case 2:
				p := make([]byte, arg()&31)
				_, err = c.Data(now, epoch, gen, arg(), p[:len(p)/2], p[len(p)/2:])
			case 3:
				err = c.Ack(now, epoch, gen, arg(), arg())
			case 4:
				err = c.Finish(now, epoch, gen, arg())
			case 5:
				_, err = c.Next(now, epoch, int(arg()&15))
			case 6:
				_, err = c.Read(now, gen, arg(), arg(), 8)
			case 7:
				if n := c.Room(gen); n > 0 {
					require.NoError(t, c.Received(gen, NewBuffer(make([]byte, n, 4))))
				}
			case 8:
				w := c.NextWrite(gen, 3)
				c.Wrote(now, gen, len(w.Bytes))
				w.Release()
				if w.Finish {
					c.FinishWritten(now, gen)
				}
			case 9:
				c.Detach(now, epoch)
			case 10:
				c.Emit(Event{Terminal: arg()%2 == 1})
			case 11:
				c.PeerEnded(gen, "end")
			case 12:
				c.WriteEnded(now, gen, "end")
			case 13:
				now = now.Add(time.Duration(arg()&127) * time.Second)
				err = c.Tick(now)
			case 14:
				err = c.CloseAt(arg())
			case 15:
				c.Keep(arg()%2 == 1)
			}
			require.True(t, named(err), "%T", err)
			require.Empty(t, c.broken())
		}
	})
}

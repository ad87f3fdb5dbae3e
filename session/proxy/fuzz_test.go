package proxy_test

import (
	"bytes"
	"errors"
	"io"
	"net"
	"strings"
	"testing"
	"testing/iotest"
	"time"

	"securesocket/session/proxy"

	"github.com/stretchr/testify/require"
)

// spoken is a connection on which everything has been said already.
type spoken struct {
	net.Conn
	io.Reader
}

func (s spoken) Read(p []byte) (int, error)  { return s.Reader.Read(p) }
func (s spoken) Write(p []byte) (int, error) { return len(p), nil }
func (s spoken) SetDeadline(time.Time) error { return nil }

// FuzzAnswers: whatever a proxy says, the outcome is one of those promised; it does not depend on how the bytes come;
// bytes after a good answer are not touched, and do not change it.
func FuzzAnswers(f *testing.F) {
	for i, cfg := range kinds {
		var all string
		for _, turn := range conversation(cfg) {
			all += turn.answer
		}
		f.Add(uint8(i), []byte(all+"tail"))
		f.Add(uint8(i), []byte(all[:len(all)-1]))
	}
	f.Add(uint8(1), []byte("HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 407 "+password+"\r\nX: y\r\n\r\n"))
	f.Add(uint8(0), []byte("HTTP/1.0 000 "+password+"\n\n"))
	f.Add(uint8(0), []byte("HTTP/1.1 403 \x1b\xff\u202e\n\n"))
	f.Add(uint8(2), []byte("\x05\x00\x05\x05"))
	f.Add(uint8(3), []byte("\x05\x02\x01\x01"))
	f.Add(uint8(3), []byte("\x05\x02\x01\x00\x05\x00\x00\x04"+strings.Repeat("x", 18)))
	f.Fuzz(func(t *testing.T, which uint8, answer []byte) {
		cfg := kinds[int(which)%len(kinds)]
		all := bytes.NewReader(answer)
		err := proxy.Ask(t.Context(), spoken{Reader: all}, cfg, target4)

		slow := bytes.NewReader(answer)
		again := proxy.Ask(t.Context(), spoken{Reader: iotest.OneByteReader(slow)}, cfg, target4)
		require.Equal(t, err, again)
		require.Equal(t, all.Len(), slow.Len())

		if err == nil {
			said := answer[:len(answer)-all.Len()]
			exact := bytes.NewReader(said)
			require.NoError(t, proxy.Ask(t.Context(), spoken{Reader: exact}, cfg, target4), "what was read is enough")
			short := bytes.NewReader(said[:len(said)-1])
			require.ErrorIs(t, proxy.Ask(t.Context(), spoken{Reader: short}, cfg, target4), io.ErrUnexpectedEOF, "and all of it is needed")
			return
		}
		if cfg.Password.Len() > 0 { // otherwise it is a word like any other
			require.NotContains(t, err.Error(), password)
		}
		if refused, ok := errors.AsType[*proxy.RefusedError](err); ok {
			require.LessOrEqual(t, len(refused.Reply), 256)
			require.NotEmpty(t, refused.Reply)
			require.Equal(t, -1, strings.IndexFunc(refused.Reply, func(r rune) bool { return r < ' ' || r > '~' }))
			return
		}
		if _, ok := errors.AsType[*proxy.ReplyError](err); !ok {
			require.ErrorIs(t, err, io.ErrUnexpectedEOF)
			require.Zero(t, all.Len(), "it could have read on")
		}
	})
}

package client_test

import (
	"bytes"
	"encoding/json"
	"io"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"securesocket/client"
	pb "securesocket/gen/securesocket/v1"
)

// TestBookmark: a process is killed, and another one goes on with its connection.
func TestBookmark(t *testing.T) {
	t.Parallel()
	for name, manual := range map[string]bool{"acked by Read": false, "acked by the program": true} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			killed, k := startKeeper(t)
			d := client.Dialer{Client: killed, Resumable: true, ManualAck: manual}
			conn, err := d.Dial(t.Context(), "tcp", "example.com:443")
			require.NoError(t, err)
			_, err = io.WriteString(conn, "0123456789")
			require.NoError(t, err)
			got := make([]byte, 6)
			_, err = io.ReadFull(conn, got)
			require.NoError(t, err)
			if manual {
				conn.Ack(4)
				conn.Ack(1 << 40) // no more than was read
			}
			data, err := json.Marshal(conn.Bookmark())
			require.NoError(t, err)
			var b client.Bookmark
			require.NoError(t, json.Unmarshal(data, &b))
			require.Equal(t, conn.Bookmark(), b)
			require.EqualValues(t, 6, b.ReceivedOffset)

			again, err := d.Resume(t.Context(), b)
			require.NoError(t, err)
			_, err = io.ReadAll(conn)
			requireError(t, err, pb.ErrorReason_ERROR_REASON_SUPERSEDED)
			require.Equal(t, conn.SessionID(), again.SessionID())
			require.Equal(t, "192.0.2.1:443", again.RemoteAddr().String())
			require.Equal(t, "example.com", again.ConnectionState().ServerName)
			require.Equal(t, pb.CertificateStatus_CERTIFICATE_STATUS_TRUSTED, again.CertificateStatus())
			require.Equal(t, pb.CertificateReport_TRUST_BASIS_VALIDATED, again.TrustBasis())
			require.EqualValues(t, 10, again.SentOffset())
			_, err = io.WriteString(again, "abc")
			require.NoError(t, err)
			require.EqualValues(t, 13, again.SentOffset())
			rest := make([]byte, 7)
			_, err = io.ReadFull(again, rest)
			require.NoError(t, err)
			require.Equal(t, "6789abc", string(rest))
			require.EqualValues(t, 13, again.Bookmark().ReceivedOffset)
			require.NoError(t, again.Close())
			require.Equal(t, 1, k.gone())
		})
	}
}

// TestManualAckKeeps: what was read and not acked comes again.
func TestManualAckKeeps(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		c, k := startKeeper(t)
		d := client.Dialer{Client: c, Resumable: true, ManualAck: true}
		conn, err := d.Dial(t.Context(), "tcp", "example.com:443")
		require.NoError(t, err)
		_, err = io.WriteString(conn, "0123456789")
		require.NoError(t, err)
		_, err = io.ReadFull(conn, make([]byte, 8))
		require.NoError(t, err)
		time.Sleep(time.Second)
		require.Zero(t, k.acknowledged(k.only()))
		conn.Ack(3)
		time.Sleep(time.Second)
		require.EqualValues(t, 3, k.acknowledged(k.only()))

		b := conn.Bookmark()
		b.ReceivedOffset = 3
		again, err := d.Resume(t.Context(), b)
		require.NoError(t, err)
		rest := make([]byte, 7)
		_, err = io.ReadFull(again, rest)
		require.NoError(t, err)
		require.Equal(t, "3456789", string(rest))
		b.ReceivedOffset = 2
		_, err = d.Resume(t.Context(), b)
		requireError(t, err, pb.ErrorReason_ERROR_REASON_OFFSET_MISMATCH)
		require.NoError(t, again.Close())
		require.NoError(t, conn.Close())
	})
}

// TestBookmarkOfWhatHasEnded: the other process knew how it ended; this one has it from the session.
func TestBookmarkOfWhatHasEnded(t *testing.T) {
	t.Parallel()
	c, k := startKeeper(t)
	d := client.Dialer{Client: c, Resumable: true}
	conn, err := d.Dial(t.Context(), "tcp", "example.com:443")
	require.NoError(t, err)
	want := bytes.Repeat([]byte("x"), 30_000)
	_, err = conn.Write(want)
	require.NoError(t, err)
	require.NoError(t, conn.CloseWrite())
	_, err = io.ReadFull(conn, make([]byte, 10))
	require.NoError(t, err)
	s := k.only()
	require.Eventually(t, func() bool {
		k.mu.Lock()
		defer k.mu.Unlock()
		return s.ended && s.ackedTo == int64(len(s.events)) && s.acked == 10
	}, 10*time.Second, time.Millisecond)
	again, err := d.Resume(t.Context(), conn.Bookmark())
	require.NoError(t, err)
	rest, err := io.ReadAll(again)
	require.NoError(t, err)
	require.Equal(t, want[10:], rest)
	require.NoError(t, again.Close())
	require.NoError(t, conn.Close())
	require.Equal(t, 1, k.gone())
}

// TestBookmarkAtTheEnd: everything was read, and nothing acked; there is nothing left to come but the end.
func TestBookmarkAtTheEnd(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		c, k := startKeeper(t)
		d := client.Dialer{Client: c, Resumable: true, ManualAck: true}
		conn, err := d.Dial(t.Context(), "tcp", "example.com:443")
		require.NoError(t, err)
		_, err = io.WriteString(conn, greeting)
		require.NoError(t, err)
		require.NoError(t, conn.CloseWrite())
		require.Equal(t, io.EOF, readEnd(t, conn))
		time.Sleep(time.Second)
		require.Zero(t, k.gone())
		again, err := d.Resume(t.Context(), conn.Bookmark())
		require.NoError(t, err)
		_, err = again.Read(make([]byte, 1))
		require.Equal(t, io.EOF, err)
		require.NoError(t, again.Close())
		require.Equal(t, 1, k.gone())
		require.NoError(t, conn.Close())
	})
}

func TestResumeRefused(t *testing.T) {
	t.Parallel()
	c, k := startKeeper(t)
	d := client.Dialer{Client: c, Resumable: true}
	conn, err := d.Dial(t.Context(), "tcp", "example.com:443")
	require.NoError(t, err)
	defer conn.Abort()
	good := conn.Bookmark()
	for name, tc := range map[string]struct {
		change func(*client.Bookmark)
		want   pb.ErrorReason
	}{
		"token":      {func(b *client.Bookmark) { b.ResumeToken = []byte("?") }, pb.ErrorReason_ERROR_REASON_RESUME_TOKEN},
		"no token":   {func(b *client.Bookmark) { b.ResumeToken = nil }, pb.ErrorReason_ERROR_REASON_INVALID_FIELD},
		"session":    {func(b *client.Bookmark) { b.SessionID = "?" }, pb.ErrorReason_ERROR_REASON_SESSION_NOT_FOUND},
		"offset":     {func(b *client.Bookmark) { b.ReceivedOffset = 1 }, pb.ErrorReason_ERROR_REASON_OFFSET_MISMATCH},
		"negative":   {func(b *client.Bookmark) { b.ReceivedOffset = -1 }, pb.ErrorReason_ERROR_REASON_INVALID_FIELD},
		"generation": {func(b *client.Bookmark) { b.Generation = 2 }, pb.ErrorReason_ERROR_REASON_CANCELLED},
		"nothing":    {func(b *client.Bookmark) { *b = client.Bookmark{} }, pb.ErrorReason_ERROR_REASON_INVALID_FIELD},
	} {
		t.Run(name, func(t *testing.T) {
			b := good
			tc.change(&b)
			_, err := d.Resume(t.Context(), b)
			requireError(t, err, tc.want)
		})
	}
	require.Empty(t, k.closings(), "the session is left to whoever has it")
	require.Zero(t, k.gone())
	_, err = (&client.Dialer{}).Resume(t.Context(), good)
	requireError(t, err, pb.ErrorReason_ERROR_REASON_INVALID_FIELD)

	plain, _ := startFake(t, echoes)
	other, err := plain.DialContext(t.Context(), "tcp", "example.com:443")
	require.NoError(t, err)
	require.Zero(t, other.Bookmark())
	require.NoError(t, other.Close())
}

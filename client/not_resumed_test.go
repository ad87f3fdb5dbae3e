package client_test

import (
	"io"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	pb "securesocket/gen/securesocket/v1"
)

// TestGraceOver: the error says exactly how far the bytes had come, as far as this side knows.
func TestGraceOver(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		c, k := startKeeper(t, func(k *keeper) { k.grace = 3 * time.Second })
		conn := dialKeeper(t, c)
		_, err := conn.Write(make([]byte, 500))
		require.NoError(t, err)
		_, err = io.ReadFull(conn, make([]byte, 500))
		require.NoError(t, err)
		time.Sleep(time.Second)
		k.do(func() { k.refuse = func(*pb.AttachRequest) error { return status.Error(codes.Unavailable, "gone") } })
		k.breakOnce()
		start := time.Now()
		_, err = conn.Write([]byte("lost"))
		require.NoError(t, err)
		_, err = conn.Read(make([]byte, 1))
		e := requireError(t, err, pb.ErrorReason_ERROR_REASON_SESSION_EXPIRED)
		require.GreaterOrEqual(t, time.Since(start), 8*time.Second)
		require.Less(t, time.Since(start), 14*time.Second)
		require.False(t, e.Temporary())
		require.Equal(t, "500", e.Metadata["accepted_bytes"])
		require.Equal(t, "500", e.Metadata["written_bytes"])
		require.Equal(t, "500", e.Metadata["received_bytes"])
		require.Equal(t, "1", e.Metadata["generation"])
		require.Equal(t, codes.Unavailable, requireError(t, e.Unwrap(), pb.ErrorReason_ERROR_REASON_UNSPECIFIED).Code)
		_, err = conn.Write([]byte("more"))
		requireError(t, err, pb.ErrorReason_ERROR_REASON_SESSION_EXPIRED)
		requireError(t, conn.Close(), pb.ErrorReason_ERROR_REASON_SESSION_EXPIRED)
	})
}

// TestNotRetried: what another try cannot mend ends both halves with the service's own word.
func TestNotRetried(t *testing.T) {
	t.Parallel()
	for reason, code := range map[pb.ErrorReason]codes.Code{
		pb.ErrorReason_ERROR_REASON_SUPERSEDED:        codes.Aborted,
		pb.ErrorReason_ERROR_REASON_RESUME_TOKEN:      codes.PermissionDenied,
		pb.ErrorReason_ERROR_REASON_SESSION_NOT_FOUND: codes.NotFound,
		pb.ErrorReason_ERROR_REASON_SESSION_EXPIRED:   codes.NotFound,
		pb.ErrorReason_ERROR_REASON_UNAUTHENTICATED:   codes.Unauthenticated,
		pb.ErrorReason_ERROR_REASON_OFFSET_MISMATCH:   codes.OutOfRange,
		pb.ErrorReason_ERROR_REASON_STREAM_GRAMMAR:    codes.InvalidArgument,
		pb.ErrorReason_ERROR_REASON_INVALID_FIELD:     codes.InvalidArgument,
	} {
		t.Run(reason.String(), func(t *testing.T) {
			t.Parallel()
			c, k := startKeeper(t)
			conn := dialKeeper(t, c)
			var tries atomic.Int32
			k.do(func() {
				k.refuse = func(*pb.AttachRequest) error {
					tries.Add(1)
					return refusal(code, reason, map[string]string{"accepted_bytes": "17", "attach_seq": "99"})
				}
			})
			k.breakOnce()
			_, err := conn.Write([]byte("x"))
			require.NoError(t, err)
			_, err = conn.Read(make([]byte, 1))
			require.Equal(t, "17", requireError(t, err, reason).Metadata["accepted_bytes"])
			requireError(t, writeEnd(t, conn), reason)
			require.EqualValues(t, 1, tries.Load())
		})
	}
}

// TestSupersededWhileAttached: another stream has the session, and keeps it.
func TestSupersededWhileAttached(t *testing.T) {
	t.Parallel()
	c, k := startKeeper(t)
	conn := dialKeeper(t, c)
	k.do(func() { k.sessions[conn.SessionID()].stream++ })
	_, err := conn.Read(make([]byte, 1))
	requireError(t, err, pb.ErrorReason_ERROR_REASON_SUPERSEDED)
	require.Len(t, k.begun(), 1)
}

// TestBreaches: what a service must not say ends the connection; bytes that are missing never look like others.
func TestBreaches(t *testing.T) {
	t.Parallel()
	for name, lie := range map[string]func(*pb.Attached){
		"accepted less than before":   func(a *pb.Attached) { a.AcceptedOffset = 5 },
		"accepted more than was sent": func(a *pb.Attached) { a.AcceptedOffset = 1 << 20 },
		"goes on behind a gap":        func(a *pb.Attached) { a.SocketDataOffset++ },
		"another session":             func(a *pb.Attached) { a.Session.SessionId = "other" },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c, k := startKeeper(t)
			conn := dialKeeper(t, c)
			_, err := conn.Write(make([]byte, 10))
			require.NoError(t, err)
			_, err = io.ReadFull(conn, make([]byte, 10))
			require.NoError(t, err)
			require.Eventually(t, func() bool {
				k.mu.Lock()
				defer k.mu.Unlock()
				return k.sessions[conn.SessionID()].acked == 10
			}, 10*time.Second, time.Millisecond)
			k.do(func() { k.lie = lie })
			k.breakOnce()
			_, err = conn.Write([]byte("x"))
			require.NoError(t, err)
			_, err = conn.Read(make([]byte, 1))
			requireError(t, err, pb.ErrorReason_ERROR_REASON_INTERNAL)
			requireError(t, writeEnd(t, conn), pb.ErrorReason_ERROR_REASON_INTERNAL)
			require.Eventually(t, func() bool { return k.gone() == 1 }, 10*time.Second, time.Millisecond, "the peer does not wait")
		})
	}
}

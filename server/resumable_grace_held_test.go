package server_test

import (
	"bytes"
	"crypto/tls"
	"io"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/fieldmaskpb"

	pb "securesocket/gen/securesocket/v1"
	"securesocket/tlsengine/tlstest"
)

func resumableFor(grace time.Duration, ring int32) *pb.SessionSettings {
	return &pb.SessionSettings{Resumable: proto.Bool(true), DetachGrace: durationpb.New(grace), SendBufferBytes: ring}
}

// A Write that waits for a peer, longer than the grace, holds its session.
func TestWriteThatWaitsHoldsItsSession(t *testing.T) {
	t.Parallel()
	resume := make(chan struct{})
	w := newResumableWorld(t, func(conn *tls.Conn) {
		<-resume
		_, _ = io.Copy(conn, conn)
		tlstest.CloseNotify(conn)
	})
	u := w.streamless(t, resumableFor(3*time.Second, 16<<10))
	time.AfterFunc(7*time.Second, func() { close(resume) })
	sent := int64(0)
	payload := bytes.Repeat([]byte("x"), 128<<10)
	for sent < 8<<20 { // more than the kernel takes
		p, err := u.write(sent, string(payload), false)
		require.NoError(t, err)
		sent += int64(len(payload))
		require.Equal(t, sent, p.GetAcceptedOffset(), "though the ring is smaller than a payload")
	}
}

// What UpdateSession changes holds for the next connection: who waits, and who
// attaches, goes by the present one's.
func TestGraceIsTheConnections(t *testing.T) {
	t.Parallel()
	w := newResumableWorld(t, func(conn *tls.Conn) { tlstest.Echo(conn) })
	u := w.streamless(t, resumableFor(3*time.Second, 0))
	_, err := w.direct.UpdateSession(t.Context(), &pb.UpdateSessionRequest{
		SessionId: u.s.id, Settings: &pb.SessionSettings{DetachGrace: durationpb.New(10 * time.Minute)},
		UpdateMask: &fieldmaskpb.FieldMask{Paths: []string{"detach_grace"}},
	})
	require.NoError(t, err)
	reading := u.begin(t.Context(), true)
	time.AfterFunc(7*time.Second, func() { _, _ = u.write(0, "here still", false) })
	require.NoError(t, u.take(reading, func() bool { return string(u.data) == "here still" }))
	k := start(t.Context(), t, w.direct, attachFrame(&pb.AttachSession{SessionId: u.s.id, ResumeToken: u.s.token, AttachSeq: 1, ReceivedOffset: 10, Generation: 1}))
	k.until(func() bool { return k.attached != nil })
	require.Equal(t, 3*time.Second, k.attached.GetDetachGrace().AsDuration())
}

// Who lost the answer to an open has only the request_id to ask by.
func TestOpenAgainAfterTheGrace(t *testing.T) {
	t.Parallel()
	w := newResumableWorld(t, func(conn *tls.Conn) { tlstest.Echo(conn) })
	change := func(m *pb.Open) { m.AttachSeq, m.Settings.DetachGrace = 1, durationpb.New(time.Second) }
	k := start(t.Context(), t, w.direct, openFrame(w.open("once", change)))
	k.secure()
	s := idle{id: k.attached.GetSession().GetSessionId()}
	k.cancel()
	require.Eventually(t, func() bool {
		_, err := w.direct.GetSession(t.Context(), &pb.GetSessionRequest{SessionId: s.id})
		return err != nil
	}, patience, 10*time.Millisecond)
	again := start(t.Context(), t, w.direct, openFrame(w.open("once", change, func(m *pb.Open) { m.AttachSeq = 2 })))
	require.Equal(t, "SESSION_EXPIRED", reasonOf(t, again.end()))
}

// A stream's frames of another generation are dropped; a Write would be lost.
func TestGenerationThatHasNotBegun(t *testing.T) {
	t.Parallel()
	w := newResumableWorld(t, func(conn *tls.Conn) { tlstest.Echo(conn) })
	u := w.streamless(t, resumableFor(time.Minute, 0))
	_, err := u.c.Write(t.Context(), &pb.WriteRequest{SessionId: u.s.id, Generation: 2, Payload: []byte("x")})
	require.Equal(t, "OFFSET_MISMATCH", reasonOf(t, err))
	k := start(t.Context(), t, w.direct, attachFrame(&pb.AttachSession{SessionId: u.s.id, ResumeToken: u.s.token, AttachSeq: 1}))
	k.until(func() bool { return k.attached != nil })
	k.send(&pb.AttachRequest{Frame: &pb.AttachRequest_Ack{Ack: &pb.Ack{Generation: 7, ReceivedOffset: 0}}})
	k.write([]byte("the stream goes on"))
	k.until(func() bool { return string(k.data) == "the stream goes on" })
	require.Empty(t, k.refused)
}

// Attaches that fail do not keep out the one that has the token.
func TestFailedAttachesDoNotKeepOutTheOwner(t *testing.T) {
	t.Parallel()
	w := newResumableWorld(t, func(conn *tls.Conn) { tlstest.Echo(conn) })
	u := w.streamless(t, resumableFor(time.Minute, 0))
	var reasons []string
	for range 20 {
		k := start(t.Context(), t, w.direct, attachFrame(&pb.AttachSession{SessionId: u.s.id, ResumeToken: make([]byte, 32), AttachSeq: 1}))
		reasons = append(reasons, reasonOf(t, k.end()))
	}
	require.Contains(t, reasons, "RESUME_TOKEN")
	require.Equal(t, "LIMIT", reasons[len(reasons)-1])
	k := start(t.Context(), t, w.direct, attachFrame(&pb.AttachSession{SessionId: u.s.id, ResumeToken: u.s.token, AttachSeq: 1}))
	k.until(func() bool { return k.attached != nil })
}

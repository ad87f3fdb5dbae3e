package server_test

import (
	"errors"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/proto"

	pb "securesocket/gen/securesocket/v1"
	"securesocket/server/servertest"
	"securesocket/tlsengine/tlstest"
)

func TestRequestIDs(t *testing.T) {
	t.Parallel()
	l := make(listener, 10)
	addr, ca := scriptedPeer(t, l.handle)
	c := servertest.Start(t).Client(t)
	host, port := hostPort(t, addr)
	create := func(id, label string) (*pb.CreateSessionResponse, error) {
		return c.CreateSession(t.Context(), &pb.CreateSessionRequest{RequestId: id, Settings: &pb.SessionSettings{Label: label}})
	}
	const retries = 20
	var wg sync.WaitGroup
	ids, errs := make([]string, retries), make([]error, retries)
	for i := range retries {
		wg.Go(func() {
			var resp *pb.CreateSessionResponse
			resp, errs[i] = create("create", "a")
			ids[i] = resp.GetSession().GetSessionId() + string(resp.GetResumeToken())
		})
	}
	wg.Wait()
	require.NoError(t, errors.Join(errs...))
	require.Len(t, slices.Compact(ids), 1, "concurrent retries make one session")
	_, err := create("create", "b")
	require.Equal(t, "REQUEST_ID_REUSED", reasonOf(t, err))
	require.Equal(t, "REQUEST_ID_REUSED", reasonOf(t, start(t.Context(), t, c, openFrame(&pb.Open{RequestId: "create", Host: host, Port: port})).end()))
	_, err = create(strings.Repeat("x", 129), "")
	require.Equal(t, "INVALID_FIELD", reasonOf(t, err))
	_, err = c.CreateSession(servertest.As(t.Context(), "another"), &pb.CreateSessionRequest{RequestId: "create"})
	require.NoError(t, err, "of another caller")

	resp, err := create("create", "a")
	require.NoError(t, err)
	s := idle{resp.GetSession().GetSessionId(), resp.GetResumeToken()}
	_, err = c.AddCertificate(t.Context(), &pb.AddCertificateRequest{SessionId: s.id, Certificate: ca.DER(), Trusted: true})
	require.NoError(t, err)
	connect := func(id, host string) (*pb.ConnectResponse, error) {
		return c.Connect(t.Context(), &pb.ConnectRequest{SessionId: s.id, Host: host, Port: port, RequestId: id})
	}
	for i := range retries {
		wg.Go(func() {
			var resp *pb.ConnectResponse
			resp, errs[i] = connect("connect", host)
			ids[i] = strconv.FormatInt(resp.GetSession().GetGeneration(), 10) + resp.GetSession().GetState().String()
		})
	}
	wg.Wait()
	require.NoError(t, errors.Join(errs...))
	require.Equal(t, []string{"1STATE_ENCRYPTED"}, slices.Compact(ids), "one attempt, which all of them joined")
	_, err = connect("connect", "localhost")
	require.Equal(t, "REQUEST_ID_REUSED", reasonOf(t, err))
	k := attach(t.Context(), t, c, s, 1)
	k.write([]byte("unharmed"))
	k.until(func() bool { return string(k.data) == "unharmed" })
	_, err = connect("connect", host)
	require.NoError(t, err)
	require.NotContains(t, k.kinds(), "closed")
	require.EqualValues(t, 1, getSession(t.Context(), t, c, s).GetGeneration(), "a retry does not kill what it made")

	// A failure is an outcome too.
	_, refusedPort := hostPort(t, closedPort(t))
	var first string
	for range 2 {
		_, err = c.Connect(t.Context(), &pb.ConnectRequest{SessionId: s.id, Host: host, Port: refusedPort, RequestId: "fails"})
		require.Equal(t, "CONNECTION_REFUSED", reasonOf(t, err))
		if first == "" {
			first = err.Error()
		}
		require.Equal(t, first, err.Error())
		require.EqualValues(t, 2, getSession(t.Context(), t, c, s).GetGeneration())
	}
	stillWorks(t.Context(), t, c, s, addr)
	_, err = c.DeleteSession(t.Context(), &pb.DeleteSessionRequest{SessionId: s.id})
	require.NoError(t, err)
	_, err = create("create", "a")
	require.Equal(t, "SESSION_NOT_FOUND", reasonOf(t, err), "the session of that request_id is gone")
}

// A retry of an open may overtake the first: whichever comes first creates, and
// the one with the larger attach_seq holds a session that connects.
func TestConcurrentRetriesOfAnOpen(t *testing.T) {
	t.Parallel()
	addr, ca := echoServer(t)
	c := servertest.Start(t).Client(t)
	host, port := hostPort(t, addr)
	certs := []*pb.ExtraCertificate{{Certificate: ca.DER(), Trusted: true}}
	for range 99 { // the first is kept busy for a while
		certs = append(certs, &pb.ExtraCertificate{Certificate: tlstest.NewCA(t).DER()})
	}
	for i := range 20 {
		m := &pb.Open{Host: host, Port: port, RequestId: "open" + strconv.Itoa(i), Certificates: certs}
		ks := make([]*caller, 4)
		for j := range ks {
			m := proto.CloneOf(m)
			m.AttachSeq = int64(j + 1)
			ks[j] = start(t.Context(), t, c, openFrame(m))
		}
		var wg sync.WaitGroup
		for _, k := range ks[:3] {
			wg.Go(func() { _ = k.end() })
		}
		ks[3].secure()
		ks[3].write([]byte("one session"))
		ks[3].until(func() bool { return string(ks[3].data) == "one session" })
		list, err := c.ListSessions(t.Context(), &pb.ListSessionsRequest{})
		require.NoError(t, err)
		require.Len(t, list.GetSessions(), 1)
		require.NoError(t, ks[3].stream.CloseSend())
		require.NoError(t, ks[3].end())
		wg.Wait()
	}
	m := &pb.Open{Host: host, Port: port, RequestId: "open0", AttachSeq: 9, KeepSession: true}
	require.Equal(t, "REQUEST_ID_REUSED", reasonOf(t, start(t.Context(), t, c, openFrame(m)).end()))
}

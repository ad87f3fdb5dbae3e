package server_test

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/proto"

	pb "securesocket/gen/securesocket/v1"
	"securesocket/server/servertest"
	"securesocket/session"
	"securesocket/session/quota"
)

const ownDestinations, allDestinations = "new destinations in short order of a caller", "new destinations in short order"

// Destinations that are new to a caller are limited, and one who goes on is suspected;
// where he was before he may go as often as he likes.
func TestLimitOfDestinations(t *testing.T) {
	t.Parallel()
	addr, ca := echoServer(t)
	suspects := make(chan string, 9)
	svc := servertest.Start(t, limited(func(sc *session.Config) {
		// One in a minute: no test is so slow.
		sc.DestinationsPerOwner = quota.Limit{PerSecond: 1, Burst: 3}
		sc.Destinations = quota.Limit{PerSecond: 1, Burst: 50}
		sc.Suspected = func(owner string) { suspects <- owner }
	})...)
	c := svc.Client(t)
	connect := func(ctx context.Context, s idle, host string, port int32) error {
		_, err := c.Connect(ctx, &pb.ConnectRequest{SessionId: s.id, Host: host, Port: port})
		return err
	}
	s := newIdle(t.Context(), t, c, ca)
	connectTo(t.Context(), t, c, s, addr)
	k := attach(t.Context(), t, c, s, 1)
	closed, scanner := closedPort(t), newIdle(t.Context(), t, c, nil)
	host, port := hostPort(t, closed)
	for range 4 { // two places, often: hosts and ports both tell places apart
		require.Equal(t, "CONNECTION_REFUSED", reasonOf(t, connect(t.Context(), scanner, host, port)))
		require.Equal(t, "CONNECTION_REFUSED", reasonOf(t, connect(t.Context(), scanner, "127.0.0.2", port)))
	}
	var places int
	refused := func() refusal { // what one more place is refused for
		for {
			places++
			require.Less(t, places, 200, "no limit")
			err := connect(t.Context(), scanner, fmt.Sprintf("127.1.1.%d", places), port)
			if infoReason(err) == "LIMIT" {
				return requireLimit(t, err, ownDestinations, "1", true)
			}
			require.Equal(t, "CONNECTION_REFUSED", reasonOf(t, err))
		}
	}
	require.LessOrEqual(t, refused().retry, time.Second)
	require.Equal(t, "tester", <-suspects)

	// A proxy is a destination too, and a refused Connect leaves the old connection.
	_, err := c.UpdateSession(t.Context(), &pb.UpdateSessionRequest{SessionId: s.id, Settings: &pb.SessionSettings{
		Proxy: &pb.ProxySettings{Kind: pb.ProxySettings_KIND_SOCKS5, Host: "127.0.0.4", Port: port},
	}})
	require.NoError(t, err)
	refused()
	_, err = tryConnect(t.Context(), t, c, s, addr)
	requireLimit(t, err, ownDestinations, "1", true)
	k.send(dataFrame(1, 0, "as it was"))
	k.until(func() bool { return string(k.data) == "as it was" })
	require.Empty(t, suspects, "once a minute")

	other := servertest.As(t.Context(), "other")
	require.Equal(t, "CONNECTION_REFUSED", reasonOf(t, connect(other, newIdle(other, t, c, nil), host, port)), "he has done nothing")
	connectTo(t.Context(), t, c, newIdle(t.Context(), t, c, ca), addr) // where he was before
}

// All callers together have a limit too, of which nobody is suspected.
func TestLimitOfDestinationsOfAll(t *testing.T) {
	t.Parallel()
	svc := servertest.Start(t, limited(func(sc *session.Config) {
		sc.Destinations = quota.Limit{PerSecond: 1, Burst: 5}
		sc.Suspected = func(owner string) { t.Error("suspected:", owner) }
	})...)
	c := svc.Client(t)
	_, port := hostPort(t, closedPort(t))
	for i := range 100 {
		ctx := servertest.As(t.Context(), fmt.Sprint("caller ", i))
		_, err := c.Connect(ctx, &pb.ConnectRequest{SessionId: newIdle(ctx, t, c, nil).id, Host: "127.0.0.1", Port: port})
		if infoReason(err) == "LIMIT" {
			require.GreaterOrEqual(t, i, 5)
			requireLimit(t, err, allDestinations, "1", true)
			return
		}
		require.Equal(t, "CONNECTION_REFUSED", reasonOf(t, err))
	}
	require.Fail(t, "no limit")
}

// A scan of a thousand ports gets no further than the burst.
func TestThreat12ScanOfPorts(t *testing.T) {
	t.Parallel()
	svc := servertest.Start(t, limited(func(sc *session.Config) { sc.DestinationsPerOwner = quota.Limit{PerSecond: 1, Burst: 20} })...)
	c := svc.Client(t)
	s := newIdle(t.Context(), t, c, nil, &pb.SessionSettings{Resumable: proto.Bool(false)})
	began, reached := time.Now(), 0
	for port := range int32(1000) {
		_, err := c.Connect(t.Context(), &pb.ConnectRequest{SessionId: s.id, Host: "127.9.9.9", Port: 1 + port})
		require.Error(t, err)
		if infoReason(err) == "LIMIT" {
			requireLimit(t, err, ownDestinations, "1", true)
			continue
		}
		reached++
	}
	require.GreaterOrEqual(t, reached, 20)
	require.LessOrEqual(t, reached, 20+1+int(time.Since(began)/time.Second))
	givenBack(t, svc)
}

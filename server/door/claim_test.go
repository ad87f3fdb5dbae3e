package door_test

import (
	"io"
	"net"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/status"

	"securesocket/server/door"
)

func TestAnAuthenticatedRPCClaimsItsConnection(t *testing.T) {
	t.Parallel()
	for _, network := range []string{"tcp", "unix"} {
		t.Run(network, func(t *testing.T) {
			t.Parallel()
			d := door.New(door.Config{})
			addr := serve(t, d, listen(t, network), insecure.NewCredentials())
			a, b := client(t, addr, "", nil), client(t, addr, "", nil)
			require.NoError(t, check(t.Context(), a))
			require.NoError(t, check(t.Context(), b))
			s := d.Stats()
			require.Equal(t, [3]int{2, 2, 0}, [3]int{s.Open, s.Unclaimed, s.Callers}, "a visit claims nothing")
			require.NoError(t, check(as(t.Context(), "anna"), a))
			require.NoError(t, check(as(t.Context(), "anna"), b))
			require.NoError(t, check(as(t.Context(), "bert"), b), "the connection is anna's all the same")
			s = d.Stats()
			require.Equal(t, [3]int{2, 0, 1}, [3]int{s.Open, s.Unclaimed, s.Callers})
		})
	}
}

func TestACallerHasSoManyConnections(t *testing.T) {
	t.Parallel()
	d := door.New(door.Config{PerCaller: 2})
	addr := serve(t, d, listen(t, "tcp"), insecure.NewCredentials())
	ctx := as(t.Context(), "anna")
	for range 2 {
		require.NoError(t, check(ctx, client(t, addr, "", nil)))
	}
	third := client(t, addr, "", nil)
	for range 3 {
		require.Equal(t, codes.ResourceExhausted, status.Code(check(ctx, third)), "the refusal arrives")
	}
	require.NoError(t, check(as(t.Context(), "bert"), client(t, addr, "", nil)))
	eventually(t, func() bool { return d.Stats().Open == 3 })
	require.Equal(t, uint64(1), d.Stats().Refused[door.LimitCaller])
}

func TestTheRefusalOfAClaimIsTyped(t *testing.T) {
	t.Parallel()
	d := door.New(door.Config{PerCaller: 1})
	l := &fakeListener{conns: make(chan result, 3)}
	a, b := accept(t, d, l), accept(t, d, l)
	require.NoError(t, a.DoorTicket().Claim("anna"))
	require.NoError(t, a.DoorTicket().Claim("bert"))
	var limit *door.LimitError
	require.ErrorAs(t, b.DoorTicket().Claim("anna"), &limit)
	require.Equal(t, door.LimitError{What: door.LimitCaller, Limit: 1}, *limit)
	require.ErrorAs(t, b.DoorTicket().Claim("bert"), &limit, "the connection is lost, whoever speaks")
	require.NoError(t, a.Close())
	require.NoError(t, a.Close())
	require.NoError(t, accept(t, d, l).DoorTicket().Claim("anna"), "there is room again")
	require.NoError(t, b.Close())
	require.ErrorAs(t, b.DoorTicket().Claim("anna"), &limit, "it has ended")
	require.Equal(t, 1, d.Stats().Open)
	var none *door.Ticket
	require.NoError(t, none.Claim("anna"))
	require.True(t, none.Claimed())
	leave, err := none.Visit()
	require.NoError(t, err)
	leave()
}

func TestTheTicketIsFoundThroughWrappers(t *testing.T) {
	t.Parallel()
	d := door.New(door.Config{SetupTimeout: time.Minute})
	c := accept(t, d, &fakeListener{conns: make(chan result, 1)})
	require.NotNil(t, door.FromConn(c))
	require.Same(t, c.DoorTicket(), door.FromConn(d.Meter(c)))
	require.Nil(t, door.FromConn(c.NetConn()))
	require.Equal(t, c.NetConn().RemoteAddr(), door.Unwrap(c.RemoteAddr()))
	require.Nil(t, door.FromContext(t.Context()))
	_, err := c.SyscallConn()
	require.Error(t, err, "a pipe has no descriptor")
	require.NoError(t, c.Close())
}

// TestTheRefusalOfAClaimIsNotReset: what was written before the end is still to be read.
func TestTheRefusalOfAClaimIsNotReset(t *testing.T) {
	t.Parallel()
	d := door.New(door.Config{PerCaller: 1})
	inner := listen(t, "tcp")
	l := d.Listener(inner)
	defer l.Close()
	comes := func() (near, far net.Conn) {
		far, err := net.Dial("tcp", inner.Addr().String())
		require.NoError(t, err)
		t.Cleanup(func() { _ = far.Close() })
		near, err = l.Accept()
		require.NoError(t, err)
		t.Cleanup(func() { _ = near.Close() })
		return near, far
	}
	first, _ := comes()
	require.NoError(t, door.FromConn(first).Claim("anna"))
	near, far := comes()
	require.Error(t, door.FromConn(near).Claim("anna"))
	_, err := io.WriteString(near, "no")
	require.NoError(t, err)
	eventually(t, func() bool { return d.Stats().Open == 1 })
	require.NoError(t, far.SetDeadline(time.Now().Add(20*time.Second)))
	text, err := io.ReadAll(far)
	require.NoError(t, err)
	require.Equal(t, "no", string(text))
}

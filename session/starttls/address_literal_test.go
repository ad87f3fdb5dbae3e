package starttls

import (
	"net"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestAddressLiteral(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		addr net.Addr
		want string
	}{
		{nil, "[127.0.0.1]"},
		{&net.UnixAddr{Name: "/s"}, "[127.0.0.1]"},
		{&net.TCPAddr{}, "[127.0.0.1]"},
		{&net.TCPAddr{IP: net.IPv4(192, 0, 2, 1), Port: 5}, "[192.0.2.1]"},
		{&net.TCPAddr{IP: net.ParseIP("::ffff:192.0.2.1")}, "[192.0.2.1]"},
		{&net.TCPAddr{IP: net.ParseIP("fe80::1"), Zone: "eth0"}, "[IPv6:fe80::1]"},
	} {
		require.Equal(t, tc.want, addressLiteral(tc.addr))
	}
}

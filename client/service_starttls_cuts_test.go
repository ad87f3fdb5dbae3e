package client_test

import (
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/require"

	"securesocket/client"
	"securesocket/server/servertest"
	"securesocket/server/servertest/cutproxy"
	"securesocket/tlsengine/tlstest"
)

// cutService is a service behind a proxy whose first connection is cut as plan says.
type cutService struct {
	service *servertest.Service
	ca      *tlstest.CA
	id      *client.Identity
}

// span is from where to where bytes went in one direction, from the dial to the end.
type span struct{ from, to int64 }

// run makes a conversation over a way that is cut there, and returns the bytes that the first connection took if it is not.
func (s *cutService) run(t *testing.T, cut cutproxy.Cut, talk func(t *testing.T, d *client.Dialer, dialled func())) (up, down span) {
	t.Helper()
	proxy := cutproxy.Start(t, s.service.DialContext)
	var first atomic.Bool
	proxy.Plan(func() cutproxy.Cut {
		if first.Swap(true) {
			return cutproxy.Cut{}
		}
		return cut
	})
	c, err := client.Dial("grpc://service:1", client.WithMaxStreamsPerConn(100), client.WithContextDialer(proxy.Dial))
	require.NoError(t, err)
	d := &client.Dialer{Client: c, RootCAs: [][]byte{s.ca.DER()}, ServerName: new("localhost"), Resumable: true}
	d.Identities = []*client.Identity{s.id}
	talk(t, d, func() { up.from, down.from = proxy.Counts() })
	up.to, down.to = proxy.Counts()
	require.NoError(t, c.Close())
	proxy.Close()
	return up, down
}

// TestServiceStartTLSIsCut: the way to the service breaks after each of many numbers of bytes in either direction, before,
// in and after the switch, and the conversation goes on as if nothing had been.
func TestServiceStartTLSIsCut(t *testing.T) {
	t.Parallel()
	ca := tlstest.NewCA(t)
	id, err := client.CallerHeldIdentity(ca.Leaf(tlstest.Names("localhost")).Certificate())
	require.NoError(t, err)
	s := &cutService{servertest.Start(t), ca, id}
	mail := smtpPeer(t, serverConfig(ca), "")
	for name, talk := range map[string]func(*testing.T, *client.Dialer, func()){
		"client": func(t *testing.T, d *client.Dialer, dialled func()) {
			conn, err := d.DialPlain(t.Context(), "tcp", mail)
			require.NoError(t, err)
			dialled()
			ask(t, conn, "")
			ask(t, conn, "STARTTLS")
			require.NoError(t, conn.StartTLS(t.Context()))
			require.Contains(t, ask(t, conn, "NOOP"), "250 ")
			require.NoError(t, conn.Close())
		},
		"server": func(t *testing.T, d *client.Dialer, dialled func()) {
			conn, peer := plainPair(t, d)
			dialled()
			var talking sync.WaitGroup
			talking.Go(func() { pleaseTLS(peer, &tls.Config{RootCAs: ca.Pool(), ServerName: "localhost"}) })
			readExactly(t, conn, "please\n")
			_, err := io.WriteString(conn, "yes\n")
			require.NoError(t, err)
			require.NoError(t, conn.StartTLSServer(t.Context()))
			_, err = io.WriteString(conn, greeting)
			require.NoError(t, err)
			require.NoError(t, conn.CloseWrite())
			got, err := io.ReadAll(conn)
			require.NoError(t, err)
			require.Equal(t, greeting, string(got))
			require.NoError(t, conn.Close())
			talking.Wait()
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			up, down := s.run(t, cutproxy.Cut{}, talk)
			step := int64(3)
			if testing.Short() {
				step = 41
			}
			for direction, bytes := range map[cutproxy.Direction]span{cutproxy.Up: up, cutproxy.Down: down} {
				require.Greater(t, bytes.to, bytes.from+100)
				t.Run(fmt.Sprint(direction), func(t *testing.T) {
					t.Parallel()
					for after := bytes.from; after < bytes.to; after += step {
						how := cutproxy.FIN
						if after%2 == 0 {
							how = cutproxy.RST
						}
						if !t.Run(fmt.Sprint(after), func(t *testing.T) {
							s.run(t, cutproxy.Cut{Direction: direction, After: after, How: how}, talk)
						}) {
							return
						}
					}
				})
			}
		})
	}
}

// pleaseTLS is a peer that asks for TLS, sends its hello without waiting for the answer, which comes in clear, and then
// sends back what it gets.
func pleaseTLS(peer *net.TCPConn, config *tls.Config) {
	_, _ = io.WriteString(peer, "please\n")
	secure := tls.Client(&clearFirst{Conn: peer, left: 4}, config)
	_, _ = io.Copy(secure, secure)
	_ = secure.CloseWrite()
}

// clearFirst is a connection whose first bytes received are not for TLS.
type clearFirst struct {
	net.Conn
	left int
}

func (c *clearFirst) Read(p []byte) (int, error) {
	for c.left > 0 {
		n, err := c.Conn.Read(make([]byte, c.left))
		if err != nil {
			return 0, err
		}
		c.left -= n
	}
	return c.Conn.Read(p)
}

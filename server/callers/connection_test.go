package callers

import (
	"net"
	"os"
	"strconv"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/net/netutil"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/peer"
)

func TestUnixSocketTellsTheUser(t *testing.T) {
	t.Parallel()
	w := newWorld(t, Config{})
	p, err := w.who(w.dial(w.unix, nil))
	require.NoError(t, err)
	require.Equal(t, "uid:"+strconv.Itoa(os.Getuid()), p)
	require.Equal(t, KindUID, KindOf(p))
	require.True(t, w.callers.Allowed(p))
	require.False(t, w.callers.Administrator(p))
}

func TestPlainTCPNeedsInsecure(t *testing.T) {
	t.Parallel()
	closed := newWorld(t, Config{})
	_, err := closed.who(closed.dial(closed.plain, nil))
	refusedConnection(t, err)

	open := newWorld(t, Config{Insecure: true})
	p, err := open.who(open.dial(open.plain, nil))
	require.NoError(t, err)
	require.Equal(t, Anonymous, p)
	require.True(t, open.callers.Allowed(p))
}

func TestSecureListenerNeedsTLS(t *testing.T) {
	t.Parallel()
	unconfigured := newWorld(t, Config{Insecure: true})
	_, err := unconfigured.who(unconfigured.dial(unconfigured.secure, nil))
	refusedConnection(t, err)

	f := newFiles(t)
	w := newWorld(t, Config{Insecure: true, TLS: &f.TLS})
	_, err = w.who(w.dial(w.secure, nil))
	refusedConnection(t, err)
}

// TestWrappersHideNoTLS: a connection that must begin with TLS is not served
// without it because something counts connections.
func TestWrappersHideNoTLS(t *testing.T) {
	t.Parallel()
	a, b := net.Pipe()
	defer a.Close()
	defer b.Close()
	inner, secure := innermost(counted{secureConn{counted{a}}})
	require.True(t, secure)
	require.Equal(t, a, inner)
	inner, secure = innermost(counted{a})
	require.False(t, secure)
	require.Equal(t, a, inner)

	var lc net.ListenConfig
	l, err := lc.Listen(t.Context(), "tcp", "127.0.0.1:0")
	require.NoError(t, err)
	wrapped := SecureListener(netutil.LimitListener(l, 1))
	defer wrapped.Close()
	require.Equal(t, l.Addr(), wrapped.Addr())
	caller, err := new(net.Dialer).DialContext(t.Context(), "tcp", l.Addr().String())
	require.NoError(t, err)
	defer caller.Close()
	accepted, err := wrapped.Accept()
	require.NoError(t, err)
	defer accepted.Close()
	_, secure = innermost(accepted)
	require.True(t, secure)
}

type counted struct{ net.Conn }

func (c counted) NetConn() net.Conn { return c.Conn }

func TestCredentialsAreTheServersAlone(t *testing.T) {
	t.Parallel()
	c, err := New(Config{})
	require.NoError(t, err)
	creds := c.Credentials()
	_, _, err = creds.ClientHandshake(t.Context(), "", nil)
	require.Error(t, err)
	require.Equal(t, creds, creds.Clone())
	require.NotEmpty(t, creds.Info().SecurityProtocol)
	_, err = c.Authenticate(t.Context())
	require.ErrorIs(t, err, ErrNoCredentials)
}

// TestTokensNeedEncryption even where a connection was let in by other rules.
func TestTokensNeedEncryption(t *testing.T) {
	t.Parallel()
	c, err := New(Config{})
	require.NoError(t, err)
	ctx := peer.NewContext(t.Context(), &peer.Peer{AuthInfo: anonymousCaller{}})
	ctx = metadata.NewIncomingContext(ctx, metadata.Pairs("authorization", "Bearer "+NewToken()))
	_, err = c.Authenticate(ctx)
	var te *TokenError
	require.ErrorAs(t, err, &te)
	require.Equal(t, TokenUnencrypted, te.Why)

	_, err = c.Authenticate(peer.NewContext(t.Context(), &peer.Peer{AuthInfo: credentials.TLSInfo{}}))
	require.ErrorIs(t, err, ErrNoCredentials, "a connection of somebody else's")
}

package client_test

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"strconv"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/net/nettest"

	"securesocket/client"
	pb "securesocket/gen/securesocket/v1"
	"securesocket/tlsengine/tlstest"
)

// uploaded is an identity with these names.
func uploaded(tb testing.TB, ca *tlstest.CA, names ...string) *client.Identity {
	tb.Helper()
	id, err := client.UploadedIdentity(ca.Leaf(tlstest.Names(names...)).Certificate())
	require.NoError(tb, err)
	return id
}

// listen listens on a free port of the service d.Client names, until the test ends.
func listen(tb testing.TB, c *client.Client, cfg *client.ListenConfig) *client.Listener {
	tb.Helper()
	l, err := c.Listen(tb.Context(), "127.0.0.1:0", cfg)
	require.NoError(tb, err)
	tb.Cleanup(func() { _ = l.Close() })
	return l
}

// echoes sends back what the connections of l bring, until l ends.
func echoAccepted(tb testing.TB, l *client.Listener) {
	var serving sync.WaitGroup
	serving.Go(func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			serving.Go(func() {
				_, _ = io.Copy(conn, conn)
				_ = conn.Close()
			})
		}
	})
	tb.Cleanup(func() {
		_ = l.Close()
		serving.Wait()
	})
}

// echoOnce has a peer get back what it says.
func echoOnce(address string, config *tls.Config) error {
	conn, err := tls.Dial("tcp", address, config)
	if err != nil {
		return err
	}
	defer conn.Close()
	if _, err := io.WriteString(conn, greeting); err != nil {
		return err
	}
	got := make([]byte, len(greeting))
	if _, err := io.ReadFull(conn, got); err != nil {
		return err
	}
	if string(got) != greeting {
		return fmt.Errorf("got %q", got)
	}
	return conn.CloseWrite()
}

// TestServiceAcceptedNetConn: an accepted connection keeps to the rules as a dialled one does.
func TestServiceAcceptedNetConn(t *testing.T) {
	t.Parallel()
	ca := tlstest.NewCA(t)
	c := dialer(t, ca).Client
	for name, cfg := range map[string]*client.ListenConfig{
		"TLS":           {Identities: []*client.Identity{uploaded(t, ca, "127.0.0.1")}},
		"TLS resumable": {Identities: []*client.Identity{uploaded(t, ca, "127.0.0.1")}, Resumable: true},
		"plain":         {Plain: true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			l := listen(t, c, cfg)
			nettest.TestConn(t, func() (c1, c2 net.Conn, stop func(), err error) {
				var peer net.Conn
				if cfg.Plain {
					peer, err = net.Dial("tcp", l.Addr().String())
				} else {
					peer, err = tls.Dial("tcp", l.Addr().String(), &tls.Config{RootCAs: ca.Pool()})
				}
				if err != nil {
					return nil, nil, nil, err
				}
				conn, err := l.AcceptConn(t.Context())
				if err != nil {
					return nil, nil, nil, err
				}
				return conn, peer, func() {
					peer.Close()
					conn.Close()
				}, nil
			})
		})
	}
}

// TestServiceListenerServesHTTP: net/http works on it, for its own client and for curl.
func TestServiceListenerServesHTTP(t *testing.T) {
	t.Parallel()
	ca := tlstest.NewCA(t)
	l := listen(t, dialer(t, ca).Client, &client.ListenConfig{Identities: []*client.Identity{uploaded(t, ca, "localhost", "127.0.0.1")}})
	type connKey struct{}
	server := &http.Server{
		ReadHeaderTimeout: time.Minute,
		ConnContext: func(ctx context.Context, conn net.Conn) context.Context {
			return context.WithValue(ctx, connKey{}, conn)
		},
		Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			conn := r.Context().Value(connKey{}).(*client.Conn)
			_, _ = fmt.Fprintf(w, "hello %s of %s", r.URL.Path, conn.ConnectionState().ServerName)
		}),
	}
	served := make(chan error, 1)
	go func() { served <- server.Serve(l) }()
	url := "https://localhost:" + strconv.Itoa(l.Addr().(*net.TCPAddr).Port) + "/x"
	t.Run("Go", func(t *testing.T) {
		transport := &http.Transport{TLSClientConfig: &tls.Config{RootCAs: ca.Pool()}}
		defer transport.CloseIdleConnections()
		for range 3 { // on one connection
			response, err := (&http.Client{Transport: transport, Timeout: 10 * time.Second}).Get(url)
			require.NoError(t, err)
			got, err := io.ReadAll(response.Body)
			require.NoError(t, err)
			require.NoError(t, response.Body.Close())
			require.Equal(t, "hello /x of localhost", string(got))
		}
	})
	t.Run("curl", func(t *testing.T) {
		curl, err := exec.LookPath("curl")
		if err != nil {
			if os.Getenv("CI") != "" {
				t.Fatal("curl is required where CI is set")
			}
			t.Skip("curl is not installed")
		}
		file := t.TempDir() + "/ca.pem"
		require.NoError(t, os.WriteFile(file, ca.PEM(), 0o600))
		got, err := exec.CommandContext(t.Context(), curl, "--silent", "--show-error", "--noproxy", "*", "--cacert", file, url).CombinedOutput()
		require.NoError(t, err, "%s", got)
		require.Equal(t, "hello /x of localhost", string(got))
	})
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	require.NoError(t, server.Shutdown(ctx))
	require.ErrorIs(t, <-served, http.ErrServerClosed)
	_, err := l.Accept()
	require.ErrorIs(t, err, net.ErrClosed)
}

// TestServiceListenerHasManyNames: each name gets its own certificate, whoever holds the key.
func TestServiceListenerHasManyNames(t *testing.T) {
	t.Parallel()
	ca := tlstest.NewCA(t)
	held, err := client.CallerHeldIdentity(ca.Leaf(tlstest.Names("b.example")).Certificate())
	require.NoError(t, err)
	l := listen(t, dialer(t, ca).Client, &client.ListenConfig{
		Identities: []*client.Identity{uploaded(t, ca, "a.example"), held, uploaded(t, ca, "c.example")},
		ALPN:       []string{"one", "two"},
	})
	for _, name := range []string{"a.example", "b.example", "c.example"} {
		peer := make(chan error, 1)
		go func() {
			peer <- echoOnce(l.Addr().String(), &tls.Config{RootCAs: ca.Pool(), ServerName: name, NextProtos: []string{"two"}})
		}()
		conn, err := l.AcceptConn(t.Context())
		require.NoError(t, err)
		require.Equal(t, name, conn.ConnectionState().ServerName)
		require.Equal(t, "two", conn.ConnectionState().NegotiatedProtocol)
		require.True(t, conn.Encrypted())
		require.Equal(t, l.Addr(), conn.LocalAddr())
		require.NotZero(t, conn.RemoteAddr().(*net.TCPAddr).Port)
		_, err = io.Copy(conn, conn)
		require.NoError(t, err)
		require.NoError(t, conn.Close())
		require.NoError(t, <-peer)
	}
}

// TestServiceListenerSigns: with a key of every kind, here or there, in both versions of TLS.
func TestServiceListenerSigns(t *testing.T) {
	t.Parallel()
	ca := tlstest.NewCA(t)
	c := dialer(t, ca).Client
	for kind, identity := range identities(t, ca) {
		t.Run(kind, func(t *testing.T) {
			t.Parallel()
			l := listen(t, c, &client.ListenConfig{Identities: []*client.Identity{identity}})
			echoAccepted(t, l)
			for _, version := range []uint16{tls.VersionTLS12, tls.VersionTLS13} {
				config := &tls.Config{RootCAs: ca.Pool(), ServerName: "localhost", MaxVersion: version}
				require.NoError(t, echoOnce(l.Addr().String(), config))
			}
		})
	}
}

// TestServiceListenerAsksClients: whom it lets in, and what is known about them.
func TestServiceListenerAsksClients(t *testing.T) {
	t.Parallel()
	ca, strangers := tlstest.NewCA(t), tlstest.NewCA(t)
	c := dialer(t, ca).Client
	forClients := tlstest.ExtKeyUsage(x509.ExtKeyUsageClientAuth)
	known := ca.Leaf(tlstest.Names("client.example"), forClients).Certificate()
	stranger := strangers.Leaf(tlstest.Names("stranger.example"), forClients).Certificate()
	asked := make(chan *client.Question, 10)
	l := listen(t, c, &client.ListenConfig{
		Identities: []*client.Identity{uploaded(t, ca, "localhost")},
		ClientAuth: pb.ClientAuth_CLIENT_AUTH_REQUIRE_AND_VERIFY, ClientCAs: [][]byte{ca.DER()},
		Decide: func(_ context.Context, q *client.Question) client.Answer {
			asked <- q
			return client.AcceptAll()
		},
	})
	peer := func(certs ...tls.Certificate) chan error {
		done := make(chan error, 1)
		go func() {
			done <- echoOnce(l.Addr().String(), &tls.Config{RootCAs: ca.Pool(), ServerName: "localhost", Certificates: certs})
		}()
		return done
	}
	accept := func() *client.Conn {
		conn, err := l.AcceptConn(t.Context())
		require.NoError(t, err)
		go func() {
			_, _ = io.Copy(conn, conn)
			_ = conn.Close()
		}()
		return conn
	}
	require.Error(t, <-peer(), "no certificate: nobody is told of it")
	done := peer(known)
	conn := accept()
	require.Equal(t, pb.CertificateStatus_CERTIFICATE_STATUS_TRUSTED, conn.CertificateStatus())
	require.NoError(t, conn.ConnectionState().PeerCertificates[0].VerifyHostname("client.example"))
	require.NoError(t, <-done)
	require.Empty(t, asked)
	done = peer(stranger)
	conn = accept()
	require.Equal(t, pb.CertificateReport_TRUST_BASIS_OVERRIDE, conn.TrustBasis())
	require.NoError(t, <-done)
	question := <-asked
	require.Equal(t, conn.SessionID(), question.SessionID)
	require.Equal(t, conn.RemoteAddr().String(), question.Address)
}

// TestServiceListenerTakesMany: 500 at once, and every one is served.
func TestServiceListenerTakesMany(t *testing.T) {
	t.Parallel()
	ca := tlstest.NewCA(t)
	l := listen(t, dialer(t, ca).Client, &client.ListenConfig{Identities: []*client.Identity{uploaded(t, ca, "localhost")}})
	echoAccepted(t, l)
	const n = 500
	var peers sync.WaitGroup
	for range n {
		peers.Go(func() {
			if err := echoOnce(l.Addr().String(), &tls.Config{RootCAs: ca.Pool(), ServerName: "localhost"}); err != nil {
				t.Error(err)
			}
		})
	}
	peers.Wait()
}

// TestServiceListenerIsNotAccepted: nobody calls Accept for a while; what there was room for waits, and everything goes on
// afterwards.
func TestServiceListenerIsNotAccepted(t *testing.T) {
	t.Parallel()
	c := dialer(t, tlstest.NewCA(t)).Client
	l := listen(t, c, &client.ListenConfig{Plain: true, Backlog: 5})
	peers := make([]net.Conn, 12)
	for i := range peers {
		var err error
		peers[i], err = net.Dial("tcp", l.Addr().String())
		require.NoError(t, err)
		t.Cleanup(func() { peers[i].Close() })
		_, err = fmt.Fprintf(peers[i], "%02d", i)
		require.NoError(t, err)
	}
	require.Eventually(t, func() bool { return len(sessions(t, c)) >= 10 }, patience, time.Millisecond)
	seen := map[string]bool{}
	for range peers {
		conn, err := l.AcceptConn(t.Context())
		require.NoError(t, err)
		var name [2]byte
		_, err = io.ReadFull(conn, name[:])
		require.NoError(t, err)
		seen[string(name[:])] = true
		conn.Abort() // Close would wait for the peer's end
	}
	require.Len(t, seen, len(peers))
}

// TestServiceListenerCloses: Accept returns, who waits is closed, who was accepted goes on.
func TestServiceListenerCloses(t *testing.T) {
	t.Parallel()
	c := dialer(t, tlstest.NewCA(t)).Client
	l := listen(t, c, &client.ListenConfig{Plain: true})
	first, err := net.Dial("tcp", l.Addr().String())
	require.NoError(t, err)
	defer first.Close()
	conn, err := l.AcceptConn(t.Context())
	require.NoError(t, err)

	ctx, cancel := context.WithCancel(t.Context())
	waiting := make(chan error, 2)
	go func() {
		_, err := l.AcceptConn(ctx)
		waiting <- err
	}()
	cancel()
	require.ErrorIs(t, <-waiting, context.Canceled)
	second, err := net.Dial("tcp", l.Addr().String())
	require.NoError(t, err)
	defer second.Close()
	require.Eventually(t, func() bool {
		all := sessions(t, c)
		return len(all) == 2 && all[0].GetAttached() && all[1].GetAttached()
	}, patience, time.Millisecond)

	require.NoError(t, l.Close())
	require.NoError(t, l.Close())
	_, err = l.Accept()
	require.ErrorIs(t, err, net.ErrClosed)
	_, err = second.Read(make([]byte, 1))
	require.Error(t, err, "it was waiting")
	_, err = net.Dial("tcp", l.Addr().String())
	require.ErrorIs(t, err, syscall.ECONNREFUSED)

	_, err = io.WriteString(conn, greeting)
	require.NoError(t, err)
	got := make([]byte, len(greeting))
	_, err = io.ReadFull(first, got)
	require.NoError(t, err)
	require.NoError(t, first.Close())
	require.NoError(t, conn.Close())

	l = listen(t, c, &client.ListenConfig{Plain: true})
	go func() {
		_, err := l.Accept()
		waiting <- err
	}()
	require.NoError(t, l.Close())
	require.ErrorIs(t, <-waiting, net.ErrClosed)
}

// TestServiceListenErrors: what the service says, and what package net does.
func TestServiceListenErrors(t *testing.T) {
	t.Parallel()
	ca := tlstest.NewCA(t)
	c := dialer(t, ca).Client
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	t.Cleanup(func() { taken.Close() })
	plain := &client.ListenConfig{Plain: true}
	for name, tc := range map[string]struct {
		address string
		cfg     *client.ListenConfig
		reason  pb.ErrorReason
		target  error
	}{
		"in use":      {taken.Addr().String(), plain, pb.ErrorReason_ERROR_REASON_ADDRESS_IN_USE, syscall.EADDRINUSE},
		"not allowed": {"192.0.2.1:0", plain, pb.ErrorReason_ERROR_REASON_LISTEN_DENIED, nil},
		"all":         {":0", plain, pb.ErrorReason_ERROR_REASON_LISTEN_DENIED, nil},
		"a name":      {"example.com:0", plain, pb.ErrorReason_ERROR_REASON_INVALID_FIELD, nil},
		"port":        {"127.0.0.1:70000", plain, pb.ErrorReason_ERROR_REASON_PORT_OUT_OF_RANGE, nil},
		"no identity": {"127.0.0.1:0", nil, pb.ErrorReason_ERROR_REASON_INVALID_FIELD, nil},
		"version":     {"127.0.0.1:0", &client.ListenConfig{MinVersion: 7}, pb.ErrorReason_ERROR_REASON_INVALID_FIELD, nil},
		"client CA": {"127.0.0.1:0", &client.ListenConfig{Plain: true, ClientCAs: [][]byte{[]byte("no DER")}},
			pb.ErrorReason_ERROR_REASON_INVALID_CERTIFICATE, nil},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, err := c.Listen(t.Context(), tc.address, tc.cfg)
			requireError(t, err, tc.reason)
			if tc.target != nil {
				require.ErrorIs(t, err, tc.target)
			}
		})
	}
	_, err = c.Listen(t.Context(), "no port", plain)
	_, ok := errors.AsType[*net.AddrError](err)
	require.True(t, ok)
	l, err := c.Listen(t.Context(), "localhost:0", plain)
	require.NoError(t, err)
	require.True(t, l.Addr().(*net.TCPAddr).IP.IsLoopback())
	require.Len(t, l.ID(), 26)
	require.NoError(t, l.Close())
}

// TestServiceListenerSurvivesCuts: the way to the service breaks again and again; nobody who comes is lost for good.
func TestServiceListenerSurvivesCuts(t *testing.T) {
	t.Parallel()
	c, w := newWay(t)
	ca := tlstest.NewCA(t)
	l := listen(t, c, &client.ListenConfig{Identities: []*client.Identity{uploaded(t, ca, "localhost")}, Resumable: true})
	echoAccepted(t, l)
	config := &tls.Config{RootCAs: ca.Pool(), ServerName: "localhost"}
	var peers sync.WaitGroup
	for i := range 60 {
		peers.Go(func() {
			if err := echoOnce(l.Addr().String(), config); err != nil {
				t.Error(err)
			}
		})
		if i%10 == 9 {
			time.Sleep(20 * time.Millisecond) // in the middle of something
			w.cut(false)
		}
	}
	peers.Wait()
}

// TestServiceListenerIsGone: closed by another call; Accept says so, for good.
func TestServiceListenerIsGone(t *testing.T) {
	t.Parallel()
	c := dialer(t, tlstest.NewCA(t)).Client
	l := listen(t, c, &client.ListenConfig{Plain: true})
	_, err := pb.NewListenerServiceClient(c.Raw()).CloseListener(t.Context(), &pb.CloseListenerRequest{ListenerId: l.ID()})
	require.NoError(t, err)
	for range 2 {
		_, err = l.Accept()
		e := requireError(t, err, pb.ErrorReason_ERROR_REASON_LISTENER_NOT_FOUND)
		require.False(t, e.Temporary(), "net/http would go on")
	}
	require.NoError(t, l.Close())
	_, err = l.Accept()
	require.ErrorIs(t, err, net.ErrClosed)

	l = listen(t, c, &client.ListenConfig{Plain: true})
	require.NoError(t, c.Close())
	_, err = l.Accept()
	require.ErrorIs(t, err, net.ErrClosed)
}

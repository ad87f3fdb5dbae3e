package client_test

import (
	"crypto/tls"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/net/nettest"

	"securesocket/client"
	pb "securesocket/gen/securesocket/v1"
	"securesocket/server/servertest"
	"securesocket/tlsengine/tlstest"
)

// dialer is a Dialer of a real service, in memory, that trusts ca alone.
func dialer(tb testing.TB, ca *tlstest.CA, options ...client.Option) *client.Dialer {
	tb.Helper()
	service := servertest.Start(tb)
	c, err := client.Dial("grpc://service:1", append(options, client.WithContextDialer(service.DialContext))...)
	require.NoError(tb, err)
	tb.Cleanup(func() { _ = c.Close() })
	return &client.Dialer{Client: c, RootCAs: [][]byte{ca.DER()}, NoSystemRoots: true}
}

// serverConfig is a peer's TLS, for 127.0.0.1.
func serverConfig(ca *tlstest.CA, protocols ...string) *tls.Config {
	return &tls.Config{Certificates: []tls.Certificate{ca.Leaf(tlstest.Names("127.0.0.1", "localhost")).Certificate()}, NextProtos: protocols}
}

func TestServiceNetConn(t *testing.T) {
	t.Parallel()
	ca := tlstest.NewCA(t)
	d := dialer(t, ca)
	config := serverConfig(ca)
	nettest.TestConn(t, func() (c1, c2 net.Conn, stop func(), err error) {
		listener, err := tls.Listen("tcp", "127.0.0.1:0", config)
		if err != nil {
			return nil, nil, nil, err
		}
		defer listener.Close()
		accepted := make(chan net.Conn, 1)
		go func() {
			peer, _ := listener.Accept()
			_ = peer.(*tls.Conn).Handshake()
			accepted <- peer
		}()
		conn, err := d.Dial(t.Context(), "tcp", listener.Addr().String())
		if err != nil {
			return nil, nil, nil, err
		}
		peer := <-accepted
		return conn, peer, func() {
			peer.Close()
			conn.Close()
		}, nil
	})
}

func TestServiceNegotiates(t *testing.T) {
	t.Parallel()
	ca := tlstest.NewCA(t)
	d := dialer(t, ca)
	d.ALPN, d.ServerName = []string{"nope", "yes"}, new("localhost")
	address := tlstest.Serve(t, serverConfig(ca, "yes"), tlstest.Echo)
	for _, version := range []uint16{tls.VersionTLS12, tls.VersionTLS13} {
		d.MinVersion, d.MaxVersion = version, version
		conn, err := d.Dial(t.Context(), "tcp4", address)
		require.NoError(t, err)
		state := conn.ConnectionState()
		require.Equal(t, version, state.Version)
		require.True(t, state.HandshakeComplete)
		require.NotEqual(t, "0x", tls.CipherSuiteName(state.CipherSuite)[:2])
		require.Equal(t, "yes", state.NegotiatedProtocol)
		require.Equal(t, "localhost", state.ServerName)
		require.Len(t, state.PeerCertificates, 1)
		require.NoError(t, state.PeerCertificates[0].VerifyHostname("localhost"))
		require.Equal(t, address, conn.RemoteAddr().String())
		require.Equal(t, pb.CertificateStatus_CERTIFICATE_STATUS_TRUSTED, conn.CertificateStatus())
		report, err := conn.Report(t.Context())
		require.NoError(t, err)
		require.Equal(t, pb.CertificateReport_TRUST_BASIS_VALIDATED, report.GetTrustBasis())
		require.Len(t, report.GetVerifiedChain(), 2)
		_, err = io.WriteString(conn, "there and back")
		require.NoError(t, err)
		require.NoError(t, conn.CloseWrite())
		got, err := io.ReadAll(conn)
		require.NoError(t, err)
		require.Equal(t, "there and back", string(got))
		require.NoError(t, conn.Close())
	}
}

func TestServiceRefusesCertificates(t *testing.T) {
	t.Parallel()
	ca := tlstest.NewCA(t)
	d := dialer(t, ca)
	for reason, config := range map[pb.ErrorReason]*tls.Config{
		pb.ErrorReason_ERROR_REASON_CERTIFICATE_EXPIRED: {
			Certificates: []tls.Certificate{ca.Leaf(tlstest.Names("127.0.0.1"), tlstest.Expired()).Certificate()},
		},
		pb.ErrorReason_ERROR_REASON_CERTIFICATE_PRINCIPAL_MISMATCH: {
			Certificates: []tls.Certificate{ca.Leaf(tlstest.Names("other.example")).Certificate()},
		},
		pb.ErrorReason_ERROR_REASON_CERTIFICATE_UNTRUSTED_SIGNERS: serverConfig(tlstest.NewCA(t)),
	} {
		t.Run(reason.String(), func(t *testing.T) {
			t.Parallel()
			_, err := d.Dial(t.Context(), "tcp", tlstest.Serve(t, config, tlstest.Echo))
			e := requireError(t, err, reason)
			require.Equal(t, pb.Phase_PHASE_CERTIFICATE, e.Phase)
			require.NotEmpty(t, e.Report.GetProblems())
			require.Equal(t, "peer", e.Side())
		})
	}
}

func TestServiceRefusesDials(t *testing.T) {
	t.Parallel()
	d := dialer(t, tlstest.NewCA(t))
	for name, tc := range map[string]struct {
		address string
		reason  pb.ErrorReason
		phase   pb.Phase
	}{
		"policy":  {"192.0.2.1:443", pb.ErrorReason_ERROR_REASON_EGRESS_DENIED, pb.Phase_PHASE_POLICY},
		"refused": {tlstest.Refusing(t), pb.ErrorReason_ERROR_REASON_CONNECTION_REFUSED, pb.Phase_PHASE_TCP},
		"port":    {"127.0.0.1:0", pb.ErrorReason_ERROR_REASON_PORT_OUT_OF_RANGE, 0},
		"syntax":  {"not a host:443", pb.ErrorReason_ERROR_REASON_HOST_SYNTAX, 0},
		"no host": {":443", pb.ErrorReason_ERROR_REASON_HOST_REQUIRED, 0},
		"not TLS": {tlstest.ServeRaw(t, func(conn net.Conn) {
			_, _ = io.WriteString(conn, "220 hello\r\n")
			_, _ = io.Copy(io.Discard, conn)
		}), pb.ErrorReason_ERROR_REASON_NOT_TLS, pb.Phase_PHASE_HANDSHAKE},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, err := d.Dial(t.Context(), "tcp", tc.address)
			e := requireError(t, err, tc.reason)
			require.Equal(t, tc.phase, e.Phase)
		})
	}
	t.Run("certificate", func(t *testing.T) {
		t.Parallel()
		bad := *d
		bad.RootCAs = [][]byte{[]byte("no DER")}
		_, err := bad.Dial(t.Context(), "tcp", "127.0.0.1:443")
		requireError(t, err, pb.ErrorReason_ERROR_REASON_INVALID_CERTIFICATE)
	})
	t.Run("timeout", func(t *testing.T) {
		t.Parallel()
		silent := tlstest.ServeRaw(t, func(conn net.Conn) { _, _ = io.Copy(io.Discard, conn) })
		slow := *d
		slow.Timeout = 300 * time.Millisecond
		_, err := slow.Dial(t.Context(), "tcp", silent)
		e := requireError(t, err, pb.ErrorReason_ERROR_REASON_CONNECT_TIMEOUT)
		require.True(t, e.Timeout())
		require.Equal(t, pb.Phase_PHASE_HANDSHAKE, e.Phase)
	})
}

func TestServiceTellsHowThePeerEnded(t *testing.T) {
	t.Parallel()
	ca := tlstest.NewCA(t)
	d := dialer(t, ca)
	for name, tc := range map[string]struct {
		end    func(*tls.Conn)
		target error
	}{
		"close_notify":    {tlstest.CloseNotify, io.EOF},
		"truncate":        {tlstest.Truncate, io.ErrUnexpectedEOF},
		"truncate record": {func(conn *tls.Conn) { tlstest.TruncateRecord(conn, 20) }, io.ErrUnexpectedEOF},
		"alert":           {tlstest.FatalAlert, nil},
		"spoilt record":   {func(conn *tls.Conn) { _ = tlstest.SpoilRecord(conn) }, nil},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			conn, err := d.Dial(t.Context(), "tcp", tlstest.Serve(t, serverConfig(ca), func(conn *tls.Conn) {
				_, _ = io.WriteString(conn, greeting)
				tc.end(conn)
			}))
			require.NoError(t, err)
			err = readEnd(t, conn)
			if tc.target != nil {
				require.ErrorIs(t, err, tc.target)
			}
			require.Equal(t, name == "close_notify", errors.Is(err, io.EOF))
			require.NoError(t, conn.Close())
		})
	}
	t.Run("reset", func(t *testing.T) {
		t.Parallel()
		conn, err := d.Dial(t.Context(), "tcp", tlstest.Serve(t, serverConfig(ca), tlstest.Reset))
		if err == nil {
			_, err = conn.Read(make([]byte, 1))
			require.ErrorIs(t, writeEnd(t, conn), syscall.ECONNRESET)
		}
		require.ErrorIs(t, err, syscall.ECONNRESET)
	})
}

// TestServiceCarriesBulk: everything arrives, both ways at once, over several connections that share one to the service.
func TestServiceCarriesBulk(t *testing.T) {
	t.Parallel()
	const size = 4 << 20
	ca := tlstest.NewCA(t)
	d := dialer(t, ca)
	address := tlstest.Serve(t, serverConfig(ca), tlstest.Echo)
	var conns sync.WaitGroup
	for range 4 {
		conns.Go(func() {
			conn, err := d.Dial(t.Context(), "tcp", address)
			if err != nil {
				t.Error(err)
				return
			}
			want := strings.Repeat("0123456789abcde\n", size/16)
			go func() {
				_, _ = io.WriteString(conn, want)
				_ = conn.CloseWrite()
			}()
			got, err := io.ReadAll(conn)
			if err != nil || string(got) != want {
				t.Errorf("%d bytes came back: %v", len(got), err)
			}
			if err := conn.Close(); err != nil {
				t.Error(err)
			}
		})
	}
	conns.Wait()
}

func TestServiceCloseDelivers(t *testing.T) {
	t.Parallel()
	ca := tlstest.NewCA(t)
	d := dialer(t, ca)
	got := make(chan int, 1)
	address := tlstest.Serve(t, serverConfig(ca), func(conn *tls.Conn) {
		time.Sleep(50 * time.Millisecond)
		all, _ := io.ReadAll(conn)
		got <- len(all)
	})
	conn, err := d.Dial(t.Context(), "tcp", address)
	require.NoError(t, err)
	n, err := conn.Write(make([]byte, 3<<20))
	require.NoError(t, err)
	require.NoError(t, conn.Close())
	require.Equal(t, n, <-got)
}

func TestServiceAbortResets(t *testing.T) {
	t.Parallel()
	ca := tlstest.NewCA(t)
	d := dialer(t, ca)
	ended := make(chan error, 1)
	conn, err := d.Dial(t.Context(), "tcp", tlstest.Serve(t, serverConfig(ca), func(conn *tls.Conn) {
		_, err := conn.Read(make([]byte, 1))
		ended <- err
	}))
	require.NoError(t, err)
	conn.Abort()
	require.ErrorIs(t, <-ended, syscall.ECONNRESET)
}

// TestServiceSessionsGo: nothing is left of a connection in the service.
func TestServiceSessionsGo(t *testing.T) {
	t.Parallel()
	ca := tlstest.NewCA(t)
	d := dialer(t, ca)
	address := tlstest.Serve(t, serverConfig(ca), tlstest.Echo)
	for _, end := range []func(*client.Conn){
		func(conn *client.Conn) { conn.Close() },
		(*client.Conn).Abort,
	} {
		conn, err := d.Dial(t.Context(), "tcp", address)
		require.NoError(t, err)
		get := &pb.GetSessionRequest{SessionId: conn.SessionID()}
		_, err = d.Client.Service().GetSession(t.Context(), get)
		require.NoError(t, err)
		end(conn)
		require.Eventually(t, func() bool {
			_, err := d.Client.Service().GetSession(t.Context(), get)
			e := client.FromError(err)
			return e != nil && e.Reason == pb.ErrorReason_ERROR_REASON_SESSION_NOT_FOUND
		}, patience, 10*time.Millisecond)
	}
}

func TestServiceTransport(t *testing.T) {
	t.Parallel()
	ca := tlstest.NewCA(t)
	d := dialer(t, ca)
	for _, h2 := range []bool{true, false} {
		peer := httptest.NewUnstartedServer(http.HandlerFunc(echoHandler))
		peer.EnableHTTP2 = h2
		peer.TLS = serverConfig(ca)
		peer.StartTLS()
		t.Cleanup(peer.Close)
		transport := &client.Transport{Dialer: d}
		t.Cleanup(transport.CloseIdleConnections)
		hc := &http.Client{Transport: transport, Timeout: time.Minute}
		var requests sync.WaitGroup
		for range 8 {
			requests.Go(func() {
				response, err := hc.Post(peer.URL, "text/plain", strings.NewReader(greeting))
				if err != nil {
					t.Error(err)
					return
				}
				defer response.Body.Close()
				got, err := io.ReadAll(response.Body)
				if err != nil || string(got) != greeting || response.TLS == nil || (response.ProtoMajor == 2) != h2 {
					t.Errorf("%s %q %v", response.Proto, got, err)
				}
			})
		}
		requests.Wait()
	}
}

// TestServiceUnaryErrors: errors of raw unary calls decode.
func TestServiceUnaryErrors(t *testing.T) {
	t.Parallel()
	d := dialer(t, tlstest.NewCA(t))
	_, err := d.Client.Service().GetSession(t.Context(), &pb.GetSessionRequest{SessionId: "abcdefghijklmnopqrstuvwxyz"})
	e := client.FromError(err)
	require.Equal(t, pb.ErrorReason_ERROR_REASON_SESSION_NOT_FOUND, e.Reason)
	require.Equal(t, "caller", e.Side())
}

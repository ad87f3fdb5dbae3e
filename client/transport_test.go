package client_test

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"securesocket/client"
	pb "securesocket/gen/securesocket/v1"
)

// web is a peer that speaks HTTP over plain TCP, for the fake, which has no TLS. It tells the protocol of each request,
// echoes bodies, and counts its connections.
type web struct {
	*httptest.Server
	conns atomic.Int32
}

func newWeb(t *testing.T, handler http.HandlerFunc) *web {
	t.Helper()
	w := &web{Server: httptest.NewUnstartedServer(handler)}
	w.Config.Protocols = new(http.Protocols)
	w.Config.Protocols.SetHTTP1(true)
	w.Config.Protocols.SetUnencryptedHTTP2(true)
	w.Config.ConnState = func(_ net.Conn, state http.ConnState) {
		if state == http.StateNew {
			w.conns.Add(1)
		}
	}
	w.Start()
	t.Cleanup(w.Close)
	return w
}

func (w *web) url(path string) string { return "https://" + w.Listener.Addr().String() + path }

func echoHandler(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("X-Proto", r.Proto)
	body, _ := io.ReadAll(r.Body)
	_, _ = w.Write(body)
}

// newTransport is a Transport whose peers speak the protocols, the first that is offered.
func newTransport(t *testing.T, protocols ...string) *client.Transport {
	t.Helper()
	c, _ := startFake(t, proxy(protocols...))
	transport := &client.Transport{Dialer: &client.Dialer{Client: c}}
	t.Cleanup(transport.CloseIdleConnections)
	return transport
}

func TestTransportSpeaksWhatThePeerChooses(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		protocols []string
		proto     string
		alpn      string
	}{
		"h2":          {[]string{"h2", "http/1.1"}, "HTTP/2.0", "h2"},
		"http/1.1":    {[]string{"http/1.1"}, "HTTP/1.1", "http/1.1"},
		"peer is old": {nil, "HTTP/1.1", ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			peer := newWeb(t, echoHandler)
			hc := &http.Client{Transport: newTransport(t, tc.protocols...), Timeout: 10 * time.Second}
			for range 3 {
				body := strings.Repeat("body", 100_000)
				response, err := hc.Post(peer.url("/"), "text/plain", io.NopCloser(strings.NewReader(body)))
				require.NoError(t, err)
				got, err := io.ReadAll(response.Body)
				require.NoError(t, err)
				require.NoError(t, response.Body.Close())
				require.Equal(t, body, string(got))
				require.Equal(t, tc.proto, response.Header.Get("X-Proto"))
				require.Equal(t, tc.proto, response.Proto)
				require.NotNil(t, response.TLS)
				require.Equal(t, tc.alpn, response.TLS.NegotiatedProtocol)
				require.Equal(t, "https", response.Request.URL.Scheme)
			}
			require.EqualValues(t, 1, peer.conns.Load(), "the connection is kept")
		})
	}
}

// TestTransportFirstRequestsShareADial: requests that find nothing wait for one dial.
func TestTransportFirstRequestsShareADial(t *testing.T) {
	t.Parallel()
	for _, protocol := range []string{"h2", "http/1.1"} {
		t.Run(protocol, func(t *testing.T) {
			t.Parallel()
			peer := newWeb(t, echoHandler)
			hc := &http.Client{Transport: newTransport(t, protocol), Timeout: 10 * time.Second}
			var requests sync.WaitGroup
			for range 20 {
				requests.Go(func() {
					response, err := hc.Get(peer.url("/"))
					if err != nil {
						t.Error(err)
						return
					}
					_, _ = io.Copy(io.Discard, response.Body)
					response.Body.Close()
				})
			}
			requests.Wait()
			if protocol == "h2" {
				require.EqualValues(t, 1, peer.conns.Load())
			}
		})
	}
}

// body tells what was done to it.
type body struct {
	io.Reader
	closed chan struct{}
	once   sync.Once
}

func (b *body) Close() error {
	b.once.Do(func() { close(b.closed) })
	return nil
}

func TestTransportRefusals(t *testing.T) {
	t.Parallel()
	transport := newTransport(t, "h2")
	for name, tc := range map[string]struct {
		transport *client.Transport
		url       string
		reason    pb.ErrorReason
	}{
		"http":               {transport, "http://127.0.0.1/", 0},
		"no host":            {transport, "https:///path", 0},
		"no dialer":          {&client.Transport{}, "https://127.0.0.1/", 0},
		"connection refused": {transport, "https://127.0.0.1:1/", pb.ErrorReason_ERROR_REASON_CONNECTION_REFUSED},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := &body{Reader: strings.NewReader("body"), closed: make(chan struct{})}
			request, err := http.NewRequestWithContext(t.Context(), http.MethodPost, tc.url, b)
			require.NoError(t, err)
			response, err := tc.transport.RoundTrip(request)
			require.Error(t, err)
			require.Nil(t, response)
			<-b.closed
			require.Equal(t, 4, b.Reader.(*strings.Reader).Len(), "the body was consumed")
			if tc.reason != 0 {
				requireError(t, err, tc.reason)
			}
		})
	}
}

// TestTransportDialOutlivesItsFirstRequest: who gives up does not take the dial away from who waits; the last one does.
func TestTransportDialOutlivesItsFirstRequest(t *testing.T) {
	t.Parallel()
	peer := newWeb(t, echoHandler)
	dials, goOn, aborted := make(chan struct{}, 2), make(chan struct{}), make(chan struct{}, 2)
	real := proxy("h2")
	c, _ := startFake(t, func(s *fakeStream) error {
		dials <- struct{}{}
		select {
		case <-goOn:
			return real(s)
		case <-s.Context().Done():
			aborted <- struct{}{}
			return nil
		}
	})
	transport := &client.Transport{Dialer: &client.Dialer{Client: c}}
	t.Cleanup(transport.CloseIdleConnections)
	get := func(ctx context.Context) error {
		request, err := http.NewRequestWithContext(ctx, http.MethodGet, peer.url("/"), nil)
		if err != nil {
			return err
		}
		response, err := transport.RoundTrip(request)
		if err == nil {
			response.Body.Close()
		}
		return err
	}

	alone, giveUp := context.WithCancel(t.Context())
	first := make(chan error, 1)
	go func() { first <- get(alone) }()
	<-dials
	giveUp()
	require.ErrorIs(t, <-first, context.Canceled)
	<-aborted

	early, giveUp := context.WithCancel(t.Context())
	go func() { first <- get(early) }()
	<-dials
	second := make(chan error, 1)
	go func() { second <- get(t.Context()) }()
	time.Sleep(50 * time.Millisecond) // so that it waits as well
	giveUp()
	require.ErrorIs(t, <-first, context.Canceled)
	close(goOn)
	require.NoError(t, <-second)
	require.EqualValues(t, 1, peer.conns.Load())
}

// TestTransportStaleConnection: a kept connection that the peer has closed costs a request that may be sent twice
// nothing, and any other an error rather than a second delivery.
func TestTransportStaleConnection(t *testing.T) {
	t.Parallel()
	for _, protocol := range []string{"h2", "http/1.1"} {
		t.Run(protocol, func(t *testing.T) {
			t.Parallel()
			peer := newWeb(t, echoHandler)
			hc := &http.Client{Transport: newTransport(t, protocol), Timeout: 10 * time.Second}
			for range 5 {
				response, err := hc.Get(peer.url("/"))
				require.NoError(t, err)
				require.NoError(t, response.Body.Close())
				peer.CloseClientConnections()
			}
		})
	}
	t.Run("cut in the middle", func(t *testing.T) {
		t.Parallel()
		var requests atomic.Int32
		peer := newWeb(t, func(w http.ResponseWriter, r *http.Request) {
			body, _ := io.ReadAll(r.Body)
			if r.URL.Path == "/cut" && requests.Add(1) == 1 {
				panic(http.ErrAbortHandler) // resets the stream, and the connection goes on
			}
			_, _ = w.Write(body)
		})
		hc := &http.Client{Transport: newTransport(t, "h2"), Timeout: 10 * time.Second}
		response, err := hc.Get(peer.url("/"))
		require.NoError(t, err)
		require.NoError(t, response.Body.Close())
		_, err = hc.Post(peer.url("/cut"), "text/plain", strings.NewReader("once"))
		require.Error(t, err)
		require.EqualValues(t, 1, requests.Load(), "a POST is not sent twice")
	})
}

func TestTransportBreaksWithItsError(t *testing.T) {
	t.Parallel()
	peer := newWeb(t, func(w http.ResponseWriter, _ *http.Request) {
		_, _ = io.WriteString(w, greeting)
		_ = http.NewResponseController(w).Flush()
		conn, _, err := http.NewResponseController(w).Hijack()
		if err == nil {
			_ = conn.(*net.TCPConn).SetLinger(0)
			conn.Close()
		}
	})
	hc := &http.Client{Transport: newTransport(t, "http/1.1"), Timeout: 10 * time.Second}
	response, err := hc.Get(peer.url("/"))
	require.NoError(t, err)
	defer response.Body.Close()
	_, err = io.ReadAll(response.Body)
	require.ErrorIs(t, err, syscall.ECONNRESET)
	e, ok := errors.AsType[*client.Error](err)
	require.True(t, ok)
	require.NotEmpty(t, e.Remedy())
}

// TestTransportUpgrade: a WebSocket begins in HTTP/1.1, also at a peer that has HTTP/2.
func TestTransportUpgrade(t *testing.T) {
	t.Parallel()
	peer := newWeb(t, func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Upgrade") == "" {
			echoHandler(w, r)
			return
		}
		conn, _, err := http.NewResponseController(w).Hijack()
		if err != nil {
			return
		}
		defer conn.Close()
		_, _ = io.WriteString(conn, "HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: echo\r\n\r\n")
		_, _ = io.CopyN(conn, conn, 5)
	})
	transport := newTransport(t, "h2", "http/1.1")
	hc := &http.Client{Transport: transport}
	response, err := hc.Get(peer.url("/"))
	require.NoError(t, err)
	require.NoError(t, response.Body.Close())
	require.Equal(t, 2, response.ProtoMajor)

	request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, peer.url("/"), nil)
	require.NoError(t, err)
	request.Header.Set("Connection", "Upgrade")
	request.Header.Set("Upgrade", "echo")
	response, err = hc.Do(request)
	require.NoError(t, err)
	require.Equal(t, http.StatusSwitchingProtocols, response.StatusCode)
	conn := response.Body.(io.ReadWriteCloser)
	_, err = io.WriteString(conn, "hello")
	require.NoError(t, err)
	got, err := io.ReadAll(conn)
	require.NoError(t, err)
	require.Equal(t, "hello", string(got))
	require.NoError(t, conn.Close())
}

func TestTransportCloseIdleConnections(t *testing.T) {
	t.Parallel()
	for _, protocol := range []string{"h2", "http/1.1"} {
		t.Run(protocol, func(t *testing.T) {
			t.Parallel()
			goOn := make(chan struct{})
			peer := newWeb(t, func(w http.ResponseWriter, _ *http.Request) {
				_ = http.NewResponseController(w).Flush()
				<-goOn
				_, _ = io.WriteString(w, greeting)
			})
			transport := newTransport(t, protocol)
			hc := &http.Client{Transport: transport}
			busy, err := hc.Get(peer.url("/"))
			require.NoError(t, err)
			transport.CloseIdleConnections() // not the one that is in use
			close(goOn)
			got, err := io.ReadAll(busy.Body)
			require.NoError(t, err)
			require.NoError(t, busy.Body.Close())
			require.Equal(t, greeting, string(got))

			transport.CloseIdleConnections()
			response, err := hc.Get(peer.url("/"))
			require.NoError(t, err)
			require.NoError(t, response.Body.Close())
			require.EqualValues(t, 2, peer.conns.Load())
		})
	}
}

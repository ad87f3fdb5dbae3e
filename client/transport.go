package client

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/http/httptrace"
	"net/url"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/net/http/httpguts"
)

// defaultHTTPIdle is net/http's own default for connections that wait for a request.
const defaultHTTPIdle = 90 * time.Second

// Transport is an http.RoundTripper for https URLs over connections of the service. It speaks HTTP/2 to a peer that
// chooses it and HTTP/1.1 to any other, keeps connections for later requests, and sets Response.TLS. http URLs are
// refused: it speaks nothing but TLS.
//
// A peer that has chosen HTTP/1.1 is not asked again before CloseIdleConnections. A request that breaks with a
// connection that was kept is sent again on another one if it is idempotent and its body, if any, can be had again
// (Request.GetBody); so does net/http.
//
// The fields must not be changed after the first request. It is safe for concurrent use; an http.Client over it keeps
// to its timeouts.
type Transport struct {
	// Dialer makes the connections. Required. Its ALPN and RequireALPN are not used.
	Dialer *Dialer
	// IdleConnTimeout is how long a connection waits for a request before it is closed. 0: 90 s.
	IdleConnTimeout time.Duration
	// ResponseHeaderTimeout bounds the wait for a response once its request is written. 0: none.
	ResponseHeaderTimeout time.Duration
	// DisableCompression asks for no gzip of the Transport's own accord.
	DisableCompression bool

	start sync.Once
	http1 *http.Transport // keeps the connections that speak HTTP/1.1, and dials them
	http2 *http.Transport // makes HTTP/2 of a connection that is there already; keeps none
	pool  httpPool
}

// RoundTrip implements http.RoundTripper. Errors of the connection are of type *Error.
func (t *Transport) RoundTrip(request *http.Request) (*http.Response, error) {
	t.start.Do(t.init)
	address, err := t.check(request)
	if err != nil {
		closeBody(request)
		return nil, err
	}
	if wantsUpgrade(request) { // an upgrade exists in HTTP/1.1 alone
		return t.roundTrip1(request)
	}
	for attempt := request; ; {
		conn, dialled, err := t.pool.get(request.Context(), address, t.dial)
		switch {
		case err != nil:
			closeBody(attempt)
			return nil, err
		case conn == nil:
			return t.roundTrip1(attempt)
		}
		response, err := conn.RoundTrip(attempt)
		if err == nil {
			response.Request = request
			return response, nil
		}
		if dialled || conn.Err() == nil || request.Context().Err() != nil {
			return nil, err
		}
		var ok bool
		if attempt, ok = rewind(request); !ok {
			return nil, err
		}
	}
}

// CloseIdleConnections closes the connections that no request uses, and forgets which peers speak HTTP/1.1.
func (t *Transport) CloseIdleConnections() {
	t.start.Do(t.init)
	t.http1.CloseIdleConnections()
	t.pool.closeIdle()
}

func (t *Transport) init() {
	idle := t.IdleConnTimeout
	if idle == 0 {
		idle = defaultHTTPIdle
	}
	t.pool.idle = idle
	t.http1 = &http.Transport{
		DialTLSContext:        t.dial1,
		Protocols:             new(http.Protocols),
		IdleConnTimeout:       idle,
		MaxIdleConnsPerHost:   8,
		ResponseHeaderTimeout: t.ResponseHeaderTimeout,
		DisableCompression:    t.DisableCompression,
	}
	t.http1.Protocols.SetHTTP1(true)
	// To net/http a connection that is not its own is not encrypted, whatever lies below: HTTP/2 by prior knowledge.
	t.http2 = &http.Transport{
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			return ctx.Value(readyKey{}).(net.Conn), nil
		},
		Protocols:             new(http.Protocols),
		IdleConnTimeout:       idle,
		ResponseHeaderTimeout: t.ResponseHeaderTimeout,
		DisableCompression:    t.DisableCompression,
	}
	t.http2.Protocols.SetUnencryptedHTTP2(true)
}

// readyKey is the key of the connection for Transport.http2 in its context.
type readyKey struct{}

// check returns the address to dial, as net/http's transport would name it.
func (t *Transport) check(request *http.Request) (string, error) {
	switch {
	case t.Dialer == nil:
		return "", errors.New("securesocket: Transport.Dialer is nil")
	case request.URL == nil:
		return "", errors.New("securesocket: the request has no URL")
	case request.URL.Scheme != "https":
		return "", fmt.Errorf("securesocket: the URL's scheme is %q: this transport makes TLS connections alone, use https", request.URL.Scheme)
	case request.URL.Hostname() == "":
		return "", errors.New("securesocket: the URL has no host")
	}
	return httpAddress(request.URL)
}

// httpAddress is host:port of a URL, the host in its ASCII form.
func httpAddress(u *url.URL) (string, error) {
	host, err := httpguts.PunycodeHostPort(u.Hostname())
	if err != nil {
		return "", fmt.Errorf("securesocket: the URL's host: %w", err)
	}
	port := u.Port()
	if port == "" {
		port = "443"
	}
	return net.JoinHostPort(host, port), nil
}

// dial makes a connection of either kind: for HTTP/2 ready to use, otherwise one for dial1 to take.
func (t *Transport) dial(ctx context.Context, address string) (*http.ClientConn, net.Conn, error) {
	conn, err := t.dialALPN(ctx, address, "h2", "http/1.1")
	if err != nil {
		return nil, nil, err
	}
	if conn.ConnectionState().NegotiatedProtocol != "h2" {
		return nil, conn, nil
	}
	ctx = context.WithValue(ctx, readyKey{}, conn)
	made, err := t.http2.NewClientConn(ctx, "http", address)
	if err != nil {
		_ = conn.Close()
		return nil, nil, err
	}
	return made, nil, nil
}

// dial1 is for Transport.http1: it takes a connection that waits, else makes one that cannot be anything but HTTP/1.1.
func (t *Transport) dial1(ctx context.Context, _, address string) (net.Conn, error) {
	if conn := t.pool.takeWaiting(address); conn != nil {
		return conn, nil
	}
	return t.dialALPN(ctx, address, "http/1.1")
}

func (t *Transport) dialALPN(ctx context.Context, address string, protocols ...string) (*httpConn, error) {
	dialer := *t.Dialer
	dialer.ALPN, dialer.RequireALPN = protocols, false
	conn, err := dialer.Dial(ctx, "tcp", address)
	if err != nil {
		return nil, err
	}
	return &httpConn{conn}, nil
}

// roundTrip1 speaks HTTP/1.1. net/http sets Response.TLS for its own TLS connections alone, so the connection is noted.
func (t *Transport) roundTrip1(request *http.Request) (*http.Response, error) {
	var used atomic.Pointer[httpConn]
	ctx := httptrace.WithClientTrace(request.Context(), &httptrace.ClientTrace{
		GotConn: func(info httptrace.GotConnInfo) {
			if conn, ok := info.Conn.(*httpConn); ok {
				used.Store(conn)
			}
		},
	})
	response, err := t.http1.RoundTrip(request.WithContext(ctx))
	if err != nil {
		return nil, err
	}
	response.Request = request
	if conn := used.Load(); conn != nil {
		response.TLS = new(tls.ConnectionState)
		*response.TLS = conn.ConnectionState()
	}
	return response, nil
}

// httpConn is a Conn for net/http, which closes connections while it holds locks: Close does not wait.
type httpConn struct{ *Conn }

func (c *httpConn) Close() error {
	c.startClose()
	return nil
}

// wantsUpgrade reports whether the request asks for another protocol on its connection.
func wantsUpgrade(request *http.Request) bool {
	return httpguts.HeaderValuesContainsToken(request.Header["Connection"], "upgrade") && request.Header.Get("Upgrade") != ""
}

// rewind returns the request as it was before it was sent, if it may be sent twice.
func rewind(request *http.Request) (*http.Request, bool) {
	switch request.Method {
	case "", http.MethodGet, http.MethodHead, http.MethodOptions, http.MethodTrace:
	default:
		// net/http's signs that the application has taken care.
		if request.Header["Idempotency-Key"] == nil && request.Header["X-Idempotency-Key"] == nil {
			return nil, false
		}
	}
	if request.Body == nil || request.Body == http.NoBody {
		return request, true
	}
	if request.GetBody == nil {
		return nil, false
	}
	body, err := request.GetBody()
	if err != nil {
		return nil, false
	}
	again := *request
	again.Body = body
	return &again, true
}

// closeBody keeps RoundTrip's promise to close the body of a request that is not sent.
func closeBody(request *http.Request) {
	if request.Body != nil {
		_ = request.Body.Close()
	}
}

package revocation

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"time"
)

const (
	connectTimeout = 2 * time.Second
	maxHeaderBytes = 16 << 10 // of an answer
)

// What an HTTP server may do wrong.
const (
	redirected reason = "redirected, and redirects are not followed"
	badStatus  reason = "HTTP status"
	encoded    reason = "the answer is compressed, and was asked for plain"
)

// HTTPFetcher fetches over plain HTTP/1.1 with connections of its own, each used once. It knows no proxy, no cookies and
// no redirects, takes nothing but status 200 without content encoding, and fails where the answer is longer than asked
// for. A fetch takes two seconds at most to connect, and five in all. Any number of fetches may run beside each other.
type HTTPFetcher struct {
	client http.Client
}

// NewHTTPFetcher returns a fetcher that connects through dial, which is the place of the operator's policy: it sees the
// name and port of the URL, and decides by the addresses behind it. OwnerOf its context is for whom the fetch is. With a
// nil dial nothing can be fetched.
func NewHTTPFetcher(dial func(ctx context.Context, network, addr string) (net.Conn, error)) *HTTPFetcher {
	if dial == nil {
		dial = func(context.Context, string, string) (net.Conn, error) { return nil, nothingFetched }
	}
	protocols := new(http.Protocols)
	protocols.SetHTTP1(true)
	return &HTTPFetcher{client: http.Client{
		Transport: &http.Transport{
			DialContext: func(ctx context.Context, network, addr string) (net.Conn, error) {
				ctx, cancel := context.WithTimeout(ctx, connectTimeout)
				defer cancel()
				return dial(ctx, network, addr)
			},
			DialTLSContext: func(context.Context, string, string) (net.Conn, error) { return nil, schemeNotHTTP },
			Protocols:      protocols, DisableCompression: true, DisableKeepAlives: true,
			MaxResponseHeaderBytes: maxHeaderBytes,
		},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}}
}

// ownerKey finds the Owner of a Request in the context of its dial.
type ownerKey struct{}

// OwnerOf returns for whom a HTTPFetcher connects; "" for any other context.
func OwnerOf(ctx context.Context) string {
	owner, _ := ctx.Value(ownerKey{}).(string)
	return owner
}

// Fetch implements Fetcher. The five seconds go on while the body is read, which the caller must close.
func (f *HTTPFetcher) Fetch(ctx context.Context, r Request) (_ io.ReadCloser, err error) {
	if err := checkURL(r.URL); err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(context.WithValue(ctx, ownerKey{}, r.Owner), fetchTimeout)
	defer func() {
		if err != nil {
			cancel()
		}
	}()
	request, err := newRequest(ctx, r)
	if err != nil {
		return nil, fetchError(err)
	}
	response, err := f.client.Do(request)
	if err != nil {
		return nil, fetchError(dialTimeout(ctx, err))
	}
	if err := acceptable(response, r.MaxBytes); err != nil {
		_ = response.Body.Close()
		return nil, err
	}
	return &httpBody{bounded{response.Body, r.MaxBytes}, cancel}, nil
}

func newRequest(ctx context.Context, r Request) (*http.Request, error) {
	method, body := http.MethodGet, io.Reader(http.NoBody)
	if r.Body != nil {
		method, body = http.MethodPost, bytes.NewReader(r.Body)
	}
	request, err := http.NewRequestWithContext(ctx, method, r.URL, body)
	if err != nil {
		return nil, err
	}
	request.Header.Set("User-Agent", "securesocket")
	if r.Type != "" {
		request.Header.Set("Content-Type", r.Type)
	}
	return request, nil
}

// dialTimeout tells the end of the time to connect from the end of all time, which ctx has.
func dialTimeout(ctx context.Context, err error) error {
	if errors.Is(err, context.DeadlineExceeded) && ctx.Err() == nil {
		return fmt.Errorf("%w: not connected within %s", noTime, connectTimeout)
	}
	return err
}

func acceptable(response *http.Response, maxBytes int64) error {
	status := response.StatusCode
	switch {
	case status >= 300 && status < 400:
		return fmt.Errorf("%w: HTTP status %d to %s", redirected, status, quote(response.Header.Get("Location")))
	case status != http.StatusOK:
		return fmt.Errorf("%w %d", badStatus, status)
	case response.Header.Get("Content-Encoding") != "":
		return fmt.Errorf("%w: %s", encoded, quote(response.Header.Get("Content-Encoding")))
	case response.ContentLength > maxBytes:
		return fmt.Errorf("%w: %d bytes are announced, %d are allowed", tooLarge, response.ContentLength, maxBytes)
	}
	return nil
}

// httpBody ends the request's time with the body.
type httpBody struct {
	bounded
	cancel context.CancelFunc
}

func (b *httpBody) Close() error {
	defer b.cancel()
	return b.bounded.Close()
}

package callers

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io"
	"net/http"
	"sync"
	"time"

	"golang.org/x/time/rate"
)

const (
	fetchTimeout   = 5 * time.Second
	maxFetchBytes  = 256 << 10
	maxFetchHeader = 64 << 10
	maxRedirects   = 3
)

var (
	errClosed   = errors.New("the service has stopped asking")
	errTooLarge = errors.New("the issuer's answer is larger than 256 KiB")
	errRedirect = errors.New("the issuer redirects to another host, or too often")
)

// fetcher asks the issuer of tokens over HTTP: no proxy, no compression, no
// connection that is kept, and an end of everything when it is closed.
type fetcher struct {
	http   *http.Transport
	ending context.Context
	end    context.CancelFunc

	mu      sync.Mutex
	closed  bool
	running sync.WaitGroup // answers that are not read to their end; Add under mu
}

func newFetcher(caFile string) (*fetcher, error) {
	config := &tls.Config{MinVersion: tls.VersionTLS12}
	if caFile != "" {
		text, err := readFile(caFile)
		if err != nil {
			return nil, err
		}
		config.RootCAs = x509.NewCertPool()
		err = eachBlock(caFile, text, "CERTIFICATE", func(der []byte) error {
			cert, err := x509.ParseCertificate(der)
			if err != nil {
				return &FileError{File: caFile, Why: "a certificate in it cannot be parsed", Err: err}
			}
			config.RootCAs.AddCert(cert)
			return nil
		})
		if err != nil {
			return nil, err
		}
	}
	f := &fetcher{http: &http.Transport{
		TLSClientConfig: config, DisableKeepAlives: true, DisableCompression: true, MaxResponseHeaderBytes: maxFetchHeader,
	}}
	f.ending, f.end = context.WithCancel(context.Background())
	return f, nil
}

// client returns a client of f that waits 5 s at most for a whole answer and, with
// a limiter, asks no more often than it lets it.
func (f *fetcher) client(limit *rate.Limiter) *http.Client {
	return &http.Client{
		Transport: &limited{f, limit},
		Timeout:   fetchTimeout,
		CheckRedirect: func(r *http.Request, via []*http.Request) error {
			if first := via[0].URL; len(via) > maxRedirects || r.URL.Host != first.Host || r.URL.Scheme != first.Scheme {
				return errRedirect
			}
			return nil
		},
	}
}

// close ends what is under way and waits for it.
func (f *fetcher) close() {
	f.mu.Lock()
	f.closed = true
	f.mu.Unlock()
	f.end()
	f.running.Wait()
	f.http.CloseIdleConnections()
}

type limited struct {
	*fetcher
	limit *rate.Limiter // nil: none
}

func (l *limited) RoundTrip(r *http.Request) (*http.Response, error) {
	if l.limit != nil && !l.limit.Allow() {
		return nil, errTooSoon
	}
	l.mu.Lock()
	if l.closed {
		l.mu.Unlock()
		return nil, errClosed
	}
	l.running.Add(1)
	l.mu.Unlock()
	ctx, cancel := context.WithCancel(r.Context())
	stop := context.AfterFunc(l.ending, cancel)
	done := sync.OnceFunc(func() { stop(); cancel(); l.running.Done() })
	response, err := l.http.RoundTrip(r.WithContext(ctx))
	if err != nil {
		done()
		return nil, err
	}
	response.Body = &bounds{response.Body, maxFetchBytes, done}
	return response, nil
}

// bounds is a body that ends with an error when it is too large: half a set of
// keys is none.
type bounds struct {
	io.ReadCloser
	left int
	done func()
}

func (b *bounds) Read(p []byte) (int, error) {
	n, err := b.ReadCloser.Read(p)
	if b.left -= n; b.left < 0 {
		return 0, errTooLarge
	}
	return n, err
}

func (b *bounds) Close() error {
	defer b.done()
	return b.ReadCloser.Close()
}

package revocation

import (
	"bytes"
	"compress/gzip"
	"context"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// loopbackFetcher connects to nothing but this machine.
func loopbackFetcher() *HTTPFetcher { return NewHTTPFetcher(new(net.Dialer).DialContext) }

func serve(t *testing.T, handle http.HandlerFunc) string {
	t.Helper()
	server := httptest.NewServer(handle)
	t.Cleanup(server.Close)
	return server.URL
}

func fetchAll(ctx context.Context, f Fetcher, r Request) ([]byte, error) {
	body, err := f.Fetch(ctx, r)
	if err != nil {
		return nil, err
	}
	defer body.Close()
	return io.ReadAll(body)
}

func TestHTTPFetcher(t *testing.T) {
	t.Parallel()
	url := serve(t, func(w http.ResponseWriter, r *http.Request) {
		sent, _ := io.ReadAll(r.Body)
		if r.Header.Get("Accept-Encoding") != "" || r.Header.Get("Cookie") != "" || !r.Close {
			w.WriteHeader(http.StatusBadRequest)
		}
		w.Header().Set("Set-Cookie", "a=b")
		_, _ = w.Write([]byte(r.Method + " " + r.Header.Get("Content-Type") + " " + string(sent)))
	})
	f := loopbackFetcher()
	for range 2 {
		got, err := fetchAll(t.Context(), f, Request{URL: url, MaxBytes: 6})
		require.NoError(t, err)
		require.Equal(t, "GET  ", string(got))
		got, err = fetchAll(t.Context(), f, Request{URL: url, Body: []byte("body"), Type: "a/b", MaxBytes: 100})
		require.NoError(t, err)
		require.Equal(t, "POST a/b body", string(got))
	}
}

func TestHTTPFetcherRefuses(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		handle http.HandlerFunc
		why    reason
	}{
		"redirect": {func(w http.ResponseWriter, r *http.Request) {
			if r.URL.Path == "/2" {
				_, _ = w.Write([]byte("followed"))
			}
			http.Redirect(w, r, "/2", http.StatusFound)
		}, redirected},
		"not found":  {http.NotFound, badStatus},
		"no content": {func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusNoContent) }, badStatus},
		"gzip": {func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Encoding", "gzip")
			z := gzip.NewWriter(w)
			_, _ = z.Write(make([]byte, 1<<20))
			_ = z.Close()
		}, encoded},
		"announced oversize": {func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write(make([]byte, 1001)) }, tooLarge},
		"chunked oversize": {func(w http.ResponseWriter, _ *http.Request) {
			for range 1001 {
				_, _ = w.Write([]byte{0})
				_ = http.NewResponseController(w).Flush()
			}
		}, tooLarge},
		"huge header": {func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("X", strings.Repeat("x", maxHeaderBytes+4096))
		}, fetchFailed},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got, err := fetchAll(t.Context(), loopbackFetcher(), Request{URL: serve(t, c.handle) + "/1", MaxBytes: 1000})
			require.ErrorIs(t, err, c.why)
			require.LessOrEqual(t, len(got), 1000)
		})
	}
	for _, url := range []string{
		"https://127.0.0.1/", "ldap://127.0.0.1/", "file:///etc/passwd", "HTTPS://127.0.0.1", "http:///x", "http:x", "x", "",
		"http://user@127.0.0.1/", "http://[::1", "\x00",
	} {
		_, err := loopbackFetcher().Fetch(t.Context(), Request{URL: url})
		require.ErrorIs(t, err, schemeNotHTTP, url)
	}
	_, err := NewHTTPFetcher(nil).Fetch(t.Context(), Request{URL: "http://127.0.0.1/"})
	require.ErrorIs(t, err, nothingFetched)
}

func TestHTTPFetcherSeesEveryAddress(t *testing.T) {
	t.Parallel()
	var dialled []string
	f := NewHTTPFetcher(func(_ context.Context, network, addr string) (net.Conn, error) {
		dialled = append(dialled, network+" "+addr)
		return nil, otherPoint // any error will do
	})
	_, err := f.Fetch(t.Context(), Request{URL: "HTTP://Example.test/x"})
	require.ErrorIs(t, err, otherPoint)
	require.Equal(t, []string{"tcp Example.test:80"}, dialled)
}

// A server that sends a byte now and then is left when the caller has had enough.
func TestHTTPFetcherLeavesSlowServer(t *testing.T) {
	t.Parallel()
	first := make(chan struct{})
	url := serve(t, func(w http.ResponseWriter, r *http.Request) {
		_, _ = w.Write([]byte{0x30})
		_ = http.NewResponseController(w).Flush()
		close(first)
		<-r.Context().Done()
	})
	ctx, cancel := context.WithCancel(t.Context())
	body, err := loopbackFetcher().Fetch(ctx, Request{URL: url, MaxBytes: 1000})
	require.NoError(t, err)
	defer body.Close()
	<-first
	time.AfterFunc(10*time.Millisecond, cancel)
	got, err := io.ReadAll(body)
	require.ErrorIs(t, err, context.Canceled)
	require.True(t, bytes.Equal(got, []byte{0x30}))
}

// silentDial connects to nobody, for as long as it may.
func silentDial(ctx context.Context, _, _ string) (net.Conn, error) {
	<-ctx.Done()
	return nil, ctx.Err()
}

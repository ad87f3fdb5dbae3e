package revocation

import (
	"compress/gzip"
	"context"
	"crypto/x509"
	"crypto/x509/pkix"
	"net/http"
	"strings"
	"testing"
	"time"

	"securesocket/tlsengine/tlstest"

	"github.com/stretchr/testify/require"
	"golang.org/x/crypto/ocsp"
)

// Whatever a source does, it is not taken for good, and what was wrong is said.
func TestMaliciousSource(t *testing.T) {
	t.Parallel()
	ca, twin := newAuthority(t), newAuthority(t)
	write := func(b []byte) http.HandlerFunc {
		return func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write(b) }
	}
	const day = 24 * time.Hour
	for name, c := range map[string]struct {
		list     http.HandlerFunc
		response func(l leaf) []byte // nil: list serves both
		why      reason
	}{
		"redirect": {list: func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, "http://169.254.169.254/\u202e", http.StatusFound)
		}, why: redirected},
		"gzip": {list: func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Encoding", "gzip")
			z := gzip.NewWriter(w)
			_, _ = z.Write(ca.crl(nil))
			_ = z.Close()
		}, why: encoded},
		"oversize":         {list: write(make([]byte, maxCRLBytes+1)), why: tooLarge},
		"empty":            {list: write(nil), why: malformed},
		"garbage":          {list: write([]byte(strings.Repeat("<html>", 100))), why: malformed},
		"broken off":       {list: func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }, why: fetchFailed},
		"endless sequence": {list: write([]byte{0x30, 0x80, 0x30, 0x80, 0x30, 0x80}), why: malformed},
		"4 GiB announced":  {list: write([]byte{0x30, 0x84, 0xff, 0xff, 0xff, 0xff, 0x30, 0x84, 0xff, 0xff, 0xff, 0xf0}), why: malformed},
		"internal error": {list: func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(http.StatusInternalServerError)
			_, _ = w.Write(ca.crl(nil))
		}, why: badStatus},
		"another issuer's list": {list: write(newAuthority(t, tlstest.CommonName("Other")).crl(nil)), why: otherIssuer},
		"wrong issuer": {list: write(twin.crl(nil)),
			response: func(l leaf) []byte { return twin.ocsp(l, nil) }, why: otherCertificate},
		"wrong signature": {list: write(twin.crl(nil)), response: func(l leaf) []byte {
			der := ca.ocsp(l, nil)
			der[len(der)-1] ^= 1
			return der
		}, why: badSignature},
		"expired": {list: write(ca.crl(func(l *x509.RevocationList) {
			l.ThisUpdate, l.NextUpdate = ca.now.Add(-2*day), ca.now.Add(-day)
		})), response: func(l leaf) []byte {
			return ca.ocsp(l, func(r *ocsp.Response) { r.ThisUpdate, r.NextUpdate = ca.now.Add(-2*day), ca.now.Add(-day) })
		}, why: outOfDate},
		"from the future": {list: write(ca.crl(func(l *x509.RevocationList) {
			l.ThisUpdate, l.NextUpdate = ca.now.Add(day), ca.now.Add(2*day)
		})), response: func(l leaf) []byte {
			return ca.ocsp(l, func(r *ocsp.Response) { r.ThisUpdate, r.NextUpdate = ca.now.Add(day), ca.now.Add(2*day) })
		}, why: fromTheFuture},
		"unknown critical extension": {list: write(ca.crl(crlExtension(extra(oidNobodys, true, []byte{5, 0})))),
			response: func(l leaf) []byte {
				return ca.ocsp(l, func(r *ocsp.Response) {
					r.ExtraExtensions = []pkix.Extension{extra(oidNobodys, true, []byte{5, 0})}
				})
			}, why: unknownCritical},
		"wrong serial number": {list: write(nil),
			response: func(leaf) []byte { return ca.ocsp(ca.leaf(nil), nil) }, why: otherCertificate},
		"tryLater": {list: write(nil), response: func(leaf) []byte { return ocsp.TryLaterErrorResponse }, why: responderRefused},
		"signed by the leaf": {list: write(nil),
			response: func(l leaf) []byte { return ca.ocspBy(l, l.Certificate, l.key, nil) }, why: noResponder},
		"unknown": {list: write(nil), response: func(l leaf) []byte {
			return ca.ocsp(l, func(r *ocsp.Response) { r.Status = ocsp.Unknown })
		}, why: statusUnknown},
		"another kind of answer": {list: write(twin.ocsp(ca.leaf(nil), nil)),
			response: func(leaf) []byte { return ca.crl(nil) }, why: malformed},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var answer []byte
			url := serve(t, func(w http.ResponseWriter, r *http.Request) {
				if r.Method == http.MethodPost && c.response != nil {
					_, _ = w.Write(answer)
					return
				}
				c.list(w, r)
			})
			l := ca.leaf(func(cert *x509.Certificate) {
				cert.CRLDistributionPoints, cert.OCSPServer = []string{url + "/crl"}, []string{url + "/ocsp"}
			})
			if c.response != nil {
				answer = c.response(l)
			}
			checker := NewChecker(Config{Fetcher: loopbackFetcher()})
			for range 2 { // the second time from the negative cache
				r, said := explained(t, checker, ca.query(l))
				requireReason(t, c.why, r, said)
				requirePlain(t, r.Detail)
			}
		})
	}
}

func requirePlain(t *testing.T, text string) {
	t.Helper()
	require.LessOrEqual(t, len(text), maxDetailBytes+64)
	for _, c := range []byte(text) {
		require.True(t, c >= ' ' && c <= '~', "%q", text)
	}
}

func TestSlowSourceEndsWithTheContext(t *testing.T) {
	t.Parallel()
	ca := newAuthority(t)
	list := ca.crl(nil)
	url := serve(t, func(w http.ResponseWriter, r *http.Request) {
		for i := 0; i < len(list)-1 && r.Context().Err() == nil; i++ {
			_, _ = w.Write(list[i : i+1])
			_ = http.NewResponseController(w).Flush()
			time.Sleep(10 * time.Millisecond)
		}
		<-r.Context().Done()
	})
	l := ca.leaf(withCRL(url))
	ctx, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
	defer cancel()
	all := NewChecker(Config{Fetcher: loopbackFetcher()}).Check(ctx, ca.query(l))
	require.Len(t, all, 1)
	require.Equal(t, NotChecked, all[0].Outcome)
	require.ErrorIs(t, ctx.Err(), context.DeadlineExceeded)
}

func TestOnlyHTTPIsAsked(t *testing.T) {
	t.Parallel()
	ca := newAuthority(t)
	fetcher := &serves{}
	l := ca.leaf(func(c *x509.Certificate) {
		c.CRLDistributionPoints = []string{"ldap://crl.test/a", "file:///etc/a.crl", "https://crl.test/a", "x\x01"}
		c.OCSPServer = []string{"https://ocsp.test", strings.Repeat("z", 5000)}
	})
	r, said := explained(t, NewChecker(Config{Fetcher: fetcher}), ca.query(l))
	requireReason(t, schemeNotHTTP, r, said)
	requirePlain(t, r.Detail)
	require.Len(t, said, 6)
	require.Zero(t, fetcher.fetches.Load())
}

func TestThreeURLsAtMost(t *testing.T) {
	t.Parallel()
	ca := newAuthority(t)
	fetcher := &serves{answers: map[string][]byte{}}
	l := ca.leaf(func(c *x509.Certificate) {
		c.CRLDistributionPoints = []string{crlURL, crlURL + "2", crlURL + "3", crlURL + "4", crlURL + "5"}
		c.OCSPServer = []string{ocspURL, ocspURL + "2"}
	})
	r, said := explained(t, NewChecker(Config{Fetcher: fetcher}), ca.query(l))
	requireReason(t, tooManyURLs, r, said)
	require.EqualValues(t, 3, fetcher.fetches.Load())

	// The last of the three is an OCSP responder's.
	fetcher.answers[ocspURL] = ca.ocsp(l, nil)
	r, _ = explained(t, NewChecker(Config{Fetcher: fetcher}), ca.query(l))
	require.Equal(t, Good, r.Outcome)
	require.Equal(t, OCSP, r.Source)
}

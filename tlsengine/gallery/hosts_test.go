package gallery_test

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"securesocket/tlsengine"
	"securesocket/tlsengine/gallery"
	"securesocket/tlsengine/revocation"
)

// Every host is judged as its row says: by the engine, over a socket, with the gallery's root for its only anchor.
func TestHosts(t *testing.T) {
	t.Parallel()
	g := open(t)
	for _, h := range g.Hosts() {
		t.Run(strings.TrimSuffix(h.Name, ".gallery.test"), func(t *testing.T) {
			t.Parallel()
			found := visit(t, g, h)
			require.Equal(t, list(h.Problems), found.problems)
			require.Equal(t, h.Reason, found.reason)
			require.Equal(t, h.Status.String(), found.status.String())
			require.Equal(t, h.Basis, found.basis)
			require.Equal(t, h.Secure(), found.secure)
			require.Equal(t, h.Cause, found.cause)
			if h.Secure() && h.Reason == "" {
				require.Contains(t, found.answer, h.Name+"\n"+h.About)
			}
		})
	}
}

// visited is what a client has found.
type visited struct {
	status   tlsengine.Status
	basis    tlsengine.Basis
	problems string
	reason   string
	cause    string
	secure   bool
	answer   string
}

func visit(t *testing.T, g *gallery.Gallery, h gallery.Host) visited {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	if h.Silent {
		ctx, cancel = context.WithTimeout(ctx, 300*time.Millisecond)
		defer cancel()
	}
	conn, err := tlsengine.Client(ctx, dial(t, g), &tlsengine.Config{
		ServerName:  h.Name,
		VerifyNames: []string{h.VerifyName},
		ALPN:        h.ALPN,
		RequireALPN: h.RequireALPN,
		Trust:       tlsengine.Trust{Anchors: []*x509.Certificate{g.Root()}},
		Revocation:  h.Revocation,
		Checker:     revocation.NewChecker(revocation.Config{Fetcher: fetcher{}}),
	})
	if err != nil {
		found := visited{status: tlsengine.StatusUnknown, basis: tlsengine.BasisNone, reason: reason(err)}
		if refused, ok := errors.AsType[*tlsengine.CertificateError](err); ok {
			found.status, found.basis, found.problems = refused.Report.Status, refused.Report.Basis, problems(refused.Report)
			if h.Reason == "REVOCATION_UNAVAILABLE" && found.problems == list(h.Problems) {
				found.reason = h.Reason // which of the two reasons it is, the service decides
			}
		}
		return found
	}
	defer conn.Abort()
	found := visited{status: conn.Report().Status, basis: conn.Report().Basis, problems: problems(conn.Report()), secure: true}
	_, err = io.WriteString(conn, "GET / HTTP/1.1\r\nHost: "+h.Name+"\r\n\r\n")
	require.NoError(t, err)
	answer, err := io.ReadAll(conn)
	found.answer = string(answer)
	found.cause = "PEER_CLOSE_NOTIFY"
	if err != nil {
		found.reason, found.cause = reason(err), cause(err)
	}
	return found
}

// cause is the contract's name of the end of a connection that was secure.
func cause(err error) string {
	if e, ok := errors.AsType[*tlsengine.AlertError](err); ok && e.Remote {
		return "PEER_ALERT"
	}
	if end, ok := tlsengine.EndOf(err); ok {
		return map[tlsengine.End]string{
			tlsengine.EndTruncated:       "PEER_TRUNCATED",
			tlsengine.EndTruncatedRecord: "PEER_TRUNCATED_RECORD",
			tlsengine.EndReset:           "PEER_RESET",
		}[end]
	}
	return "ERROR"
}

func list(expected []gallery.Expect) string {
	var all []string
	for _, p := range expected {
		all = append(all, p.String())
	}
	return strings.Join(all, " ")
}

func problems(r *tlsengine.Report) string {
	var all []string
	for _, p := range r.Problems {
		all = append(all, fmt.Sprintf("%s@%d", p.Code, p.Depth))
	}
	return strings.Join(all, " ")
}

// reason is the contract's name of an error.
func reason(err error) string {
	if e, ok := errors.AsType[*tlsengine.CertificateError](err); ok {
		return map[tlsengine.Status]string{
			tlsengine.StatusUnknown:           "CERTIFICATE_UNDETERMINED",
			tlsengine.StatusExpired:           "CERTIFICATE_EXPIRED",
			tlsengine.StatusNotYetValid:       "CERTIFICATE_NOT_YET_VALID",
			tlsengine.StatusPrincipalMismatch: "CERTIFICATE_PRINCIPAL_MISMATCH",
			tlsengine.StatusInvalidChain:      "CERTIFICATE_INVALID_CHAIN",
			tlsengine.StatusUntrustedSigners:  "CERTIFICATE_UNTRUSTED_SIGNERS",
			tlsengine.StatusRevoked:           "CERTIFICATE_REVOKED",
			tlsengine.StatusInvalid:           "CERTIFICATE_INVALID",
		}[e.Report.Status]
	}
	if e, ok := errors.AsType[*tlsengine.HandshakeError](err); ok {
		return map[tlsengine.HandshakeKind]string{
			tlsengine.NotTLS:       "NOT_TLS",
			tlsengine.Misbehaved:   "PEER_MISBEHAVED",
			tlsengine.Incompatible: "PEER_INCOMPATIBLE",
			tlsengine.ALPNMismatch: "ALPN_MISMATCH",
		}[e.Kind]
	}
	if e, ok := errors.AsType[*tlsengine.AlertError](err); ok {
		if e.Remote {
			return "PEER_ALERT"
		}
		return "PEER_MISBEHAVED"
	}
	if end, ok := tlsengine.EndOf(err); ok {
		return map[tlsengine.End]string{
			tlsengine.EndTruncated:       "PEER_TRUNCATED",
			tlsengine.EndTruncatedRecord: "PEER_TRUNCATED",
			tlsengine.EndReset:           "PEER_RESET",
		}[end]
	}
	if errors.Is(err, context.DeadlineExceeded) || errors.Is(err, os.ErrDeadlineExceeded) {
		return "HANDSHAKE_TIMEOUT"
	}
	return err.Error()
}

// fetcher gets what certificates point to, as plainly as can be.
type fetcher struct{}

func (fetcher) Fetch(ctx context.Context, r revocation.Request) (io.ReadCloser, error) {
	method, body := http.MethodGet, io.Reader(nil)
	if r.Body != nil {
		method, body = http.MethodPost, strings.NewReader(string(r.Body))
	}
	req, err := http.NewRequestWithContext(ctx, method, r.URL, body)
	if err != nil {
		return nil, err
	}
	if r.Type != "" {
		req.Header.Set("Content-Type", r.Type)
	}
	req.Close = true
	resp, err := http.DefaultClient.Do(req) //nolint:bodyclose // the caller closes it
	if err != nil {
		return nil, err
	}
	if resp.StatusCode != http.StatusOK {
		_ = resp.Body.Close()
		return nil, errors.New(resp.Status)
	}
	return resp.Body, nil
}

func TestListIsInOrder(t *testing.T) {
	t.Parallel()
	g := open(t)
	hosts := g.Hosts()
	require.GreaterOrEqual(t, len(hosts), 40)
	names, groups, flawless := map[string]bool{}, []gallery.Group{}, 0
	for _, h := range hosts {
		require.False(t, names[h.Name], h.Name)
		names[h.Name] = true
		require.True(t, strings.HasSuffix(h.Name, ".gallery.test"), h.Name)
		require.NotEmpty(t, h.VerifyName, h.Name)
		require.NotEmpty(t, h.About, h.Name)
		require.Equal(t, gallery.EventClosed, h.Events[len(h.Events)-1], h.Name)
		require.Equal(t, h.Reason == "", !strings.Contains(strings.Join(h.Events, " "), gallery.EventIOError), h.Name)
		require.Equal(t, h.Secure(), h.Status == tlsengine.StatusTrusted, h.Name)
		require.Equal(t, h.Secure(), h.Basis == tlsengine.BasisValidated, h.Name)
		if len(groups) == 0 || groups[len(groups)-1] != h.Group {
			require.NotContains(t, groups, h.Group)
			groups = append(groups, h.Group)
		}
		if h.Reason == "" {
			flawless++
		}
	}
	require.Equal(t, []gallery.Group{gallery.GroupGood, gallery.GroupLeaf, gallery.GroupChain, gallery.GroupRevocation,
		gallery.GroupHandshake, gallery.GroupEnding}, groups)
	require.Positive(t, flawless)

	hosts[0].Name = "changed"
	hosts[0].Events[0] = "changed"
	require.NotEqual(t, hosts[0].Name, g.Hosts()[0].Name)
	require.NotEqual(t, hosts[0].Events[0], g.Hosts()[0].Events[0])
}

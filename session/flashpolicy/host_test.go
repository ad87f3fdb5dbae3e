package flashpolicy_test

import (
	"context"
	"crypto/tls"
	"io"
	"net"
	"strconv"
	"sync"
	"syscall"
	"testing"

	"securesocket/session/flashpolicy"
	"securesocket/tlsengine/tlstest"

	"github.com/stretchr/testify/require"
)

const (
	everybody = `<allow-access-from domain="*" to-ports="*"/>`
	request   = "<policy-file-request/>\x00"
)

func policy(inside string) string {
	return "<cross-domain-policy>" + inside + "</cross-domain-policy>\x00"
}

// host is what a host does on its ports. It has each dial in asked, in order, those over TLS with an s.
type host struct {
	addresses map[int]string
	pool      *tls.Config

	mu    sync.Mutex
	asked []string
}

func newHost(tb testing.TB, ports map[int]func(net.Conn)) *host {
	tb.Helper()
	h := &host{addresses: map[int]string{}}
	for port, handle := range ports {
		h.addresses[port] = tlstest.ServeRaw(tb, handle)
	}
	return h
}

// dial reaches the ports over loopback; there are none but these.
func (h *host) dial(ctx context.Context, port int) (net.Conn, error) {
	h.note(strconv.Itoa(port))
	address, ok := h.addresses[port]
	if !ok {
		return nil, syscall.ECONNREFUSED
	}
	var d net.Dialer
	return d.DialContext(ctx, "tcp", address)
}

func (h *host) secureDial(ctx context.Context, port int) (net.Conn, error) {
	h.note(strconv.Itoa(port) + "s")
	d := tls.Dialer{Config: h.pool}
	return d.DialContext(ctx, "tcp", h.addresses[port])
}

func (h *host) note(what string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.asked = append(h.asked, what)
}

// says waits for the request, answers and closes.
func says(text string) func(net.Conn) {
	return func(conn net.Conn) {
		if heard(conn) {
			_, _ = io.WriteString(conn, text)
		}
	}
}

func heard(conn net.Conn) bool {
	got := make([]byte, len(request))
	_, err := io.ReadFull(conn, got)
	return err == nil && string(got) == request
}

func checker(tb testing.TB, cfg flashpolicy.Config) *flashpolicy.Checker {
	tb.Helper()
	c, err := flashpolicy.New(cfg)
	require.NoError(tb, err)
	return c
}

func requireDenied(tb testing.TB, err error, rule, source string) {
	tb.Helper()
	var denied *flashpolicy.DeniedError
	require.ErrorAs(tb, err, &denied)
	require.Equal(tb, rule, denied.Rule)
	require.Equal(tb, source, denied.Source)
	require.NotEmpty(tb, denied.Why)
	require.Contains(tb, denied.Error(), rule)
}

package callers

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io"
	"log/slog"
	"net"
	"strings"
	"sync"
	"syscall"
	"time"
)

// handshakeFault says in one word why a caller's TLS handshake failed. The words are stable, and there are no others.
type handshakeFault string

const (
	faultNoCertificate    handshakeFault = "no_certificate"    // one is required
	faultBadCertificate   handshakeFault = "bad_certificate"   // none that a caller can use here
	faultUnknownAuthority handshakeFault = "unknown_authority" // none of the operator's vouches for it
	faultExpired          handshakeFault = "expired"           // or not valid yet
	faultRevoked          handshakeFault = "revoked"           // or nobody knows, as the list is out of date
	faultAlert            handshakeFault = "alert"             // the caller refused, as who does not trust the service's certificate
	faultProtocol         handshakeFault = "protocol"          // no TLS, no version, suite or protocol in common, or broken
	faultTimeout          handshakeFault = "timeout"
	faultClosed           handshakeFault = "closed" // by the caller, without a word
)

// ofCertificate reports whether the caller's certificate is what was wrong, or that there was none.
func (f handshakeFault) ofCertificate() bool {
	switch f {
	case faultNoCertificate, faultBadCertificate, faultUnknownAuthority, faultExpired, faultRevoked:
		return true
	}
	return false
}

// faultOf tells the faults apart.
func faultOf(err error) handshakeFault {
	if ce, ok := errors.AsType[*CertificateError](err); ok {
		return faultOfCertificate(ce)
	}
	if oe, ok := errors.AsType[*net.OpError](err); ok && oe.Op == "remote error" {
		return faultAlert
	}
	if ne, ok := errors.AsType[net.Error](err); ok && ne.Timeout() {
		return faultTimeout
	}
	for _, end := range []error{io.EOF, io.ErrUnexpectedEOF, io.ErrClosedPipe, net.ErrClosed, syscall.ECONNRESET, syscall.EPIPE} {
		if errors.Is(err, end) {
			return faultClosed
		}
	}
	// crypto/tls has no types for these.
	switch text := err.Error(); {
	case strings.Contains(text, "client didn't provide a certificate"):
		return faultNoCertificate
	case strings.Contains(text, "client certificate"):
		return faultBadCertificate
	}
	return faultProtocol
}

func faultOfCertificate(e *CertificateError) handshakeFault {
	switch e.Why {
	case CertificateUntrusted:
		if _, unfit := errors.AsType[x509.CertificateInvalidError](e.Err); unfit { // as one that is no client's
			return faultBadCertificate
		}
		return faultUnknownAuthority
	case CertificateExpired:
		return faultExpired
	case CertificateRevoked, CertificateRevocationStale:
		return faultRevoked
	}
	return faultBadCertificate
}

// handshakeFailures writes down handshakes that failed: one a second as a warning, since strangers choose how many there
// are, and the rest for who debugs. How many these were a second warning says when the second is over.
type handshakeFailures struct {
	mu     sync.Mutex
	last   time.Time   // of a warning
	silent int         // failures since then
	latest []any       // what the log has of the last one of those
	timer  *time.Timer // nil: it does not run
	closed bool

	writing sync.WaitGroup // of the timer, from its start
}

// failuresEvery is how often there is a warning.
const failuresEvery = time.Second

// tell writes one down, and says what it was. Who connects and goes without a word, as a balancer does that looks whether the service is there,
// is no warning.
func (h *handshakeFailures) tell(log *slog.Logger, conn *tls.Conn, err error) handshakeFault {
	fault := faultOf(err)
	text := bounded(err.Error())
	attrs := []any{"address", conn.RemoteAddr().String(), "reason", string(fault), "error", text[1 : len(text)-1]} // the log quotes it
	level := slog.LevelDebug
	// crypto/tls knows a version once it has read a ClientHello.
	if fault != faultClosed || conn.ConnectionState().Version != 0 {
		if more, ok := h.due(log, attrs); ok {
			level, attrs = slog.LevelWarn, append(attrs, "more_since_last", more)
		}
	}
	log.Log(context.Background(), level, "a caller's TLS handshake failed", attrs...)
	return fault
}

// due reports whether a warning may be written, and how many were not since the last one. Where it may not, log is told
// later.
func (h *handshakeFailures) due(log *slog.Logger, attrs []any) (more int, ok bool) {
	now := time.Now()
	h.mu.Lock()
	defer h.mu.Unlock()
	if left := failuresEvery - now.Sub(h.last); !h.last.IsZero() && left > 0 {
		h.silent++
		h.latest = attrs
		if h.timer == nil && !h.closed {
			h.writing.Add(1)
			h.timer = time.AfterFunc(left, func() { h.tellRest(log) })
		}
		return 0, false
	}
	more = h.silent
	h.last, h.silent = now, 0
	return more, true
}

// tellRest is for the end of a second in which there were failures that no warning tells of.
func (h *handshakeFailures) tellRest(log *slog.Logger) {
	h.mu.Lock()
	h.timer = nil
	attrs := h.restLocked()
	h.mu.Unlock()
	warnOfRest(log, attrs)
	h.writing.Done()
}

// close tells the rest at once, and that of nothing which fails later. When it has returned no timer writes.
func (h *handshakeFailures) close(log *slog.Logger) {
	h.mu.Lock()
	if h.timer != nil && h.timer.Stop() {
		h.writing.Done()
	}
	h.timer = nil
	attrs := h.restLocked()
	h.closed = true
	h.mu.Unlock()
	warnOfRest(log, attrs)
	h.writing.Wait()
}

// restLocked takes what a warning has to say, nil if that is nothing.
func (h *handshakeFailures) restLocked() []any {
	if h.silent == 0 || h.closed {
		return nil
	}
	attrs := append([]any{"failures", h.silent}, h.latest...)
	h.last, h.silent = time.Now(), 0
	return attrs
}

func warnOfRest(log *slog.Logger, attrs []any) {
	if attrs != nil {
		log.Warn("further TLS handshakes of callers failed", attrs...)
	}
}

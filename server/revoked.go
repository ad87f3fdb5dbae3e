package server

import (
	"context"
	"errors"
	"log/slog"
	"time"

	"securesocket/server/callers"
	"securesocket/server/door"
	"securesocket/session"
)

// recheckEvery is how often the caller of an open stream is asked for anew.
const recheckEvery = 5 * time.Second

// watcher ends connections whose callers may not call any more. What was taken from
// a caller, by the operator's hand, ends his streams too: a token or an authority that
// is gone, a certificate that is revoked, a place in callers.allow. What only ran out
// does not: a stream outlives the time of the token that began it.
type watcher struct {
	guard *guard
	log   *slog.Logger
}

// watch looks after the caller of ctx until stop is called.
func (w watcher) watch(ctx context.Context) (stop func()) {
	ticket := door.FromContext(ctx)
	if ticket == nil {
		return func() {} // there is nothing that could be ended
	}
	switch callers.KindOf(principalOf(ctx)) {
	case callers.KindUID, callers.KindJWT, callers.Anonymous: // nobody takes these back
		return func() {}
	}
	var timer *time.Timer
	armed := make(chan struct{})
	timer = time.AfterFunc(recheckEvery, func() {
		<-armed
		if ctx.Err() != nil {
			return // it is over
		}
		var err error
		if defect := session.Guard(w.log, func() error { err = w.revoked(ctx); return nil }); defect != nil {
			return
		}
		if err != nil {
			w.log.Info("a caller's connection is ended: his credentials were taken back", "audit", "revoked", "principal", bounded(principalOf(ctx)), "why", err.Error())
			ticket.HangUp()
			return
		}
		timer.Reset(recheckEvery)
	})
	close(armed)
	return func() { timer.Stop() }
}

// revoked says why the caller of ctx would not be let in now; nil where he would, or
// would not for another cause.
func (w watcher) revoked(ctx context.Context) error {
	principal, err := w.guard.authenticate(ctx)
	if te, ok := errors.AsType[*callers.TokenError](err); ok && te.Why == callers.TokenUnknown {
		return err
	}
	if ce, ok := errors.AsType[*callers.CertificateError](err); ok && (ce.Why == callers.CertificateRevoked || ce.Why == callers.CertificateUntrusted) {
		return err
	}
	if err == nil && !w.guard.allowed(principal) {
		return errNotAllowedNow
	}
	return nil
}

var errNotAllowedNow = errors.New("the operator does not let this caller in any more")

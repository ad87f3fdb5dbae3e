package revocation

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"golang.org/x/crypto/ocsp"
)

const maxCRLBytes = 32 << 20 // of one that is fetched

// recall looks into the cache. It is false when somebody has to be asked.
func (c *Checker) recall(s *subject, src source) (_ Result, known bool, _ error) {
	for _, key := range []cacheKey{s.key(src), s.serialKey(src)} {
		item, ok := c.cache.get(key, s.now)
		if !ok {
			continue
		}
		r, err := item.answer.judge(s, src)
		if staleFor(err) {
			continue
		}
		r.Source = Cache
		return r, true, err
	}
	if item, ok := c.cache.get(s.failureKey(src), s.now); ok {
		return Result{}, true, fmt.Errorf("asked a short while ago: %w", item.err)
	}
	return Result{}, false, nil
}

// staleFor says whether another answer from the same source may be of use.
func staleFor(err error) bool {
	return errors.Is(err, fromTheFuture) || errors.Is(err, outOfDate) || errors.Is(err, notRemembered)
}

// fetch asks a source, together with whatever else of the owner asks it now.
func (c *Checker) fetch(ctx context.Context, s *subject, src source, a *allowance) (Result, error) {
	r, err := c.fetchKey(ctx, s, src, s.key(src), a)
	if errors.Is(err, notRemembered) { // the others' fetch looked for their certificate alone
		r, err = c.fetchKey(ctx, s, src, s.serialKey(src), a)
	}
	return r, err
}

// patience is how long a source is waited for before it is called slow. What was spent on waiting for a turn is not its
// fault.
const patience = 2 * time.Second

func (c *Checker) fetchKey(ctx context.Context, s *subject, src source, key cacheKey, by *allowance) (Result, error) {
	started, t := time.Now(), by.turn()
	found, waited, err := c.flights.do(ctx, flightKey{key, src.url}, t, func(ctx context.Context) (a answer, err error) {
		err = c.guard(func() (err error) {
			defer t.end()
			a, err = c.load(ctx, s, src, key, by, t)
			return err
		})
		return a, err
	})
	if err == nil {
		r, err := found.judge(s, src)
		r.Source = src.kind
		return r, err
	}
	if errors.Is(err, noTime) {
		switch {
		case time.Since(started)-waited > patience:
			c.cache.rememberNot(s.failureKey(src), noTime, s.now)
		case waited > patience:
			err = noTurn
		}
	}
	return Result{}, fetchError(err)
}

// load fetches, reads and remembers.
func (c *Checker) load(ctx context.Context, s *subject, src source, key cacheKey, by *allowance, t *turn) (answer, error) {
	if item, ok := c.cache.get(key, s.now); ok { // another flight has just landed
		if _, err := item.answer.judge(s, src); !staleFor(err) {
			return item.answer, nil
		}
	}
	if item, ok := c.cache.get(s.failureKey(src), s.now); ok {
		return nil, item.err
	}
	a, err := c.read(ctx, s, src, by, t)
	if err != nil {
		if isNews(ctx, err, t) {
			c.cache.rememberNot(s.failureKey(src), err, s.now)
		}
		return nil, err
	}
	if l, ok := a.(*crl); ok {
		if l.entries == nil {
			key = s.serialKey(src)
		} else {
			defer l.entries.settle()
		}
	}
	switch _, err := a.judge(s, src); {
	case err == nil, errors.Is(err, otherScope), errors.Is(err, otherPoint), errors.Is(err, deltaCRL): // others may have more of it
		c.cache.remember(key, a, s.now)
	default:
		c.cache.rememberNot(s.failureKey(src), err, s.now)
	}
	return a, nil
}

// isNews says whether an error tells something about the source.
func isNews(ctx context.Context, err error, t *turn) bool {
	switch {
	case errors.Is(ctx.Err(), context.Canceled): // nobody waits
		return false
	case errors.Is(err, noTime), errors.Is(err, fetchFailed): // it may have lost patience with us
		return t.waited() < fetchTimeout-patience
	}
	return !starters(err)
}

// read asks a source and verifies what it says.
func (c *Checker) read(ctx context.Context, s *subject, src source, by *allowance, t *turn) (answer, error) {
	if src.kind == OCSP {
		return c.readOCSP(ctx, s, src, by, t)
	}
	body, err := c.get(ctx, Request{Owner: s.owner, URL: src.url, MaxBytes: maxCRLBytes}, by)
	if err != nil {
		return nil, err
	}
	defer body.Close()
	defer t.end()
	scan := &crlScan{serials: []string{s.serial}, room: &room{&c.indexes, s.owner}}
	l, err := scan.read(ctx, t.over(ctx, body), s.signers)
	if err != nil {
		return nil, err
	}
	return l, nil
}

func (c *Checker) readOCSP(ctx context.Context, s *subject, src source, by *allowance, t *turn) (answer, error) {
	request, err := ocsp.CreateRequest(s.cert, s.issuer, nil) // SHA-1 in the CertID: all responders know it
	if err != nil {
		return nil, fmt.Errorf("%w: no request can be made for the certificate", unusableChain)
	}
	body, err := c.get(ctx, Request{
		Owner: s.owner, URL: src.url, Body: request, Type: "application/ocsp-request", MaxBytes: maxOCSPBytes,
	}, by)
	if err != nil {
		return nil, err
	}
	defer body.Close()
	der, err := io.ReadAll(body)
	if err != nil {
		return nil, fetchError(err)
	}
	if err := t.begin(ctx); err != nil {
		return nil, err
	}
	defer t.end()
	a, err := readOCSP(der, s)
	if err != nil {
		return nil, err
	}
	return a, nil
}

// get fetches, and holds the Fetcher to the bounds.
func (c *Checker) get(ctx context.Context, r Request, by *allowance) (io.ReadCloser, error) {
	if by.fetches.Add(1) > maxFetches {
		return nil, tooMuch
	}
	body, err := c.fetcher.Fetch(ctx, r)
	if err != nil {
		return nil, fetchError(err)
	}
	return &paid{&bounded{body: body, left: r.MaxBytes}, by}, nil
}

// fetchError makes a reason of what a Fetcher says. Its text may be a stranger's.
func fetchError(err error) error {
	var known reason
	switch {
	case errors.As(err, &known):
		return err
	case errors.Is(err, context.DeadlineExceeded):
		return noTime
	case errors.Is(err, context.Canceled):
		return callerLeft
	}
	return fmt.Errorf("%w: %s", fetchFailed, quote(err.Error()))
}

// bounded fails, rather than ends, where the body goes on past its bound: a part of an answer is not one.
type bounded struct {
	body io.ReadCloser
	left int64
}

func (b *bounded) Read(p []byte) (int, error) {
	if int64(len(p)) > b.left+1 {
		p = p[:b.left+1]
	}
	n, err := b.body.Read(p)
	if b.left -= int64(n); b.left < 0 {
		return 0, fmt.Errorf("%w: the answer is longer than allowed", tooLarge)
	}
	return n, err
}

func (b *bounded) Close() error { return b.body.Close() }

package revocation

import (
	"context"
	"crypto/x509"
	"io"
	"time"
)

// Mode says what an unknown answer means. The numbers are the contract's.
type Mode uint8

// The modes.
const (
	Off  Mode = iota + 1 // nothing is asked; a staple is not looked at
	Soft                 // unknown is accepted and said
	Hard                 // unknown is refused
)

// Outcome is what is known about one certificate. The numbers are the contract's.
type Outcome uint8

// The outcomes.
const (
	Good Outcome = iota + 1
	Revoked
	NotChecked // Detail says why; never taken for Good
)

// Source is where an outcome comes from; 0 is nowhere. The numbers are the contract's.
type Source uint8

// The sources.
const (
	Staple Source = iota + 1
	OCSP
	CRL
	Cache
)

// Result is the answer about one certificate.
type Result struct {
	Depth   int // in the chain that was asked about, 0 = leaf
	Outcome Outcome
	Source  Source
	// Detail says why it was not checked, or why it was revoked. What others chose in it is quoted, ASCII and bounded.
	Detail                            string
	ThisUpdate, NextUpdate, RevokedAt time.Time // zero: not known
	// StapleRequired: the certificate asks for a staple (RFC 7633) and none that is valid came with it.
	StapleRequired bool
}

// Query asks about one verified chain.
type Query struct {
	Chain  []*x509.Certificate // leaf first, the trust anchor last; never modified
	Staple []byte              // OCSP response that came with the handshake; nil: none
	CRLs   [][]byte            // given by the caller, DER; asked before anything is fetched
	Now    time.Time           // the clock of the judgement; zero: time.Now
	// Owner is who asks. What a Checker has learnt for one owner it does not know for the next, who could otherwise tell by
	// the time that it takes who else has asked. "" is an owner like any other.
	Owner string
	// Turn is asked for the right to use the CPU, again for each part of the work, and gives it back by the function that
	// it returns. Never two are held by one goroutine, nor is one held while anything is waited for. It must return when ctx
	// ends; its error leaves what it was for NotChecked. A fetch that others share may call it after Check has returned.
	// nil: there is no need to ask.
	Turn func(ctx context.Context) (done func(), err error)
}

// Request is one fetch.
type Request struct {
	Owner    string // for whom it is; nothing of it is sent
	URL      string
	Body     []byte // nil: GET, else POST of ContentType
	Type     string // the content type of Body
	MaxBytes int64  // the answer is not read beyond it
}

// Fetcher gets CRLs and OCSP answers, through whatever policy the operator has. Its methods run beside each other. It
// follows no redirect and decodes no compression.
type Fetcher interface {
	Fetch(ctx context.Context, r Request) (io.ReadCloser, error)
}

// Config is what a Checker works with.
type Config struct {
	Fetcher Fetcher // nil: nothing is fetched
	// LeafCRLAge is how old a CRL may be that speaks for a leaf, where the leaf says at which http URL a newer one is to be
	// had. 0 is seven days, the longest that the CA/Browser Forum lets an authority wait; negative: nextUpdate alone says.
	LeafCRLAge time.Duration
	// Panicked is told of a panic in what reads answers or in the Fetcher, which ends as a Result that is NotChecked, and
	// runs beside itself; nil: nobody is told.
	Panicked func(value any, stack []byte)
}

// Checker asks about revocation and remembers answers. A nil Checker knows staples and given CRLs alone.
type Checker struct {
	fetcher    Fetcher
	leafCRLAge time.Duration
	panicked   func(value any, stack []byte) // may be nil

	cache   cache
	flights flights
	indexes budget // of CRLs that are being read
}

// NewChecker returns a Checker with an empty cache.
func NewChecker(cfg Config) *Checker {
	return &Checker{fetcher: cfg.Fetcher, leafCRLAge: cfg.LeafCRLAge, panicked: cfg.Panicked}
}

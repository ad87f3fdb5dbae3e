package session

import (
	"context"
	"errors"
	"time"

	"securesocket/session/quota"
)

// limits are what owners use up beside memory: each for himself and all together.
type limits struct {
	handshakes   *quota.Pool
	attaches     *quota.Rate
	destinations *quota.Destinations
	fetches      *quota.Destinations // for CRLs and OCSP
	bytes        *quota.Shaper
	memory       *quota.Memory      // nil: nobody watches it
	descriptors  *quota.Descriptors // nil: nobody counts them
}

func newLimits(cfg *Config) limits {
	return limits{
		handshakes: quota.NewPool(quota.PoolConfig{
			What: "handshakes", PerOwner: int64(cfg.MaxHandshakesPerOwner), Total: int64(cfg.MaxHandshakes),
		}),
		attaches: quota.NewRate(quota.RateConfig{What: "attaches", PerOwner: cfg.AttachesPerOwner, Total: cfg.Attaches}),
		destinations: quota.NewDestinations(quota.DestinationsConfig{
			PerOwner: cfg.DestinationsPerOwner, Total: cfg.Destinations,
			Suspect: func(owner string, distinct int) {
				cfg.Logger.Warn("scan suspected", "owner", owner, "destinations", distinct)
				cfg.Suspected(owner)
			},
		}),
		fetches: quota.NewDestinations(quota.DestinationsConfig{
			PerOwner: cfg.DestinationsPerOwner, Total: times(cfg.DestinationsPerOwner, fetchShare),
		}),
		bytes:       quota.NewShaper(quota.ShaperConfig{What: "bytes", PerOwner: cfg.BytesPerOwner, Total: cfg.Bytes}),
		memory:      cfg.Memory,
		descriptors: cfg.Descriptors,
	}
}

// fetchShare is how many callers' worth of new destinations the service may turn to, for
// all who make it fetch what their peers' certificates name.
const fetchShare = 4

func times(l quota.Limit, n int64) quota.Limit {
	return quota.Limit{PerSecond: n * l.PerSecond, Burst: n * l.Burst}
}

// ResourceError reports that the service's machine has none of something left for
// what is new. With "disk" it does not take what is to be kept over restarts; what
// was kept before, and what sessions do, are as they were.
type ResourceError struct{ What string } // memory, descriptors, disk

const noDisk = "disk"

func (e *ResourceError) Error() string {
	if e.What == noDisk {
		return "the disk of the service takes nothing that is to be kept, and nothing was changed: its operator finds the cause in its log; try again then"
	}
	return "the service has no " + e.What + " left for anything new: try again, or at another instance"
}

// retrySoon is when to try again what is refused because of what others hold.
const retrySoon = time.Second

// limitNames has what is limited in words.
var limitNames = map[string]string{
	"handshakes": "handshakes under way", "attaches": "attaches in short order", "destinations": "new destinations in short order",
}

// limitError is a refusal of quota in the session's terms.
func limitError(err error) error {
	e, ok := errors.AsType[*quota.Error](err)
	if !ok {
		return err
	}
	what, known := limitNames[e.What]
	if !known {
		return &ResourceError{e.What}
	}
	if e.Caller {
		what += " of a caller"
	}
	retry := e.RetryAfter
	if retry == 0 {
		retry = retrySoon
	}
	return &LimitError{What: what, Limit: int(e.Limit), Retry: retry}
}

// admit says whether anything new may begin: a session, a listener, a connection.
// The error is a ResourceError.
func (l *limits) admit() error {
	if l.memory == nil {
		return nil
	}
	return limitError(l.memory.Admit())
}

// memoryGone: what nobody is attached to has to go.
func (l *limits) memoryGone() bool { return l.memory != nil && l.memory.Level() == quota.Shed }

// Permit is what one connection, or one listener, holds of the limits. Its methods
// are called by one at a time: under the session's lock.
type Permit struct {
	limits     *limits
	owner      string
	handshake  bool
	descriptor bool
}

// begin takes what a new connection needs. The error is a LimitError or a
// ResourceError, and then it holds nothing.
func (p *Permit) begin() error {
	if err := p.limits.admit(); err != nil {
		return err
	}
	if err := p.beginSocket(); err != nil {
		return err
	}
	if err := p.beginHandshake(); err != nil {
		p.End()
		return err
	}
	return nil
}

// beginSocket takes what a socket needs. The error is a ResourceError.
func (p *Permit) beginSocket() error {
	d := p.limits.descriptors
	if d == nil {
		return nil
	}
	if err := d.Acquire(p.owner, 1); err != nil {
		return limitError(err)
	}
	p.descriptor = true
	return nil
}

// beginListener takes what a new listener needs. The error is a ResourceError.
func (p *Permit) beginListener() error {
	if err := p.limits.admit(); err != nil {
		return err
	}
	return p.beginSocket()
}

// beginHandshake takes what a handshake needs. The error is a LimitError.
func (p *Permit) beginHandshake() error {
	if p.handshake {
		return nil
	}
	if err := p.limits.handshakes.Acquire(p.owner, 1); err != nil {
		return limitError(err)
	}
	p.handshake = true
	return nil
}

func (p *Permit) endHandshake() {
	if p.handshake {
		p.limits.handshakes.Release(p.owner, 1)
		p.handshake = false
	}
}

// End gives back all that is held; a second time it does nothing.
func (p *Permit) End() {
	p.endHandshake()
	if p.descriptor {
		p.limits.descriptors.Release(p.owner, 1)
		p.descriptor = false
	}
}

// newDestination counts a target, and the proxy on the way to it, where they are
// new to an owner. The error is a LimitError.
func (r *Registry) newDestination(owner string, t Target, via *Proxy) error {
	err := r.limits.destinations.Allow(owner, t.Host(), t.Port)
	if err == nil && via != nil {
		err = r.limits.destinations.Allow(owner, via.Target.Host(), via.Target.Port)
	}
	return limitError(err)
}

// pace lets n bytes go when their turn has come.
func (c *connection) pace(ctx context.Context, n int) {
	if n > 0 {
		_ = c.flow.Wait(ctx, n) // who reads or writes sees himself that ctx is over
	}
}

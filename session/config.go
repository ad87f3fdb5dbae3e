package session

import (
	"context"
	"crypto/x509"
	"log/slog"
	"net"
	"net/netip"
	"sync"
	"time"

	"securesocket/session/durable"
	"securesocket/session/flashpolicy"
	"securesocket/session/quota"
	"securesocket/tlsengine/identity"
	"securesocket/tlsengine/truststore"
)

// Target is whom to connect to: a DNS name (A-label) or an address, and a port
// from 1 to 65535.
type Target struct {
	Name string     // empty if Addr is set
	Addr netip.Addr // invalid if Name is set
	Port int
}

// Host is the name or the address as text.
func (t Target) Host() string {
	if t.Name != "" {
		return t.Name
	}
	return t.Addr.String()
}

// Egress decides which targets may be dialled, and for whom. Its methods run
// beside each other. Their errors reach the caller as a PolicyError.
type Egress interface {
	// CheckName is asked before the name is resolved; about an address it gives
	// the whole verdict.
	CheckName(owner string, t Target) error
	// CheckAddr is asked for every address before it is dialled, again for the
	// address that the socket is about to connect to, and about every connection
	// that there is by Rejudge.
	CheckAddr(owner string, t Target, addr netip.AddrPort) error
	// FirstAllowed: of a name's addresses those that are refused are left out;
	// otherwise one of them refuses the name.
	FirstAllowed() bool
	// Revision names the rules in force: it changes when they do.
	Revision() string
}

// Service is the owner of the connections that the service makes for itself: to
// servers of CRLs and OCSP.
const Service = "service"

// Resolver finds the addresses of a name: a fully qualified one, which ends with
// a dot, or one without any dot; *net.Resolver is one.
type Resolver interface {
	LookupNetIP(ctx context.Context, network, host string) ([]netip.Addr, error)
}

// Config is what a Registry works with. Egress is required; every other zero
// value is the default that its comment names. It must not be changed after
// NewRegistry.
type Config struct {
	Egress    Egress
	Flash     *flashpolicy.Checker            // asks targets for their Flash socket policy files; nil: nobody does
	Listening Listening                       // nobody listens
	Resolver  Resolver                        // Go's own resolver
	System    func() (*truststore.Set, error) // the machine's anchors; truststore.LoadSystem, once
	Store     durable.Store                   // what is kept over restarts; in memory
	Now       func() time.Time                // time.Now; for judging certificates alone
	Logger    *slog.Logger                    // discards
	Ended     func(End)                       // told of every connection that has ended, by its own goroutine; nobody is

	Sources Sources // where what is dialled comes from; the kernel chooses

	// Dial connects with a prepared dialer, which has the policy's last check and the source.
	// nil is d.DialContext.
	Dial func(ctx context.Context, d *net.Dialer, addr string) (net.Conn, error)

	LegacyTLS bool // TLS 1.0, 1.1 and insecure cipher suites may be asked for
	// What the operator holds, by the name that callers give.
	Identities map[string]*identity.Identity
	Bundles    map[string][]*x509.Certificate

	// LeafCRLAge is how old the CRL of a leaf may be, whatever it says itself; 7
	// days, as browsers have it. Negative: only what it says counts.
	LeafCRLAge time.Duration

	ForbidOverride bool // nobody may ask to decide about a chain with problems

	// What callers may use up, each for himself (PerOwner) and all together.
	MaxSessions          int // 20,000
	MaxSessionsPerOwner  int // 1,000
	MaxListeners         int // 1,024
	MaxListenersPerOwner int // 64
	// Connects, StartTls and accepted handshakes under way; 4,096 and 1,024.
	MaxHandshakes, MaxHandshakesPerOwner int
	Attaches, AttachesPerOwner           quota.Limit // 20,000 a second and 1,000, with bursts of twice that
	Destinations, DestinationsPerOwner   quota.Limit // that are new to an owner; 2,000 a second and 50, with bursts of ten times that
	Bytes, BytesPerOwner                 quota.Limit // both directions; 16 GiB a second and 4 GiB

	Suspected   func(owner string) // told of an owner who looks as if he scanned; nobody is
	Memory      *quota.Memory      // of the process; nobody watches it
	Descriptors *quota.Descriptors // of the process; nobody counts them

	MaxBuffered         int64 // bytes of all buffers, and of events, chains and gifts of callers that are not usual; 2 GiB
	MaxBufferedPerOwner int64 // 512 MiB
	DetachedShare       int   // percent of MaxBuffered that sessions may hold which no stream does; 25
	BufferBytes         int   // per connection and direction that nothing else is asked for; 256 KiB, at least 32 KiB

	SessionExpiry   time.Duration // without connection and stream; 15 min
	DetachGrace     time.Duration // a connection without a stream; 60 s
	GracefulTimeout time.Duration // a peer that does not read; 10 s
	DNSTimeout      time.Duration // 5 s
	ClaimTimeout    time.Duration // an accepted session that nobody calls about; 10 s
}

func (c Config) withDefaults() Config {
	if c.Listening == nil {
		c.Listening = noListening{}
	}
	if c.Resolver == nil {
		c.Resolver = &net.Resolver{PreferGo: true, Dial: dialNameServer}
	}
	if c.System == nil {
		c.System = sync.OnceValues(func() (*truststore.Set, error) { return truststore.LoadSystem(truststore.SystemConfig{}) })
	}
	if c.Store == nil {
		c.Store = durable.Memory()
	}
	if c.Now == nil {
		c.Now = time.Now
	}
	if c.Dial == nil {
		c.Dial = func(ctx context.Context, d *net.Dialer, addr string) (net.Conn, error) {
			return d.DialContext(ctx, "tcp", addr)
		}
	}
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	if c.BufferBytes > 0 {
		c.BufferBytes = max(c.BufferBytes, 2*recordSize)
	}
	if c.MaxBuffered == 0 {
		c.MaxBuffered = 2 << 30
	}
	if c.MaxBufferedPerOwner == 0 {
		c.MaxBufferedPerOwner = 512 << 20
	}
	if c.Ended == nil {
		c.Ended = func(End) {}
	}
	if c.Suspected == nil {
		c.Suspected = func(string) {}
	}
	for _, d := range []struct {
		all, one         *quota.Limit
		perAll, perOwner int64
		more             int64 // the burst is so many times the rate
	}{
		{&c.Attaches, &c.AttachesPerOwner, 20_000, 1_000, 2},
		{&c.Destinations, &c.DestinationsPerOwner, 2_000, 50, 10},
		{&c.Bytes, &c.BytesPerOwner, 16 << 30, 4 << 30, 1},
	} {
		if d.one.PerSecond == 0 {
			d.one.PerSecond = d.perOwner
		}
		if d.one.Burst == 0 {
			d.one.Burst = d.more * d.one.PerSecond
		}
		if d.all.PerSecond == 0 { // one caller may have it all
			d.all.PerSecond = max(d.perAll, d.one.PerSecond)
			d.all.Burst = max(d.all.Burst, d.one.Burst)
		}
		if d.all.Burst == 0 {
			d.all.Burst = d.more * d.all.PerSecond
		}
	}
	for _, d := range []struct {
		p   *int
		def int
	}{{&c.DetachedShare, 25}, {&c.MaxHandshakes, 4_096}, {&c.MaxHandshakesPerOwner, 1_024}, {&c.MaxSessions, 20_000}, {&c.MaxSessionsPerOwner, 1_000}, {&c.MaxListeners, 1_024}, {&c.MaxListenersPerOwner, 64}, {&c.BufferBytes, 256 << 10}} {
		if *d.p == 0 {
			*d.p = d.def
		}
	}
	for _, d := range []struct {
		p   *time.Duration
		def time.Duration
	}{
		{&c.SessionExpiry, 15 * time.Minute},
		{&c.DetachGrace, time.Minute},
		{&c.GracefulTimeout, 10 * time.Second},
		{&c.ClaimTimeout, 10 * time.Second},
		{&c.DNSTimeout, 5 * time.Second},
	} {
		if *d.p == 0 {
			*d.p = d.def
		}
	}
	return c
}

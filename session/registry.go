package session

import (
	"context"
	"crypto/rand"
	"crypto/x509"
	"log/slog"
	"maps"
	"net"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"time"

	"securesocket/session/durable"
	"securesocket/session/flashpolicy"
	"securesocket/session/quota"
	"securesocket/tlsengine"
	"securesocket/tlsengine/identity"
	"securesocket/tlsengine/revocation"
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

	// Dial connects with a prepared dialer, which has the policy's last check.
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

	MaxBuffered         int64 // bytes of all buffers; 2 GiB
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

// Registry holds every session of the service.
type Registry struct {
	cfg     Config
	drained chan struct{} // closed when the drain is over: streams end

	trust       trust
	defaults    kept[*Settings] // nil: the owner has none
	turns       turns
	checker     *revocation.Checker
	tlsSessions tlsengine.Sessions

	listening sync.Mutex // serialises Listen; taken before mu
	buffered  budget     // of all sessions
	limits    limits
	moved     moved
	shedding  shedding

	mu        sync.Mutex
	sessions  map[string]*Session
	listeners map[string]*Listener
	owners    map[string]*ownerSessions
	live      int           // connections that have not ended
	draining  time.Time     // the deadline; zero: not draining
	stopping  bool          // no connection may begin
	idle      chan struct{} // closed, and nil again, when live falls to 0; made by whenIdle
}

type ownerSessions struct {
	buffered  *budget
	count     int
	listeners int
	requests  requestLog[string] // IDs of sessions and listeners
	expired   expiredSessions
}

// NewRegistry returns a Registry without sessions.
func NewRegistry(cfg Config) *Registry {
	r := &Registry{
		cfg:       cfg.withDefaults(),
		drained:   make(chan struct{}),
		sessions:  make(map[string]*Session),
		listeners: make(map[string]*Listener),
		owners:    make(map[string]*ownerSessions),
	}
	r.buffered.limit = r.cfg.MaxBuffered
	r.limits = newLimits(&r.cfg)
	r.trust, r.defaults = newTrust(&r.cfg), newDefaults(&r.cfg)
	r.checker = revocation.NewChecker(revocation.Config{
		Fetcher: revocation.NewHTTPFetcher(r.dialFetch), LeafCRLAge: r.cfg.LeafCRLAge,
		Panicked: func(value any, stack []byte) {
			_ = Internal(r.cfg.Logger, "panic while checking revocation", "panic", value, "stack", string(stack))
		},
	})
	return r
}

// Config returns the configuration with its defaults, which is not to be changed.
func (r *Registry) Config() *Config { return &r.cfg }

// Create makes an idle session, or returns the one that the same request made
// before (created = false). An ephemeral session is deleted when its first
// connection has ended, a resumable one when its caller has acked that too.
func (r *Registry) Create(owner string, settings Settings, ephemeral bool, req Request) (s *Session, created bool, warnings []string, err error) {
	warnings, err = settings.check(&r.cfg)
	if err != nil {
		return nil, false, nil, err
	}
	if _, err := r.defaultsOf(owner); err != nil { // from now on they are in memory
		return nil, false, nil, err
	}
	now := time.Now()
	r.mu.Lock()
	defer r.mu.Unlock()
	o := r.owners[owner]
	if o == nil {
		o = &ownerSessions{}
	}
	if id, found, err := o.requests.find(req, now); err != nil {
		return nil, false, nil, err
	} else if found {
		if s := r.sessions[id]; s != nil {
			return s, false, warnings, nil
		}
		if final := o.expiredSession(id); final != nil {
			return nil, false, nil, final
		}
		return nil, false, nil, ErrNotFound
	}
	if err := r.roomLocked(owner); err != nil {
		return nil, false, nil, err
	}
	s = newSession(r, strings.ToLower(rand.Text()), r.ownerLocked(owner), owner, settings, ephemeral)
	r.addLocked(s).requests.remember(req, s.id, now, maxOwnerRequests)
	return s, true, warnings, nil
}

// roomLocked says why an owner cannot have another session; nil: he can.
func (r *Registry) roomLocked(owner string) error {
	o := r.owners[owner]
	switch {
	case !r.draining.IsZero():
		return &DrainingError{}
	case len(r.sessions) >= r.cfg.MaxSessions:
		return &LimitError{What: "sessions", Limit: r.cfg.MaxSessions}
	case o != nil && o.count >= r.cfg.MaxSessionsPerOwner:
		return &LimitError{What: "sessions of a caller", Limit: r.cfg.MaxSessionsPerOwner}
	}
	return r.limits.admit()
}

func (r *Registry) addLocked(s *Session) *ownerSessions {
	r.sessions[s.id] = s
	o := r.ownerLocked(s.owner)
	o.count++
	return o
}

func (r *Registry) ownerLocked(owner string) *ownerSessions {
	o := r.owners[owner]
	if o == nil {
		o = &ownerSessions{buffered: &budget{limit: r.cfg.MaxBufferedPerOwner}}
		r.owners[owner] = o
	}
	return o
}

// Get returns an owner's session. One that has expired is an ExpiredError for a
// while. Any other ID is ErrNotFound, whether the session exists or not.
func (r *Registry) Get(owner, id string) (*Session, error) {
	r.mu.Lock()
	s := r.sessions[id]
	final := r.owners[owner].expiredSession(id)
	r.mu.Unlock()
	if final != nil {
		return nil, final
	}
	if s == nil || s.owner != owner {
		return nil, ErrNotFound
	}
	s.touch()
	return s, nil
}

// Find returns a session, whoever's it is: for an administrator. It does not count
// as use. The error is ErrNotFound.
func (r *Registry) Find(id string) (*Session, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if s := r.sessions[id]; s != nil {
		return s, nil
	}
	return nil, ErrNotFound
}

// Anybody stands for all owners, as the owner in a list.
const Anybody = "*"

// List returns up to limit of an owner's sessions in the order of creation,
// after the one with the ID after ("" = from the beginning), and whether there
// are more.
func (r *Registry) List(owner, after string, limit int) (page []*Session, more bool) {
	r.mu.Lock()
	var all []*Session
	for _, s := range r.sessions {
		if s.owner == owner || owner == Anybody {
			all = append(all, s)
		}
	}
	r.mu.Unlock()
	return pageOf(all, (*Session).ListKey, after, limit)
}

// remove forgets a session; its lock may be held. Where it has expired, final is
// what its owner is told for a while.
func (r *Registry) remove(s *Session, final *ExpiredError) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.sessions[s.id] != s {
		return
	}
	delete(r.sessions, s.id)
	o := r.owners[s.owner]
	o.count--
	if final != nil {
		r.buryLocked(s.owner, s.id, final)
	}
	r.tidyLocked(s.owner)
}

// tidyLocked forgets an owner of whom nothing is kept.
func (r *Registry) tidyLocked(owner string) {
	o := r.owners[owner]
	o.requests.forgetOld(time.Now(), -1)
	if o.count == 0 && o.listeners == 0 && len(o.requests.entries) == 0 && len(o.expired.order) == 0 {
		delete(r.owners, owner)
	}
}

// forget lets the request that created s create again; s's lock may be held.
func (r *Registry) forget(s *Session, req Request) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if o := r.owners[s.owner]; o != nil && o.requests.entries[req.ID].value == s.id {
		o.requests.forget(req.ID)
	}
}

// connectionBegins counts a connection, unless the drain is past letting any
// begin.
func (r *Registry) connectionBegins() error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.stopping {
		return &DrainingError{}
	}
	r.live++
	return nil
}

func (r *Registry) connectionEnded() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.live--
	if r.live == 0 && r.idle != nil {
		close(r.idle)
		r.idle = nil
	}
}

// whenIdle returns a channel that is closed when no connection is left; stop
// lets none begin from now on.
func (r *Registry) whenIdle(stop bool) <-chan struct{} {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.stopping = r.stopping || stop
	if r.live == 0 {
		idle := make(chan struct{})
		close(idle)
		return idle
	}
	if r.idle == nil {
		r.idle = make(chan struct{})
	}
	return r.idle
}

// all returns every session there is.
func (r *Registry) all() []*Session {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Collect(maps.Values(r.sessions))
}

// Close ends every listener and every session at once and waits until every socket is closed.
func (r *Registry) Close() {
	r.mu.Lock()
	if r.draining.IsZero() {
		r.draining = time.Now()
	}
	r.mu.Unlock()
	r.shedding.stop()
	r.endListeners(ErrListenerNotFound)
	idle := r.whenIdle(true)
	for _, s := range r.all() {
		s.Delete()
	}
	<-idle
}

package session

import (
	"crypto/rand"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"securesocket/session/quota"
	"securesocket/tlsengine"
	"securesocket/tlsengine/revocation"
)

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
	disk      diskErrors

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
	givens    *givens
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
	r.trust, r.defaults = newTrust(r), newDefaults(&r.cfg)
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
	given := large(giftOf(nil, settings.Identities))
	o = r.ownerLocked(owner)
	if err := o.givens.replace(gift{}, given, false); err != nil {
		r.tidyLocked(owner)
		return nil, false, nil, err
	}
	s = newSession(r, strings.ToLower(rand.Text()), o, owner, settings, ephemeral)
	s.given = given
	r.addLocked(s).requests.remember(req, s.id, now, maxOwnerRequests)
	return s, true, warnings, nil
}

// roomLocked says why an owner cannot have another session; nil: he can.
func (r *Registry) roomLocked(owner string) error {
	own := 0
	if o := r.owners[owner]; o != nil {
		own = o.count
	}
	room := quota.Room(own+1, r.cfg.MaxSessions)
	switch {
	case !r.draining.IsZero():
		return &DrainingError{}
	case own >= r.cfg.MaxSessionsPerOwner:
		return &LimitError{What: "sessions of a caller", Limit: r.cfg.MaxSessionsPerOwner}
	case len(r.sessions) >= room:
		return &LimitError{What: "sessions", Limit: room}
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
		own := &budget{limit: r.cfg.MaxBufferedPerOwner}
		o = &ownerSessions{buffered: own, givens: newGivens(own, &r.buffered)}
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
	if o == nil {
		return
	}
	o.requests.forgetOld(time.Now(), -1)
	if o.count == 0 && o.listeners == 0 && len(o.requests.entries) == 0 && len(o.expired.order) == 0 && o.givens.empty() {
		delete(r.owners, owner)
	}
}

// tidy is tidyLocked; the lock of a session may be held.
func (r *Registry) tidy(owner string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.tidyLocked(owner)
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

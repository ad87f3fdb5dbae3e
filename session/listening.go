package session

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	mathrand "math/rand/v2"
	"net"
	"net/netip"
	"regexp"
	"slices"
	"strings"
	"syscall"
	"time"

	"securesocket/session/quota"
	"securesocket/tlsengine/truststore"
)

// Listening decides where callers may listen. Its methods run beside each other.
// Their errors reach the caller as a ListenPolicyError.
type Listening interface {
	// CheckListen judges an address; port 0 asks whether any port is allowed there.
	CheckListen(addr netip.AddrPort) error
	// ListenPorts are the ports that are allowed at an address, none of them 0.
	ListenPorts(addr netip.Addr) []PortRange
}

// PortRange is the ports from First to Last.
type PortRange struct{ First, Last uint16 }

// noListening is the Listening of a service without one.
type noListening struct{}

var errNoListening = errors.New("the service lets nobody listen")

func (noListening) CheckListen(netip.AddrPort) error   { return errNoListening }
func (noListening) ListenPorts(netip.Addr) []PortRange { return nil }

// ErrListenerNotFound says that no listener of this owner has the ID.
var ErrListenerNotFound = errors.New("no such listener")

// ErrAcceptSuperseded says that another Accept has taken the listener.
var ErrAcceptSuperseded = errors.New("another Accept has taken the listener")

// ListenPolicyError reports an address that the operator lets nobody listen at.
type ListenPolicyError struct {
	Addr netip.AddrPort
	Err  error
}

func (e *ListenPolicyError) Error() string { return e.Err.Error() }

func (e *ListenPolicyError) Unwrap() error { return e.Err }

// ListenError reports that the system does not listen at an address.
type ListenError struct {
	Addr netip.AddrPort
	Err  error
}

func (e *ListenError) Error() string {
	return fmt.Sprintf("listening at %s: %v", e.Addr, rootCause(e.Err))
}

func (e *ListenError) Unwrap() error { return e.Err }

func rootCause(err error) error {
	if errno, ok := errors.AsType[syscall.Errno](err); ok {
		return errno
	}
	return err
}

// Listen makes a listener for an owner, or returns the one that the same request
// made before. The error is one of the settings', a FieldError, a LimitError, a
// DrainingError, a RequestIDError, ErrListenerNotFound, a ListenPolicyError or a
// ListenError.
func (r *Registry) Listen(ctx context.Context, owner string, args ListenArgs, req Request) (*Listener, []string, error) {
	defaults, err := r.defaultsOf(owner)
	if err != nil {
		return nil, nil, err
	}
	warnings, err := args.check(&r.cfg, defaults)
	if err != nil {
		return nil, nil, err
	}
	// One at a time: two of the same request must not both listen.
	r.listening.Lock()
	defer r.listening.Unlock()
	if l, err := r.listenedBefore(owner, req); l != nil || err != nil {
		return l, warnings, err
	}
	level, _ := truststore.Level{}.Add(args.Certificates...)
	args.Certificates = nil
	given := large(giftOf(level.Own, args.Settings.Identities))
	if err := r.takeGift(owner, gift{}, given, false); err != nil {
		return nil, nil, err
	}
	permit := &Permit{limits: &r.limits, owner: owner}
	giveBack := func() {
		permit.End()
		_ = r.takeGift(owner, given, gift{}, true)
	}
	if err := permit.beginListener(); err != nil {
		giveBack()
		return nil, nil, err
	}
	socket, err := r.openListener(ctx, args.Addr)
	if err != nil {
		giveBack()
		return nil, nil, err
	}
	l := &Listener{
		permit: permit, counted: given, certificates: level,
		id: strings.ToLower(rand.Text()), owner: owner, created: time.Now(), reg: r, args: args,
		socket: socket, local: addrPort(socket.Addr()),
		slots: make(chan struct{}, args.Backlog), stop: make(chan struct{}), stopped: make(chan struct{}),
		waiting: make(map[*Session]*arrival),
	}
	l.listKey = listKey(l.created, l.id)
	l.alone = r.after(l.grace(), l.closeAlone)
	if !r.addListener(l, req) {
		l.alone.Stop()
		_ = socket.Close()
		giveBack()
		return nil, nil, &DrainingError{}
	}
	go l.run()
	return l, warnings, nil
}

// addListener is false while the service drains.
func (r *Registry) addListener(l *Listener, req Request) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	if !r.draining.IsZero() {
		return false
	}
	o := r.ownerLocked(l.owner)
	o.listeners++
	r.listeners[l.id] = l
	o.requests.remember(req, l.id, l.created, maxOwnerRequests)
	return true
}

func (a *ListenArgs) check(cfg *Config, defaults *Settings) ([]string, error) {
	if a.Backlog == 0 {
		a.Backlog = DefaultBacklog
	}
	switch {
	case a.Backlog < 0 || a.Backlog > MaxBacklog:
		return nil, &FieldError{"backlog", fmt.Sprintf("has to be between 1 and %d", MaxBacklog)}
	case a.StartTLS && len(a.Settings.Over(defaults).Identities) == 0:
		return nil, &FieldError{"tls.identities", "is empty, and start_tls_on_accept needs one"}
	}
	// With the defaults too: what cannot work would refuse every connection.
	if _, err := a.Settings.Over(defaults).check(cfg); err != nil {
		return nil, err
	}
	if len(a.Certificates) > maxCertificates {
		return nil, &LimitError{What: "certificates of a listener", Limit: maxCertificates}
	}
	level, _ := truststore.Level{}.Add(a.Certificates...)
	if err := checkLevel(level, "a listener", maxCertificates, maxCertificateTotalBytes); err != nil {
		return nil, err
	}
	return a.Settings.check(cfg)
}

// listenedBefore returns what the same request made before, or nil.
func (r *Registry) listenedBefore(owner string, req Request) (*Listener, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	o := r.owners[owner]
	if o == nil {
		o = &ownerSessions{}
	}
	id, found, err := o.requests.find(req, time.Now())
	room := quota.Room(o.listeners+1, r.cfg.MaxListeners)
	switch {
	case err != nil:
		return nil, err
	case found && r.listeners[id] == nil:
		return nil, ErrListenerNotFound
	case found:
		return r.listeners[id], nil
	case !r.draining.IsZero():
		return nil, &DrainingError{}
	case o.listeners >= r.cfg.MaxListenersPerOwner:
		return nil, &LimitError{What: "listeners of a caller", Limit: r.cfg.MaxListenersPerOwner}
	case len(r.listeners) >= room:
		return nil, &LimitError{What: "listeners", Limit: room}
	}
	return nil, nil //nolint:nilnil // there was none, and there may be one
}

// openListener listens where the policy lets it.
func (r *Registry) openListener(ctx context.Context, addr netip.AddrPort) (net.Listener, error) {
	policy := r.cfg.Listening
	if err := policy.CheckListen(addr); err != nil {
		return nil, &ListenPolicyError{addr, err}
	}
	ranges := policy.ListenPorts(addr.Addr())
	if addr.Port() != 0 || len(ranges) == 1 && ranges[0] == (PortRange{1, 65535}) {
		return listenAt(ctx, addr)
	}
	var l net.Listener
	err := error(&ListenPolicyError{addr, errNoListening})
	for _, port := range candidates(ranges) {
		if l, err = listenAt(ctx, netip.AddrPortFrom(addr.Addr(), port)); err == nil {
			return l, nil
		}
		if !errors.Is(err, syscall.EADDRINUSE) && !errors.Is(err, syscall.EACCES) {
			break
		}
	}
	return nil, err
}

// maxPortsTried bounds the search for a port that is free.
const maxPortsTried = 256

// candidates are ports out of the ranges, in any order.
func candidates(ranges []PortRange) []uint16 {
	total := 0
	for _, r := range ranges {
		total += int(r.Last-r.First) + 1
	}
	var ports []uint16
	for _, i := range mathrand.Perm(total)[:min(total, maxPortsTried)] {
		for _, r := range ranges {
			n := int(r.Last-r.First) + 1
			if i < n {
				ports = append(ports, r.First+uint16(i)) //nolint:gosec // within the range
				break
			}
			i -= n
		}
	}
	return ports
}

func listenAt(ctx context.Context, addr netip.AddrPort) (net.Listener, error) {
	network := "tcp6"
	if addr.Addr().Is4() {
		network = "tcp4"
	}
	l, err := (&net.ListenConfig{KeepAlive: -1}).Listen(ctx, network, addr.String())
	switch {
	case err != nil && ctx.Err() != nil:
		return nil, ErrCancelled
	case err != nil:
		return nil, &ListenError{addr, err}
	}
	return l, nil
}

// Listener returns an owner's listener. Any other ID is ErrListenerNotFound, whether
// the listener exists or not.
func (r *Registry) Listener(owner, id string) (*Listener, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if l := r.listeners[id]; l != nil && l.owner == owner {
		return l, nil
	}
	return nil, ErrListenerNotFound
}

// FindListener returns a listener, whoever's it is: for an administrator. The error
// is ErrListenerNotFound.
func (r *Registry) FindListener(id string) (*Listener, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if l := r.listeners[id]; l != nil {
		return l, nil
	}
	return nil, ErrListenerNotFound
}

// Listeners is List for listeners.
func (r *Registry) Listeners(owner, after string, limit int) (page []*Listener, more bool) {
	r.mu.Lock()
	var all []*Listener
	for _, l := range r.listeners {
		if l.owner == owner || owner == Anybody {
			all = append(all, l)
		}
	}
	r.mu.Unlock()
	return pageOf(all, (*Listener).ListKey, after, limit)
}

// listKey sorts by creation.
func listKey(created time.Time, id string) string {
	return fmt.Sprintf("%020d %s", created.UnixNano(), id)
}

var listKeys = regexp.MustCompile(`^[0-9]{20} [a-z2-7]{26}$`)

// IsListKey says whether a text can be what ListKey gives.
func IsListKey(s string) bool { return listKeys.MatchString(s) }

// pageOf sorts by key and returns up to limit of what comes after a key, and whether
// there is more.
func pageOf[T any](all []T, key func(T) string, after string, limit int) (page []T, more bool) {
	slices.SortFunc(all, func(a, b T) int { return strings.Compare(key(a), key(b)) })
	i := 0
	if after != "" {
		found := false
		if i, found = slices.BinarySearchFunc(all, after, func(v T, after string) int { return strings.Compare(key(v), after) }); found {
			i++
		}
	}
	all = all[i:]
	if len(all) > limit {
		return all[:limit], true
	}
	return all, false
}

func (r *Registry) removeListener(l *Listener) {
	r.mu.Lock()
	defer r.mu.Unlock()
	delete(r.listeners, l.id)
	if o := r.owners[l.owner]; o != nil {
		o.listeners--
		_ = o.givens.replace(l.counted, gift{}, true)
		r.tidyLocked(l.owner)
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	// Its sessions know it for as long as they live.
	l.certificates, l.counted, l.args.Settings.Identities = truststore.Level{}, gift{}, nil
}

// endListeners ends every listener.
func (r *Registry) endListeners(over error) {
	r.mu.Lock()
	var all []*Listener
	for _, l := range r.listeners {
		all = append(all, l)
	}
	r.mu.Unlock()
	for _, l := range all {
		l.end(over)
	}
}

// createAccepted makes the session of a connection that l has accepted.
func (r *Registry) createAccepted(l *Listener) (*Session, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if err := r.roomLocked(l.owner); err != nil {
		return nil, err
	}
	o := r.ownerLocked(l.owner)
	s := newSession(r, strings.ToLower(rand.Text()), o, l.owner, l.args.Settings, true)
	s.listener, s.certificates, s.given = l, l.certificates, l.counted
	_ = o.givens.replace(gift{}, s.given, true) // it shares what its listener holds
	r.addLocked(s)
	return s, nil
}

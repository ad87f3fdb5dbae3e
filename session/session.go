package session

import (
	"bytes"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"fmt"
	"net/netip"
	"sync"
	"time"

	"securesocket/session/resume"
	"securesocket/tlsengine"
	"securesocket/tlsengine/secret"
	"securesocket/tlsengine/truststore"
)

// What a session takes of certificates.
const (
	maxCertificates          = 100
	maxCertificateBytes      = 32 << 10 // of one, as for the peer's
	maxCertificateTotalBytes = 1 << 20  // of a session
	maxRSABits               = 8192     // crypto/tls's own bound for the peer's: verifying is caller-chosen work
)

// Session is one secure socket: settings, certificates, the connection of the
// current generation and the stream that holds it. Made by Registry.Create.
type Session struct {
	id        string
	owner     string
	created   time.Time
	ephemeral bool      // deleted when its first connection has ended and is settled
	listener  *Listener // that accepted its first connection; nil: none did
	token     secret.Bytes
	listKey   string // sorts by creation
	reg       *Registry
	buffered  *budget // the owner's
	givens    *givens // likewise

	// connecting serialises Connect: one old connection ends before the next
	// begins. It is taken before mu.
	connecting sync.Mutex
	// updating serialises Update. It is taken before mu.
	updating sync.Mutex

	mu           sync.Mutex
	settings     Settings
	certificates truststore.Level
	core         *resume.Core // bytes, events and attachments
	given        gift         // what it was given is counted as; what is small is not
	held         int64        // what its buffers and its facts were counted as
	facts        int64        // what its events and the peer's chain cost beyond freeFacts
	weighed      int64        // the events that facts was reckoned from
	state        State
	mode         Mode
	conn         *connection // of the current generation; nil before the first
	requests     requestLog[*Attempt]
	status       tlsengine.Status
	report       *tlsengine.Report // of the current generation
	lastErr      error             // first cause of the last failure
	attachment   *Attachment
	// The last question and sign request that were asked.
	lastQuestion, lastSignRequest int64
	over                          error // nil: it lives; ErrNotFound: deleted; an ExpiredError; or why it was abandoned
	lastUse                       time.Time
	expiry                        *time.Timer   // nil: the session is not at rest
	grace                         *time.Timer   // of what is resumable and detached; nil: it never was
	sweeper                       *time.Timer   // of the workers; nil: there is none to sweep
	changed                       chan struct{} // closed at the next change that somebody may wait for; nil: nobody does
}

func newSession(r *Registry, id string, o *ownerSessions, owner string, settings Settings, ephemeral bool) *Session {
	s := &Session{
		id: id, owner: owner, buffered: o.buffered, givens: o.givens, created: time.Now(), ephemeral: ephemeral, reg: r,
		settings: settings,
		state:    StateUnconnected,
		status:   tlsengine.StatusUnknown,
	}
	var token [32]byte
	_, _ = rand.Read(token[:]) // never fails
	s.token = secret.Copy(token[:])
	s.core = resume.New(resume.Config{Token: token, Alloc: newBuffer})
	s.listKey = listKey(s.created, id)
	s.lastUse = s.created
	s.expireInLocked(r.cfg.SessionExpiry)
	return s
}

// ID is the session's key.
func (s *Session) ID() string { return s.id }

// Owner is who created it.
func (s *Session) Owner() string { return s.owner }

// Token is what an attach after the first needs. It is not to be logged.
func (s *Session) Token() []byte { return s.token.Expose() }

// ListKey is where the session stands in Registry.List.
func (s *Session) ListKey() string { return s.listKey }

// Snapshot is a session at one moment. What it points to is immutable.
type Snapshot struct {
	ID, Owner  string
	Created    time.Time
	Expires    time.Time // zero: while attached, or connected and not resumable
	Generation int64
	State      State
	Mode       Mode
	Target     Target
	Local      netip.AddrPort
	Remote     netip.AddrPort
	TLS        *tlsengine.State // nil unless encrypted
	Peer       *x509.Certificate
	Status     tlsengine.Status
	Settings   Settings
	Effective  Settings // with every default filled in, the caller's first
	Received   int64
	Sent       int64
	Accepted   int64
	Delivered  int64
	Attached   bool
	AttachSeq  int64
	LastErr    error
	Cause      CloseCause
	ReadCause  CloseCause
	WriteCause CloseCause
	Timeline   Timeline
	EventSeq   int64
	Greeting   []byte // what the peer said before TLS; nil: nothing was waited for
	Listener   string // the ID of the one that accepted the connection; empty: it was dialled
}

// Snapshot returns the session as it is now.
func (s *Session) Snapshot() Snapshot {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.snapshotLocked()
}

// effectiveLocked is the session's settings with every default filled in. The
// caller's are in memory since the session was created.
func (s *Session) effectiveLocked() Settings {
	defaults, _ := s.reg.defaultsOf(s.owner)
	return s.reg.cfg.effective(s.settings.Over(defaults))
}

func (s *Session) snapshotLocked() Snapshot {
	v := Snapshot{
		ID: s.id, Owner: s.owner, Created: s.created,
		Generation: s.core.Generation(), State: s.state, Mode: s.mode,
		Status: s.status, Settings: s.settings, Effective: s.effectiveLocked(),
		Attached: s.attachment != nil, AttachSeq: s.core.LastSeq(),
		LastErr: s.lastErr, EventSeq: s.core.LastEvent(),
	}
	if s.listener != nil && v.Generation == 1 {
		v.Listener = s.listener.id
	}
	if s.restingLocked() {
		v.Expires = s.lastUse.Add(s.reg.cfg.SessionExpiry)
	}
	if grace := s.core.Deadline(); !grace.IsZero() && (v.Expires.IsZero() || grace.Before(v.Expires)) {
		v.Expires = grace
	}
	c := s.conn
	if c == nil {
		return v
	}
	v.Target, v.Local, v.Remote = c.target, c.local, c.remote
	v.Accepted, v.Sent, v.Received = s.core.Counts()
	v.Delivered = s.core.Delivered()
	v.ReadCause, v.WriteCause = c.readCause, c.writeCause
	if c.ended {
		v.Cause = c.overallCause()
	}
	v.Timeline = c.timeline.at(time.Now())
	if s.state == StateEncrypted || (s.state == StateClosing && c.tls != nil) {
		st := c.tls.State()
		v.TLS = &st
		v.Peer = leafOf(c.tls.Report())
	}
	v.Greeting = c.greeting
	return v
}

// Update replaces the settings by what change makes of them; change runs outside
// the session's lock, and may take its time. Update returns the generation from
// which all of the change holds.
func (s *Session) Update(change func(Settings) (Settings, error)) (effective int64, warnings []string, err error) {
	s.updating.Lock()
	defer s.updating.Unlock()
	s.mu.Lock()
	next := s.settings
	s.mu.Unlock()
	if next, err = change(next); err != nil {
		return 0, nil, err
	}
	if warnings, err = next.check(&s.reg.cfg); err != nil {
		return 0, nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.over != nil {
		return 0, nil, s.over
	}
	s.claimLocked()
	before := s.settings
	s.settings = next
	if err := s.giveLocked(false); err != nil {
		s.settings = before
		return 0, nil, err
	}
	noDelay := *s.effectiveLocked().NoDelay
	if c := s.conn; c != nil && !c.ended {
		c.setNoDelayLocked(noDelay)
		before.NoDelay, next.NoDelay = nil, nil
		before.Label, next.Label = "", ""
		if s.state == StateConnected && c.start == nil { // a StartTLS that comes has what is about TLS
			before, next = before.withoutTLS(), next.withoutTLS()
		}
		if equalSettings(before, next) {
			return s.core.Generation(), warnings, nil
		}
	}
	return s.core.Generation() + 1, warnings, nil
}

// Report returns the verdict and the report of a generation, 0 = the current.
// The report is nil before a verdict.
func (s *Session) Report(generation int64) (tlsengine.Status, *tlsengine.Report, int64, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.checkGenerationLocked("the certificate status", generation); err != nil {
		return 0, nil, 0, err
	}
	return s.status, s.report, s.core.Generation(), nil
}

func (s *Session) checkGenerationLocked(op string, generation int64) error {
	switch {
	case s.over != nil:
		return s.over
	case generation != 0 && generation != s.core.Generation():
		return &StateError{
			Op:   op + fmt.Sprintf(" of generation %d", generation),
			Have: fmt.Sprintf("at generation %d", s.core.Generation()),
			Want: "at the one that is named",
		}
	}
	return nil
}

// Delete ends the connection and forgets the session. It does not wait for the
// socket to be closed. false: it was deleted before.
func (s *Session) Delete() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.over != nil {
		return false
	}
	if c := s.conn; c != nil && !c.ended {
		c.stopLocked(CauseDeleted, nil, false)
	}
	s.endLocked(ErrNotFound)
	return true
}

// Abandon deletes a session that could not be set up for who created it by req,
// because of err. A stream of a retry that holds it by now ends with err. The same
// request creates anew.
func (s *Session) Abandon(req Request, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.over == nil {
		if c := s.conn; c != nil && !c.ended { // its owner has found it, and connected it himself
			c.stopLocked(CauseDeleted, err, false)
		}
		s.endLocked(err)
	}
	s.reg.forget(s, req)
}

// endLocked takes the session from its owner, who is told over from now on.
func (s *Session) endLocked(over error) {
	s.over = over
	if s.listener != nil {
		s.listener.leave(s)
	}
	s.neverExpireLocked()
	s.graceLocked()
	s.takenLocked()                  // before its owner is forgotten
	final, _ := over.(*ExpiredError) //nolint:errorlint // as it was made
	s.reg.remove(s, final)
	s.accountLocked()
	s.wakeLocked()
}

// touch marks the session as used.
func (s *Session) touch() {
	s.mu.Lock()
	s.lastUse = time.Now()
	s.mu.Unlock()
}

// restingLocked: there is neither a connection nor a stream, so it expires.
func (s *Session) restingLocked() bool {
	return s.attachment == nil && (s.conn == nil || s.conn.ended)
}

// restLocked starts the clock of expiry when the session has come to rest.
func (s *Session) restLocked() {
	if s.restingLocked() && s.over == nil {
		s.lastUse = time.Now()
		s.expireInLocked(s.reg.cfg.SessionExpiry)
	}
}

func (s *Session) expireInLocked(d time.Duration) {
	if s.expiry == nil {
		s.expiry = s.reg.after(d, s.expire)
		return
	}
	s.expiry.Reset(d)
}

// neverExpireLocked stops the clock of expiry, and drops it: most sessions are
// not at rest, and never come to it.
func (s *Session) neverExpireLocked() {
	if s.expiry != nil {
		s.expiry.Stop()
		s.expiry = nil
	}
}

func (s *Session) expire() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.over != nil || !s.restingLocked() {
		return
	}
	if left := s.reg.cfg.SessionExpiry - time.Since(s.lastUse); left > 0 {
		s.expireInLocked(left)
		return
	}
	s.endLocked(ErrNotFound)
}

// emitLocked adds an event of the current generation and wakes who waits.
func (s *Session) emitLocked(k EventKind) {
	_, last := k.(Closed)
	s.core.Emit(resume.Event{At: time.Now(), Terminal: last, Size: sizeOf(k), Value: k})
	s.effectsLocked()
	s.changedLocked()
}

func (s *Session) setStateLocked(next State) {
	if s.state == next {
		return
	}
	old := s.state
	s.state = next
	s.emitLocked(StateChanged{Old: old, New: next})
}

// wakeLocked wakes the attachment and whoever waits for a change.
func (s *Session) wakeLocked() {
	s.changedLocked()
	if s.attachment != nil {
		s.attachment.sendSoonLocked()
	}
}

// changedLocked wakes whoever waits for a change.
func (s *Session) changedLocked() {
	if s.changed != nil {
		close(s.changed)
		s.changed = nil
	}
}

// nextChangeLocked returns a channel that is closed at the next change.
func (s *Session) nextChangeLocked() <-chan struct{} {
	if s.changed == nil {
		s.changed = make(chan struct{})
	}
	return s.changed
}

func (s *Session) waitConnection() {
	s.mu.Lock()
	c := s.conn
	s.mu.Unlock()
	if c != nil {
		<-c.done
	}
}

func (s *Session) stopConnection(cause CloseCause, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if c := s.conn; c != nil && !c.ended {
		c.stopLocked(cause, err, false)
	}
}

// ParseCertificate reads exactly one DER certificate. The error is a
// CertificateInputError.
func ParseCertificate(der []byte) (*x509.Certificate, error) {
	if len(der) == 0 {
		return nil, &CertificateInputError{Why: "it is empty"}
	}
	if len(der) > maxCertificateBytes {
		return nil, &CertificateInputError{Why: fmt.Sprintf("it has %d bytes; at most %d are taken", len(der), maxCertificateBytes)}
	}
	key := sha256.Sum256(der)
	if cert := parsed.get(key); cert != nil {
		return cert, nil
	}
	cert, err := x509.ParseCertificate(der)
	switch {
	case err != nil && looksLikePEM(der):
		return nil, &CertificateInputError{Why: "it is PEM; give the DER between the lines, decoded from base64"}
	case err != nil:
		return nil, &CertificateInputError{Why: err.Error()}
	}
	if k, ok := cert.PublicKey.(*rsa.PublicKey); ok && k.N.BitLen() > maxRSABits {
		return nil, &CertificateInputError{Why: fmt.Sprintf("its RSA key has %d bits; at most %d are taken", k.N.BitLen(), maxRSABits)}
	}
	return parsed.put(key, cert), nil
}

func looksLikePEM(b []byte) bool { return bytes.Contains(b, []byte("-----BEGIN")) }

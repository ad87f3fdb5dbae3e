package door

import "time"

// debts is what keys owe for connections that were of no use, as time that has to
// pass: what was added in the last while, less the time since. The zero value has
// none. The Door's mu guards it.
type debts[K comparable] struct{ paid map[K]time.Time } // when each is out of debt

// maxDebtors is how many keys are kept. Whoever has more addresses than that has
// new ones anyway.
const maxDebtors = 4096

// of returns what k owes.
func (d *debts[K]) of(k K, now time.Time) time.Duration {
	return max(d.paid[k].Sub(now), 0)
}

// add has k owe more, up to most.
func (d *debts[K]) add(k K, more, most time.Duration, now time.Time) {
	if d.paid == nil {
		d.paid = make(map[K]time.Time)
	}
	if _, known := d.paid[k]; !known && len(d.paid) >= maxDebtors {
		d.makeRoom(now)
	}
	d.paid[k] = now.Add(min(d.of(k, now)+more, most))
}

// makeRoom forgets who owes nothing, or anybody.
func (d *debts[K]) makeRoom(now time.Time) {
	for k, paid := range d.paid {
		if !paid.After(now) {
			delete(d.paid, k)
		}
	}
	for k := range d.paid {
		if len(d.paid) < maxDebtors {
			return
		}
		delete(d.paid, k)
	}
}

const (
	// credit is what anybody may owe and still be let in: an address twice as many
	// useless connections as Config.PerAddress, and a quarter of it every second.
	credit = 8 * time.Second
	// keptOut is how long nobody is let in after a flood.
	keptOut = 10 * time.Second
	// misuseCost is what a caller owes for a connection that HTTP/2 had to end.
	misuseCost = credit / 16
)

// overdue returns for how long a debt keeps somebody out.
func overdue(debt time.Duration) time.Duration { return max(debt-credit, 0) }

// misusedLocked has the owner of t pay for a flood, or for less.
func (t *Ticket) misusedLocked(flood bool) {
	d, now := t.door, time.Now()
	most := credit + keptOut
	if t.claimed.Load() {
		more := misuseCost
		if flood {
			more = most
		}
		d.callerDebts.add(t.caller, more, most, now)
		return
	}
	if flood && t.refused != nil { // it is known whose it is, and others may come from there: who does it again bars them
		d.callerDebts.add(t.claimant, most, most, now)
		d.sourceDebts.add(t.source, credit/2, most, now)
		return
	}
	allowed := d.cfg.PerAddress
	if t.local() {
		allowed = d.cfg.Local
	}
	more := credit / time.Duration(2*allowed)
	if flood {
		more = most
	}
	d.sourceDebts.add(t.source, more, most, now)
}

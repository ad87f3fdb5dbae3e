package door

// relieve makes room for what all strangers together have not ended, by ending the
// connection that has most of the address that has most, and reports whether that is
// another one than m: whoever brings the last bytes is not who hoards. why is the
// judgement of m.
func (d *Door) relieve(m *meter, why error) bool {
	b, ok := why.(*BacklogError) //nolint:errorlint // it is judge's
	if !ok || b.Own || m.known || !d.strangers.unfinished.over() {
		return false
	}
	t := d.hoarder()
	if t == nil || t == m.ticket || t.Claimed() {
		return false
	}
	most := t.meter.Load()
	held := int(most.backlog.unfinished.Load())
	most.misused(false)
	_ = most.Close()
	d.ended(most.remote, &BacklogError{Held: held})
	return true
}

// hoarder returns the unclaimed connection that has most of the source that has most.
func (d *Door) hoarder() *Ticket {
	d.mu.Lock()
	defer d.mu.Unlock()
	var worst *Ticket
	var most int64
	for _, p := range d.places {
		var of *Ticket
		var all, largest int64
		for e := p.quiet.Front(); e != nil; e = e.Next() {
			t := e.Value.(*Ticket)
			if m := t.meter.Load(); m != nil {
				n := m.backlog.unfinished.Load()
				if all += n; n >= largest {
					of, largest = t, n
				}
			}
		}
		if all > most {
			worst, most = of, all
		}
	}
	return worst
}

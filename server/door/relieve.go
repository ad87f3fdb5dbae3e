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

// hoarder returns the unclaimed connection that has most of the source that has most; of
// those who have as much, the quietest.
func (d *Door) hoarder() *Ticket {
	d.mu.Lock()
	defer d.mu.Unlock()
	type hold struct {
		all, most int64
		by        *Ticket
	}
	holds := make(map[*place]hold)
	var worst hold
	for _, c := range []*crowd{&d.remote, &d.local} {
		for e := c.quiet.Front(); e != nil; e = e.Next() {
			t := e.Value.(*Ticket)
			m := t.meter.Load()
			if m == nil {
				continue
			}
			h, n := holds[t.place], m.backlog.unfinished.Load()
			h.all += n
			if n >= h.most {
				h.most, h.by = n, t
			}
			if holds[t.place] = h; h.all > worst.all {
				worst = h
			}
		}
	}
	return worst.by
}

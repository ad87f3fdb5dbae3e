package door

import (
	"container/list"
	"time"
)

// crowd is the unclaimed connections of one kind: those that came over TCP, or all others.
// Who has most of them is found at once, however many there are: a flood must not have
// others wait for the Door's mu.
type crowd struct {
	quiet  list.List    // of *Ticket, the quietest first
	places []*list.List // of *place, those with n connections at n; who has been so for longest first
	most   int          // the largest n that somebody has
}

// place is where unclaimed connections come from: an IPv4 address, an IPv6 /64, or a local
// user. It lasts as long as it has any.
type place struct {
	owner           // what they bring
	quiet list.List // of *Ticket, the quietest first
	rank  *list.Element
}

// yieldAge is how long an unclaimed connection is safe from newcomers whose place has as
// many. A caller authenticates with its first RPC, a few round trips after the connect.
const yieldAge = time.Second

func (c *crowd) add(t *Ticket) {
	t.inAll, t.inPlace = c.quiet.PushBack(t), t.place.quiet.PushBack(t)
	c.rank(t.place, t.place.quiet.Len()-1)
}

func (c *crowd) remove(t *Ticket) {
	c.quiet.Remove(t.inAll)
	t.place.quiet.Remove(t.inPlace)
	t.inAll, t.inPlace = nil, nil
	c.rank(t.place, t.place.quiet.Len()+1)
}

// stir makes t the last of its place to give way.
func (c *crowd) stir(t *Ticket) {
	c.quiet.MoveToBack(t.inAll)
	t.place.quiet.MoveToBack(t.inPlace)
}

// rank puts p where it belongs, which had one connection more or less before.
func (c *crowd) rank(p *place, before int) {
	if p.rank != nil {
		c.places[before].Remove(p.rank)
		p.rank = nil
	}
	now := p.quiet.Len()
	for len(c.places) <= now {
		c.places = append(c.places, list.New())
	}
	if now > 0 {
		p.rank = c.places[now].PushBack(p)
	}
	for c.most = max(c.most, now); c.most > 0 && c.places[c.most].Len() == 0; c.most-- {
		continue
	}
}

// yields returns who gives way to a newcomer from p (nil: a place that has none yet), if
// anybody: at once the quietest of the place that has most, if that has at least two more
// than p. Otherwise p is among those who have most, and one of its own that has been quiet
// for long enough gives way; or anybody's, where nobody has more than one.
func (c *crowd) yields(p *place, now time.Time) *Ticket {
	switch {
	case c.most >= p.len()+2:
		return c.biggest()
	case p.len() > 0:
		return quietest(&p.quiet, now)
	}
	return quietest(&c.quiet, now)
}

// biggest returns the quietest connection of the place that has most, or nil.
func (c *crowd) biggest() *Ticket {
	if c.most == 0 {
		return nil
	}
	return c.places[c.most].Front().Value.(*place).quiet.Front().Value.(*Ticket)
}

// len is how many connections come from p, none if it is nil.
func (p *place) len() int {
	if p == nil {
		return 0
	}
	return p.quiet.Len()
}

// quietest returns who has to give way after some time, if anybody.
func quietest(of *list.List, now time.Time) *Ticket {
	if first := of.Front(); first != nil {
		if t := first.Value.(*Ticket); now.Sub(t.last) >= yieldAge {
			return t
		}
	}
	return nil
}

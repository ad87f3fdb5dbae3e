package door

import "time"

// makeRoom returns who gives way to a newcomer, nil if there is room without, or the
// narrowest limit that is reached where nobody does.
//
// What unclaimed connections may have in all is for both kinds, and each has a part of it.
// As long as nobody else comes one kind may have it all; where there is no room left, whoever
// has more than his part gives way at once to those who have less. So strangers of a network
// keep no local user out, nor the reverse.
func (d *Door) makeRoom(from source, now time.Time) (gone *Ticket, full *LimitError) {
	p, mine, other := d.places[from], d.crowdOf(from), &d.local
	all, full := d.cfg.Unclaimed, &LimitError{What: LimitUnclaimed, Limit: d.cfg.Unclaimed}
	if rest := d.cfg.Max - (d.open - d.unclaimed()); rest < all {
		all, full = rest, &LimitError{What: LimitAll, Limit: d.cfg.Max}
	}
	part := all - d.partOfLocal(all)
	if from.local() {
		part, other = d.partOfLocal(all), &d.remote
	}
	switch {
	case !from.local() && p.len() >= d.perAddress():
		gone, full = quietest(&p.quiet, now), &LimitError{What: LimitAddress, Limit: d.perAddress()}
	case from.local() && mine.quiet.Len() >= d.cfg.Local:
		gone, full = mine.yields(p, now), &LimitError{What: LimitLocal, Limit: d.cfg.Local}
	case d.unclaimed() < all:
		return nil, nil
	case mine.quiet.Len() < part: // the others have more than theirs
		gone = other.biggest()
	default:
		gone = mine.yields(p, now)
	}
	if gone != nil {
		full = nil
	}
	return gone, full
}

// partOfLocal is how many of all unclaimed connections are for those without an address. The
// last two are: a local user may be the administrator, and another one who has both gives way.
func (d *Door) partOfLocal(all int) int {
	return min(d.cfg.Local, max(all/localShare, 2), all)
}

const (
	// localShare of what unclaimed connections may have is for those of Unix sockets.
	localShare = 4
	// addressShare of it is what one address may have, whatever Config.PerAddress is.
	addressShare = 4
)

// perAddress is how many unclaimed connections an address may have. One who has two gives
// way to others, so two are not too many of however few.
func (d *Door) perAddress() int {
	return min(d.cfg.PerAddress, max(d.cfg.Unclaimed/addressShare, 2))
}

package quota

// recent remembers the last keys that were seen, up to a number, for a time. Keys
// are hashes. Its zero value is empty.
type recent struct {
	places         map[uint64]int32
	seen           []sighting // never more than the number
	oldest, newest int32
	free           int32 // the first unused place, linked by newer
}

// sighting is when a key was seen last. Places are counted from 1; 0 is none.
type sighting struct {
	key          uint64
	at           int64
	older, newer int32
}

// forget drops what was not seen since an instant.
func (r *recent) forget(since int64) {
	for r.oldest != 0 && r.seen[r.oldest-1].at <= since {
		r.drop(r.oldest)
	}
	if len(r.places) == 0 {
		*r = recent{} // gives the memory back
	}
}

// see reports whether a key is remembered, and if so marks it as seen.
func (r *recent) see(key uint64, now int64) bool {
	i, ok := r.places[key]
	if !ok {
		return false
	}
	r.unlink(i)
	r.link(i, key, now)
	return true
}

// add remembers a key that is not; beyond the limit it takes the place of the oldest.
func (r *recent) add(key uint64, now int64, limit int) {
	if len(r.places) >= limit && r.oldest != 0 {
		r.drop(r.oldest)
	}
	i := r.free
	if i != 0 {
		r.free = r.seen[i-1].newer
	} else {
		r.seen = append(r.seen, sighting{})
		i = int32(len(r.seen)) //nolint:gosec // bounded by the limit
	}
	if r.places == nil {
		r.places = make(map[uint64]int32)
	}
	r.places[key] = i
	r.link(i, key, now)
}

func (r *recent) link(i int32, key uint64, now int64) {
	r.seen[i-1] = sighting{key: key, at: now, older: r.newest}
	if r.newest != 0 {
		r.seen[r.newest-1].newer = i
	} else {
		r.oldest = i
	}
	r.newest = i
}

func (r *recent) unlink(i int32) {
	s := r.seen[i-1]
	if s.older != 0 {
		r.seen[s.older-1].newer = s.newer
	} else {
		r.oldest = s.newer
	}
	if s.newer != 0 {
		r.seen[s.newer-1].older = s.older
	} else {
		r.newest = s.older
	}
}

func (r *recent) drop(i int32) {
	r.unlink(i)
	delete(r.places, r.seen[i-1].key)
	r.seen[i-1].newer = r.free
	r.free = i
}

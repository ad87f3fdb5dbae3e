package client

// ring keeps the bytes that Write has taken over for as long as they may have to be sent (again): those from base to end,
// positions counted from the start of the session.
type ring struct {
	base, end int64
	segments  []segment // in order, from first on; those before are gone
	first     int
}

// segment is a chunk and the position of its first byte.
type segment struct {
	*chunk
	offset int64
}

// begin is a ring that is empty at that position.
func (r *ring) begin(at int64) { r.base, r.end = at, at }

// held is how many bytes are kept.
func (r *ring) held() int { return int(r.end - r.base) }

// write adds a copy of p.
func (r *ring) write(p []byte) {
	for len(p) > 0 {
		last := len(r.segments) - 1
		// A small rest of a chunk is not worth a frame of its own.
		if last < r.first || r.segments[last].room() <= min(len(p), maxPayload)/8 {
			// The more is waiting, the larger are the frames to come.
			size := min(max(len(p), r.held()), maxPayload)
			r.segments = append(r.segments, segment{newChunk(size), r.end})
			last++
		}
		n := len(r.segments[last].fill(p))
		p = p[n:]
		r.end += int64(n)
	}
}

// at returns the bytes from offset on that lie in one piece, at most limit, and the chunk that they lie in, without a
// reference. offset is in the ring and not its end.
func (r *ring) at(offset int64, limit int) (*chunk, []byte) {
	for i := r.first; i < len(r.segments); i++ {
		s := r.segments[i]
		if from := offset - s.offset; from < int64(len(s.filled)) {
			p := s.filled[from:]
			return s.chunk, p[:min(len(p), limit)]
		}
	}
	panic("securesocket: not in the ring")
}

// free forgets the bytes before offset.
func (r *ring) free(offset int64) {
	r.base = max(r.base, min(offset, r.end))
	for r.first < len(r.segments) {
		s := &r.segments[r.first]
		if s.offset+int64(len(s.filled)) > r.base {
			break
		}
		s.chunk.free()
		*s = segment{}
		r.first++
	}
	if r.first == len(r.segments) {
		r.segments, r.first = r.segments[:0], 0
	} else if r.first > len(r.segments)/2 {
		n := copy(r.segments, r.segments[r.first:])
		clear(r.segments[n:])
		r.segments, r.first = r.segments[:n], 0
	}
}

// drop forgets all bytes.
func (r *ring) drop() { r.free(r.end) }

package resume

import (
	"slices"
	"sort"
)

// ring holds the bytes [base, end) of one direction, in buffers that were handed
// to it or that it filled. Its cost is the capacity of these buffers.
type ring struct {
	segments []segment // in order, without gaps; the first has base
	base     int64     // the first byte that is held
	end      int64     // after the last one
	held     int       // capacity of all buffers
}

type segment struct {
	offset int64 // of the buffer's first byte
	*Buffer
}

func (s segment) end() int64 { return s.offset + int64(len(s.mem)) }

// spare is how many bytes fit without another buffer.
func (r *ring) spare() int {
	if n := len(r.segments); n > 0 {
		return r.segments[n-1].spare()
	}
	return 0
}

// push appends a buffer, which the ring owns from now on.
func (r *ring) push(b *Buffer) {
	r.segments = append(r.segments, segment{r.end, b})
	r.end += int64(len(b.mem))
	r.held += cap(b.mem)
}

// fill copies into the last buffer and returns what does not fit.
func (r *ring) fill(p []byte) (rest []byte) {
	n := min(len(p), r.spare())
	if n == 0 {
		return p
	}
	last := r.segments[len(r.segments)-1].Buffer
	last.mem = append(last.mem, p[:n]...) // beyond every view that was handed out
	r.end += int64(n)
	return p[n:]
}

// at returns the bytes at an offset, as far as one buffer has them and no more
// than limit.
func (r *ring) at(offset int64, limit int) View {
	i := sort.Search(len(r.segments), func(i int) bool { return r.segments[i].end() > offset })
	if i == len(r.segments) || limit <= 0 {
		return View{}
	}
	s := r.segments[i]
	from := int(offset - s.offset)
	return s.view(from, min(len(s.mem), from+limit))
}

// freeTo lets go of the bytes before an offset, and of every buffer that has no
// others.
func (r *ring) freeTo(offset int64) {
	n := 0
	for n < len(r.segments) && r.segments[n].end() <= offset {
		r.held -= cap(r.segments[n].mem)
		r.segments[n].Release()
		n++
	}
	r.segments = slices.Delete(r.segments, 0, n)
	r.base = max(r.base, offset)
}

// drop lets go of all bytes; the offsets stay as they are.
func (r *ring) drop() {
	for _, s := range r.segments {
		s.Release()
	}
	r.segments, r.held = nil, 0
}

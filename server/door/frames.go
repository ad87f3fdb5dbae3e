package door

import "encoding/binary"

// The frames of RFC 9113 section 6 that are not all alike to a meter.
const (
	frameData      = 0x0
	frameHeaders   = 0x1
	frameRSTStream = 0x3
	frameSettings  = 0x4
	frameGoAway    = 0x7

	flagEndStream = 0x1
	flagPadded    = 0x8

	frameHeaderLen = 9
	prefaceLen     = 24 // a client's, before its first frame (section 3.4)
)

// frameHeader begins each frame (RFC 9113 section 4.1).
type frameHeader struct {
	length      int // of what follows
	kind, flags uint8
	stream      uint32
}

// frames finds the headers of frames in bytes that flow by, however they are
// cut. The zero value stands before a frame.
type frames struct {
	skip int // bytes until the next header
	have int // bytes of a header that was cut
	head [frameHeaderLen]byte
}

// next returns the first header of p with the bytes behind it, or false if p
// ends before one is complete. The bytes behind are to be given to next again.
func (f *frames) next(p []byte) (rest []byte, h frameHeader, ok bool) {
	if f.skip >= len(p) {
		f.skip -= len(p)
		return nil, frameHeader{}, false
	}
	p = p[f.skip:]
	f.skip = 0
	head := p
	switch {
	case f.have > 0 || len(p) < frameHeaderLen:
		n := copy(f.head[f.have:], p)
		p = p[n:]
		if f.have += n; f.have < frameHeaderLen {
			return nil, frameHeader{}, false
		}
		f.have, head = 0, f.head[:]
	default:
		p = p[frameHeaderLen:]
	}
	h = frameHeader{
		length: int(head[0])<<16 | int(head[1])<<8 | int(head[2]),
		kind:   head[3], flags: head[4],
		stream: binary.BigEndian.Uint32(head[5:]) &^ (1 << 31),
	}
	f.skip = h.length
	return p, h, true
}

// body returns what next will skip of p: bytes of the frame whose header came last.
func (f *frames) body(p []byte) []byte { return p[:min(f.skip, len(p))] }

// between reports whether nothing of a frame is outstanding.
func (f *frames) between() bool { return f.skip == 0 && f.have == 0 }

package door

// What a meter weighs, in bytes of data: a frame without use costs frameCost, and
// each byte of DATA, in either direction, pays for one. A receiver of data may
// send two WINDOW_UPDATEs for as little as 4 KiB, so half of what data pays is
// left over.
const (
	frameCost = 512
	// answerPays is what a DATA frame of the server pays at least, however short:
	// receivers that measure the network send PING and WINDOW_UPDATE in every round
	// trip that brings some. Who wants to be paid has to make calls that succeed.
	answerPays = 4 * frameCost
	// headersCost is for headers that were unpacked as far as they may be, and then
	// reset: 16 KiB of them come out of a frame of a few bytes.
	headersCost = 16 * frameCost
	// strangersCost is a HEADERS frame on a connection that is unclaimed.
	strangersCost = frameCost / 8
	// strangersShare of the burst and of the rate is what an unclaimed connection
	// has.
	strangersShare = 8
	// leastData is what a DATA frame has at least that is not one of a flood: a gRPC
	// message has 5 bytes before it says anything, and each frame is kept in a buffer
	// of its own until it is read.
	leastData = 8
	// mostPadding is of a DATA frame (RFC 9113 section 6.1), with its length.
	mostPadding = 256
	settingLen  = 6
)

// cost is negative for what pays.
func (m *meter) cost(h frameHeader) int {
	switch h.kind {
	case frameHeaders:
		m.last = max(m.last, h.stream)
		if h.flags&flagEndStream == 0 {
			m.halves++
		}
		if m.known {
			return 0
		}
		return strangersCost
	case frameData:
		useful := h.length
		if h.flags&flagPadded != 0 {
			useful -= mostPadding
		}
		if h.flags&flagEndStream != 0 && m.halves > 0 {
			m.halves--
			return -max(useful, 0)
		}
		if useful < leastData {
			return frameCost
		}
		return -useful
	case frameSettings:
		return frameCost * (1 + h.length/settingLen)
	}
	return frameCost
}

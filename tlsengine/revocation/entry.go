package revocation

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"math"
	"slices"
	"strconv"
	"sync"
	"time"
)

// entry is what a CRL or an OCSP response says about one revoked certificate.
type entry struct {
	at     time.Time
	reason uint8 // CRLReason; 0 also where none is given
}

const removeFromCRL = 8

// reasonNames are those of CRLReason (RFC 5280, section 5.3.1).
var reasonNames = []string{
	"unspecified", "keyCompromise", "cACompromise", "affiliationChanged", "superseded", "cessationOfOperation",
	"certificateHold", "", "removeFromCRL", "privilegeWithdrawn", "aACompromise",
}

func (e entry) String() string {
	name := strconv.Itoa(int(e.reason))
	if int(e.reason) < len(reasonNames) && reasonNames[e.reason] != "" {
		name = reasonNames[e.reason]
	}
	return fmt.Sprintf("revoked at %s, reason %s", e.at.UTC().Format(time.RFC3339), name)
}

// record is an entry in 16 bytes: 11 of the serial number's SHA-256, the reason, and the time in seconds since 1970.
// Among a million serial numbers, one that is not revoked is taken for another with a probability of 2^-68.
type record [16]byte

const recordKey = 11

func newRecord(serial []byte, e entry) record {
	var r record
	sum := sha256.Sum256(serial)
	copy(r[:recordKey], sum[:])
	r[recordKey] = e.reason
	binary.BigEndian.PutUint32(r[recordKey+1:], uint32(min(max(e.at.Unix(), 0), math.MaxUint32)))
	return r
}

func (r record) entry() entry {
	return entry{reason: r[recordKey], at: time.Unix(int64(binary.BigEndian.Uint32(r[recordKey+1:])), 0).UTC()}
}

// Bounds on what is kept of CRLs.
const (
	chunkRecords  = 4096
	chunkBytes    = chunkRecords * len(record{})
	maxIndexBytes = 24 << 20 // of all CRLs that are being read
	maxOwnerBytes = maxIndexBytes / 2
)

// index finds entries by serial number. It grows by chunks of one size, each sorted by itself, so that it is never
// copied and leaves nothing to collect.
type index struct {
	chunks []*[chunkRecords]record
	used   int // of the last chunk
	room   *room
}

// add is false when there is no more room; what the index held is then gone.
func (x *index) add(serial []byte, e entry) bool {
	if len(x.chunks) == 0 || x.used == chunkRecords {
		if !x.room.take(chunkBytes) {
			x.drop()
			return false
		}
		x.sortLast()
		x.chunks, x.used = append(x.chunks, new([chunkRecords]record)), 0
	}
	x.chunks[len(x.chunks)-1][x.used] = newRecord(serial, e)
	x.used++
	return true
}

// drop gives all room back.
func (x *index) drop() {
	x.settle()
	x.chunks, x.used = nil, 0
}

// settle gives the room back that building the index took: from now on it is somebody else's to count.
func (x *index) settle() {
	if x.room != nil {
		x.room.give(x.bytes())
		x.room = nil
	}
}

func (x *index) bytes() int { return len(x.chunks) * chunkBytes }

func (x *index) sortLast() {
	if len(x.chunks) > 0 {
		slices.SortFunc(x.chunks[len(x.chunks)-1][:x.used], func(a, b record) int { return bytes.Compare(a[:], b[:]) })
	}
}

// find needs the last chunk to be sorted. Of a serial number that is there more than once, any entry is returned.
func (x *index) find(serial []byte) (entry, bool) {
	want := newRecord(serial, entry{})
	for i, chunk := range x.chunks {
		records := chunk[:]
		if i == len(x.chunks)-1 {
			records = records[:x.used]
		}
		at, ok := slices.BinarySearchFunc(records, want, func(a, b record) int {
			return bytes.Compare(a[:recordKey], b[:recordKey])
		})
		if ok {
			return records[at].entry(), true
		}
	}
	return entry{}, false
}

// budget counts bytes that are in use, up to maxIndexBytes, and of one owner up to half of that. Its zero value is ready.
type budget struct {
	mu   sync.Mutex
	used int
	held map[string]int // of used, by each owner who has any
}

// room is an owner's part of a budget.
type room struct {
	of    *budget
	owner string
}

func (r *room) take(n int) bool {
	b := r.of
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.used+n > maxIndexBytes || b.held[r.owner]+n > maxOwnerBytes {
		return false
	}
	if b.held == nil {
		b.held = make(map[string]int)
	}
	b.used += n
	b.held[r.owner] += n
	return true
}

func (r *room) give(n int) {
	if n == 0 {
		return
	}
	b := r.of
	b.mu.Lock()
	defer b.mu.Unlock()
	b.used -= n
	if b.held[r.owner] -= n; b.held[r.owner] == 0 {
		delete(b.held, r.owner)
	}
}

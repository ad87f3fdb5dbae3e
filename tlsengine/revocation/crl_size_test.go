package revocation

import (
	"bytes"
	"crypto"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"encoding/binary"
	"hash"
	"io"
	"runtime"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// hugeCRL is a list of so many entries, made while it is read: entry i has the serial number 1<<63 + 2i.
type hugeCRL struct {
	ca      *authority
	entries int

	pending bytes.Buffer
	made    int
	tbs     hash.Hash
	end     bool
	peak    uint64 // of the heap, while it was read
}

const (
	hugeEntryBytes  = 2 + 2 + 9 + 15
	sampleEvery     = 100_000
	ecdsaWithSHA256 = "\x30\x0a\x06\x08\x2a\x86\x48\xce\x3d\x04\x03\x02"
)

func hugeSerial(i int) []byte {
	serial := make([]byte, 9)
	binary.BigEndian.PutUint64(serial[1:], 1<<63|uint64(i)<<1)
	return serial
}

// sequence is the head of a long SEQUENCE.
func sequence(length int) []byte {
	b := binary.BigEndian.AppendUint32(nil, uint32(length))
	b = bytes.TrimLeft(b, "\x00")
	return append([]byte{0x30, 0x80 | byte(len(b))}, b...)
}

func derTime(t time.Time) []byte {
	return append([]byte{23, 13}, t.UTC().Format("060102150405Z")...)
}

func (h *hugeCRL) Read(p []byte) (int, error) {
	for h.pending.Len() == 0 {
		switch {
		case h.tbs == nil:
			h.start()
		case h.made < h.entries:
			h.more()
		case !h.end:
			h.finish()
		default:
			return 0, io.EOF
		}
	}
	return h.pending.Read(p)
}

func (h *hugeCRL) start() {
	list := h.entries * hugeEntryBytes
	head := append([]byte{2, 1, 1}, ecdsaWithSHA256...)
	head = append(head, h.ca.Certificate.RawSubject...)
	head = append(head, derTime(h.ca.now.Add(-time.Hour))...)
	head = append(head, derTime(h.ca.now.Add(time.Hour))...)
	head = append(head, sequence(list)...)
	tbs := append(sequence(len(head)+list), head...)
	h.pending.Write(sequence(len(tbs) + list + len(ecdsaWithSHA256) + 3 + 72))
	h.tbs = sha256.New()
	h.tbs.Write(tbs)
	h.pending.Write(tbs)
}

func (h *hugeCRL) more() {
	from := h.pending.Len()
	at := derTime(h.ca.now.Add(-24 * time.Hour))
	for range min(1000, h.entries-h.made) {
		h.pending.Write([]byte{0x30, hugeEntryBytes - 2, 2, 9})
		h.pending.Write(hugeSerial(h.made))
		h.pending.Write(at)
		h.made++
	}
	h.tbs.Write(h.pending.Bytes()[from:])
	if h.made%sampleEvery == 0 {
		h.sample()
	}
}

// finish makes signatures until one has the length that was announced.
func (h *hugeCRL) finish() {
	digest := h.tbs.Sum(nil)
	for {
		signature, err := h.ca.Key.Sign(rand.Reader, digest, crypto.SHA256)
		require.NoError(h.ca.t, err)
		if len(signature) == 72 {
			h.pending.WriteString(ecdsaWithSHA256)
			h.pending.Write([]byte{3, 73, 0})
			h.pending.Write(signature)
			h.end = true
			return
		}
	}
}

func (h *hugeCRL) sample() {
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	h.peak = max(h.peak, m.HeapAlloc)
}

// Not parallel: other tests' memory would count.
func TestThreat14HugeCRL(t *testing.T) {
	entries := 5_000_000
	if testing.Short() || underRace {
		entries = 300_000
	}
	ca := newAuthority(t)
	for name, c := range map[string]struct {
		serial []byte
		room   *room
		hit    bool
	}{
		"revoked, nothing kept":     {hugeSerial(entries - 1), nil, true},
		"not revoked, nothing kept": {append(hugeSerial(7)[:8:8], 15), &room{of: &budget{}}, false},
	} {
		t.Run(name, func(t *testing.T) {
			runtime.GC()
			var before runtime.MemStats
			runtime.ReadMemStats(&before)
			huge := &hugeCRL{ca: ca, entries: entries}
			scan := &crlScan{serials: []string{string(c.serial)}, room: c.room}
			l, err := scan.read(t.Context(), huge, []*x509.Certificate{ca.Certificate})
			require.NoError(t, err)
			require.Equal(t, entries, huge.made)
			hit, known := l.find(string(c.serial))
			require.True(t, known)
			require.Equal(t, c.hit, hit != nil)
			require.NotZero(t, huge.peak)
			require.Less(t, int64(huge.peak)-int64(before.HeapAlloc), int64(64<<20))
			t.Logf("%d entries, %d MiB of heap at most", entries, (huge.peak-before.HeapAlloc)>>20)
			if c.room != nil && entries > maxOwnerBytes/len(record{}) {
				require.Nil(t, l.entries, "the index has no room")
				require.Zero(t, c.room.of.used)
			}
		})
	}
}

// What the index says is what a walk through the list says.
func TestIndexKnowsEachEntry(t *testing.T) {
	t.Parallel()
	ca := newAuthority(t)
	room := &room{of: &budget{}}
	const entries = 3*chunkRecords + 17
	scan := &crlScan{serials: []string{"\x01"}, room: room}
	l, err := scan.read(t.Context(), &hugeCRL{ca: ca, entries: entries}, []*x509.Certificate{ca.Certificate})
	require.NoError(t, err)
	require.Equal(t, 4*chunkBytes, room.of.used)
	for i := range entries {
		serial := hugeSerial(i)
		hit, known := l.find(string(serial))
		require.True(t, known)
		require.NotNil(t, hit, i)
		require.Equal(t, ca.now.Add(-24*time.Hour).Unix(), hit.at.Unix())
		serial[8]++
		hit, known = l.find(string(serial))
		require.True(t, known)
		require.Nil(t, hit, i)
	}
	l.entries.settle()
	require.Zero(t, room.of.used)
}

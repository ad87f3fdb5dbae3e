package tlsengine

import (
	"testing"

	"github.com/stretchr/testify/require"
)

// records are headers and bodies of the given sizes.
func records(sizes ...int) (out []byte) {
	for _, n := range sizes {
		out = append(append(out, 23, 3, 3, byte(n>>8), byte(n)), make([]byte, n)...)
	}
	return out
}

func TestMeterCountsRecordsCutAnywhere(t *testing.T) {
	t.Parallel()
	all := records(0, 1, 0, 0, 300, 5, 4, 16<<10, 0)
	for size := 1; size < 40; size++ {
		var m meter
		for rest := all; len(rest) > 0; {
			n := min(size, len(rest))
			m.see(rest[:n])
			rest = rest[n:]
		}
		require.EqualValues(t, 9, m.records, size)
		require.EqualValues(t, len(all), m.bytes)
		require.Zero(t, m.body)
		require.Zero(t, m.headerLen)
	}
	var m meter
	m.see(all[:len(all)-1])
	require.EqualValues(t, 8, m.records, "a part is none")
}

func TestMeterBounds(t *testing.T) {
	t.Parallel()
	flooded := func(handshaking bool, m meter) bool { return m.check(handshaking) != nil }
	require.False(t, flooded(true, meter{records: maxHandshakeRecords, bytes: maxHandshakeBytes}))
	require.True(t, flooded(true, meter{records: maxHandshakeRecords + 1}))
	require.True(t, flooded(true, meter{bytes: maxHandshakeBytes + 1}))
	require.False(t, flooded(false, meter{records: spareRecords}))
	require.True(t, flooded(false, meter{records: spareRecords + 1}))
	for _, useful := range []int64{1, 2, 100, 1 << 40} {
		require.False(t, flooded(false, meter{records: 2*useful + spareRecords, useful: useful, bytes: 1 << 50}), "one for each, of any size")
		require.True(t, flooded(false, meter{records: 2*useful + spareRecords + 1, useful: useful}))
	}
	require.False(t, flooded(false, meter{records: 1, useful: 1 << 20}), "a reader with a small buffer")

	m := meter{records: 100, useful: 3, bytes: 1 << 20}
	m.see(records(10)[:7])
	m.secure()
	require.False(t, flooded(false, m))
	m.see(records(10)[7:])
	require.EqualValues(t, 1, m.records, "a record that goes on over the phases")
}

func FuzzMeter(f *testing.F) {
	f.Add([]byte{0, 1, 255}, []byte{1, 2, 3})
	f.Add([]byte{0, 0, 0}, []byte{4})
	f.Add([]byte{200}, []byte{})
	f.Fuzz(func(t *testing.T, sizes, cuts []byte) {
		var all []byte
		for _, n := range sizes {
			all = append(all, records(int(n)*int(n)%(16<<10))...)
		}
		var m meter
		for i, rest := 0, all; len(rest) > 0; i++ {
			n := len(rest)
			if i < len(cuts) {
				n = min(n, int(cuts[i]))
			}
			m.see(rest[:n])
			rest = rest[n:]
		}
		require.EqualValues(t, len(sizes), m.records)
		require.EqualValues(t, len(all), m.bytes)
	})
}

func BenchmarkMeter(b *testing.B) {
	for name, all := range map[string][]byte{"16 KiB": records(16<<10, 16<<10), "1 byte": records(make([]int, 1500)...)} {
		b.Run(name, func(b *testing.B) {
			var m meter
			b.SetBytes(int64(len(all)))
			b.ReportAllocs()
			for b.Loop() {
				m.see(all)
			}
		})
	}
}

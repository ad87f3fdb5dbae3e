package hostiledns

import (
	"context"
	"encoding/binary"
	"net/netip"

	"golang.org/x/net/dns/dnsmessage"
)

// Many answers with count addresses of 93.184.0.0/16 or 2600::/16, as many as a
// message holds; by UDP it is truncated where it would not fit into one datagram.
func Many(count int) Reply {
	addrs := make([]string, 0, 2*count)
	for i := range count {
		n := uint16(i) //nolint:gosec // they may repeat
		addrs = append(addrs,
			netip.AddrFrom4([4]byte{93, 184, byte(n >> 8), byte(n)}).String(),
			netip.AddrFrom16([16]byte{0: 0x26, 14: byte(n >> 8), 15: byte(n)}).String())
	}
	return fitting(Addresses(addrs...))
}

// Huge answers with 64 KiB, by TCP: an address, and behind it texts that nobody
// asked for.
func Huge(addr string) Reply {
	return OverTCP(func(_ context.Context, q Question) [][]byte {
		return pack(q, func(m *dnsmessage.Message) {
			m.Answers = records(q, []string{addr})
			h := dnsmessage.ResourceHeader{Name: q.raw.Name, Type: dnsmessage.TypeTXT, Class: dnsmessage.ClassINET}
			filler := string(make([]byte, 255))
			for size := 512; size+300 < maxMessage; size += 270 {
				m.Additionals = append(m.Additionals, dnsmessage.Resource{Header: h, Body: &dnsmessage.TXTResource{TXT: []string{filler}}})
			}
		})
	})
}

// CNAMELoop answers that the name is another's alias, and that one's the name, with
// no address anywhere.
func CNAMELoop() Reply {
	return func(_ context.Context, q Question) [][]byte {
		other := dnsmessage.MustNewName("loop.example.")
		return pack(q, func(m *dnsmessage.Message) { m.Answers = aliases(q.raw.Name, other, q.raw.Name) })
	}
}

// CNAMEChain answers with so many aliases behind each other, and addresses at the
// end.
func CNAMEChain(length int, addrs ...string) Reply {
	return fitting(func(_ context.Context, q Question) [][]byte {
		names := []dnsmessage.Name{q.raw.Name}
		for i := range length {
			names = append(names, dnsmessage.MustNewName("a"+string(rune('a'+i%26))+string(rune('a'+i/26%26))+".example."))
		}
		return pack(q, func(m *dnsmessage.Message) {
			end := q
			end.raw.Name = names[length]
			m.Answers = append(aliases(names...), records(end, addrs)...)
		})
	})
}

func aliases(names ...dnsmessage.Name) (out []dnsmessage.Resource) {
	for i := range len(names) - 1 {
		out = append(out, dnsmessage.Resource{
			Header: dnsmessage.ResourceHeader{Name: names[i], Class: dnsmessage.ClassINET}, Body: &dnsmessage.CNAMEResource{CNAME: names[i+1]},
		})
	}
	return out
}

// ControlCharacters answers that the name is an alias of one with ESC, CR, LF and a
// quote in it, at this address.
func ControlCharacters(addr string) Reply {
	return func(_ context.Context, q Question) [][]byte {
		alias := dnsmessage.MustNewName("\x1b[2J\r\n{\"level\":\"INFO\"}\x00.example.")
		return pack(q, func(m *dnsmessage.Message) {
			end := q
			end.raw.Name = alias
			m.Answers = append(aliases(q.raw.Name, alias), records(end, []string{addr})...)
		})
	}
}

// PointerLoop answers with a name whose compression pointer points at itself (RFC
// 1035 section 4.1.4).
func PointerLoop() Reply {
	return func(_ context.Context, q Question) [][]byte {
		p := head(q, 1)
		here := 0xC000 | uint16(len(p)) //nolint:gosec // a question is short
		p = binary.BigEndian.AppendUint16(p, here)
		p = binary.BigEndian.AppendUint16(p, uint16(q.Type))
		return [][]byte{append(p, 0, 1, 0, 0, 0, 0, 0, 4, 93, 184, 216, 34)}
	}
}

// BrokenOff announces 65,535 answers and ends in the first.
func BrokenOff() Reply {
	return func(_ context.Context, q Question) [][]byte { return [][]byte{append(head(q, 1<<16-1), 0xC0, 12, 0)} }
}

// Garbage answers with the question's ID and bytes that mean nothing.
func Garbage() Reply {
	return func(_ context.Context, q Question) [][]byte {
		p := binary.BigEndian.AppendUint16(nil, q.id)
		for i := range 500 {
			p = append(p, byte(i*7)|0x80)
		}
		return [][]byte{p}
	}
}

// Flood is a reply behind count others that are not the question's.
func Flood(count int, r Reply) Reply {
	forged := WrongID(Addresses("127.0.0.1", "::1"))
	return func(ctx context.Context, q Question) (out [][]byte) {
		for range count {
			out = append(out, forged(ctx, q)...)
		}
		return append(out, r(ctx, q)...)
	}
}

// datagram is what a resolver takes by UDP that announces as much (EDNS).
const datagram = 1232

// fitting is r, truncated by UDP where it is longer than a datagram.
func fitting(r Reply) Reply {
	return func(ctx context.Context, q Question) [][]byte {
		out := r(ctx, q)
		for _, p := range out {
			if !q.TCP && len(p) > datagram {
				return Truncated()(ctx, q)
			}
		}
		return out
	}
}

package hostiledns

import (
	"context"
	"encoding/binary"
	"net/netip"
	"time"

	"golang.org/x/net/dns/dnsmessage"
)

// Reply makes the messages that answer a question; several are sent one after the
// other. It may wait, and gives up when the context ends.
type Reply func(ctx context.Context, q Question) [][]byte

// maxMessage is what the length of a message over TCP can say.
const maxMessage = 1<<16 - 1

// Addresses answers with those of the addresses that are of the type asked for,
// in their order, to be kept for no time at all (TTL 0). An IPv4-mapped address is
// an IPv6 one. One that cannot be read panics: it is the test's mistake.
func Addresses(addrs ...string) Reply {
	return func(_ context.Context, q Question) [][]byte {
		return pack(q, func(m *dnsmessage.Message) { m.Answers = records(q, addrs) })
	}
}

func records(q Question, addrs []string) (out []dnsmessage.Resource) {
	h := dnsmessage.ResourceHeader{Name: q.raw.Name, Class: dnsmessage.ClassINET}
	for _, text := range addrs {
		a := netip.MustParseAddr(text)
		switch {
		case a.Is4() && q.Type == dnsmessage.TypeA:
			out = append(out, dnsmessage.Resource{Header: h, Body: &dnsmessage.AResource{A: a.As4()}})
		case a.Is6() && q.Type == dnsmessage.TypeAAAA:
			out = append(out, dnsmessage.Resource{Header: h, Body: &dnsmessage.AAAAResource{AAAA: a.As16()}})
		}
	}
	return out
}

// Alternating answers the first question with the first of the lists, the second
// with the second, and so on from the beginning again: a name that is rebound.
// Questions of one kind alone should be asked of it.
func Alternating(lists ...[]string) Reply {
	return func(ctx context.Context, q Question) [][]byte {
		return Addresses(lists[(q.Nth-1)%int64(len(lists))]...)(ctx, q)
	}
}

// Code answers with an error alone, such as dnsmessage.RCodeNameError (NXDOMAIN).
func Code(code dnsmessage.RCode) Reply {
	return func(_ context.Context, q Question) [][]byte {
		return pack(q, func(m *dnsmessage.Message) { m.RCode = code })
	}
}

// Truncated says that there is more than fits (TC), and to ask by TCP, whichever
// way it is asked.
func Truncated() Reply {
	return func(_ context.Context, q Question) [][]byte {
		return pack(q, func(m *dnsmessage.Message) { m.Truncated = true })
	}
}

// OverTCP answers by TCP alone, and is truncated by UDP.
func OverTCP(r Reply) Reply {
	return func(ctx context.Context, q Question) [][]byte {
		if !q.TCP {
			return Truncated()(ctx, q)
		}
		return r(ctx, q)
	}
}

// Late is a reply that comes after a while.
func Late(d time.Duration, r Reply) Reply {
	return func(ctx context.Context, q Question) [][]byte {
		if !wait(ctx, d) {
			return nil
		}
		return r(ctx, q)
	}
}

// Each is several replies to one question: a forger's, and the right one.
func Each(replies ...Reply) Reply {
	return func(ctx context.Context, q Question) (out [][]byte) {
		for _, r := range replies {
			out = append(out, r(ctx, q)...)
		}
		return out
	}
}

// WrongID is a reply with another ID than the question's.
func WrongID(r Reply) Reply {
	return func(ctx context.Context, q Question) [][]byte {
		q.id ^= 0x5555
		return r(ctx, q)
	}
}

// WrongQuestion is a reply about another name.
func WrongQuestion(r Reply) Reply {
	return func(ctx context.Context, q Question) [][]byte {
		q.raw.Name = dnsmessage.MustNewName("another.example.")
		return r(ctx, q)
	}
}

// pack is a message that answers, with what change makes of it; what cannot be a
// message panics.
func pack(q Question, change func(*dnsmessage.Message)) [][]byte {
	m := dnsmessage.Message{
		Header:    dnsmessage.Header{ID: q.id, Response: true, RecursionDesired: true, RecursionAvailable: true},
		Questions: []dnsmessage.Question{q.raw},
	}
	change(&m)
	p, err := m.Pack()
	if err != nil {
		panic(err)
	}
	return [][]byte{p}
}

// head is a header that announces so many answers, and the question: the beginning
// of a message that no packer would make (RFC 1035 section 4.1).
func head(q Question, answers uint16) []byte {
	p := pack(q, func(*dnsmessage.Message) {})[0]
	binary.BigEndian.PutUint16(p[6:], answers)
	return p
}

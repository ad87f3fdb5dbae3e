package hostile

import (
	"crypto/tls"
	"maps"
	"slices"
)

// Script is what a hostile peer does once the handshake is over.
type Script struct {
	Name    string
	Version uint16 // crypto/tls's number
	// Uncounted: a client of crypto/tls alone would read it for as long as it comes, or a thousand times as long.
	Uncounted bool
	Run       func(*Peer)
}

// maxPadding fills a record of a byte (RFC 8446, section 5.4).
const maxPadding = 1<<14 - 1

// Floods are the scripts of messages that are of no use.
func Floods() []Script {
	var out []Script
	for _, version := range []uint16{tls.VersionTLS12, tls.VersionTLS13} {
		for _, name := range slices.Sorted(maps.Keys(useless[version])) {
			next := useless[version][name]
			out = append(out,
				Script{name, version, false, func(p *Peer) { p.Flood(func() []byte { return next(p) }) }},
				Script{name + " between bytes", version, true, func(p *Peer) { p.Flood(between(p, next)) }})
		}
		out = append(out, Script{"a message of 64 KiB in records of one byte", version, true, crumbs})
	}
	return slices.Concat(out, offences())
}

// between lets a byte of data follow every ten, so that crypto/tls begins to count anew.
func between(p *Peer, next func(*Peer) []byte) func() []byte {
	i := 0
	return func() []byte {
		if i++; i%11 == 0 {
			return p.Record(ApplicationData, []byte{'x'}, 0)
		}
		return next(p)
	}
}

// useless are records of which many may come.
var useless = map[uint16]map[string]func(*Peer) []byte{
	tls.VersionTLS12: {
		"empty records":   func(p *Peer) []byte { return p.Record(ApplicationData, nil, 0) },
		"warnings":        func(p *Peer) []byte { return p.Record(Alert, []byte{1, 100}, 0) }, // no_renegotiation
		"unknown warning": func(p *Peer) []byte { return p.Record(Alert, []byte{1, 200}, 0) },
	},
	tls.VersionTLS13: {
		"empty records":        func(p *Peer) []byte { return p.Record(ApplicationData, nil, 0) },
		"empty padded records": func(p *Peer) []byte { return p.Record(ApplicationData, nil, maxPadding) },
		"user_canceled":        func(p *Peer) []byte { return p.Record(Alert, []byte{1, 90}, 0) },
		"KeyUpdate":            func(p *Peer) []byte { return p.KeyUpdate(false) },
		"KeyUpdate that asks":  func(p *Peer) []byte { return p.KeyUpdate(true) },
		"tickets":              func(p *Peer) []byte { return p.Record(Handshake, ticket(32), 0) },
		"tickets of 16 KiB":    func(p *Peer) []byte { return p.Record(Handshake, ticket(16<<10-32), 0) },
	},
}

// ticket is a NewSessionTicket (RFC 8446, section 4.6.1) with a label of n bytes: 18 more.
func ticket(n int) []byte {
	body := append([]byte{0, 0, 14, 16, 1, 2, 3, 4, 1, 0}, byte(n>>8), byte(n))
	body = append(append(body, make([]byte, n)...), 0, 0)
	return append([]byte{4, byte(len(body) >> 16), byte(len(body) >> 8), byte(len(body))}, body...)
}

// crumbs are HelloRequests of TLS 1.2, or tickets, as long as crypto/tls takes.
func crumbs(p *Peer) {
	kind := byte(0)
	if p.Version == tls.VersionTLS13 {
		kind = 4
	}
	message := append([]byte{kind, 0, 0xff, 0xff}, make([]byte, 0xffff)...)
	i := 0
	p.Flood(func() []byte {
		i++
		return p.Record(Handshake, message[(i-1)%len(message):][:1], 0)
	})
}

// PaddedBytes is what an honest server may do, if it hides lengths: n records with a byte each, in 16 KiB, and a
// close_notify. Only TLS 1.3.
func PaddedBytes(p *Peer, n int) {
	for i := range n {
		if !p.Send(p.Record(ApplicationData, []byte{byte(i)}, maxPadding)) {
			return
		}
	}
	p.CloseNotify()
}

// CloseNotify is an honest end.
func (p *Peer) CloseNotify() { p.Send(p.Record(Alert, []byte{1, 0}, 0)) }

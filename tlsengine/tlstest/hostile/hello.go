package hostile

import (
	"errors"
	"slices"

	"golang.org/x/crypto/cryptobyte"
)

// Types of extensions (IANA's numbers).
const (
	ServerName           uint16 = 0
	SupportedGroups      uint16 = 10
	SignatureAlgorithms  uint16 = 13
	ALPN                 uint16 = 16
	ExtendedMasterSecret uint16 = 23
	PreSharedKey         uint16 = 41
	EarlyData            uint16 = 42
	SupportedVersions    uint16 = 43
)

const (
	clientHello byte = 1
	serverHello byte = 2
)

var errNoHello = errors.New("hostile: no hello")

// Hello is a ClientHello or a ServerHello (RFC 8446, sections 4.1.2 and 4.1.3), taken apart so that it can be changed.
type Hello struct {
	Server      bool
	Version     uint16 // legacy_version
	Random      []byte // 32 bytes
	SessionID   []byte
	Suites      []uint16 // of a server the one that it chose
	Compression []byte   // of a server the one that it chose
	Extensions  []Extension
}

// Extension is one of a hello's, as it stands there.
type Extension struct {
	Type uint16
	Data []byte
}

// ParseHello takes the first message of a handshake record's content apart. rest is what stands behind it.
func ParseHello(content []byte) (h *Hello, rest []byte, err error) {
	h = new(Hello)
	in := cryptobyte.String(content)
	var kind uint8
	var body, session cryptobyte.String
	if !in.ReadUint8(&kind) || kind != clientHello && kind != serverHello || !in.ReadUint24LengthPrefixed(&body) ||
		!body.ReadUint16(&h.Version) || !body.ReadBytes(&h.Random, 32) || !body.ReadUint8LengthPrefixed(&session) {
		return nil, nil, errNoHello
	}
	h.Server, h.SessionID = kind == serverHello, session
	var suites, compression, extensions cryptobyte.String
	if h.Server {
		if !body.ReadBytes((*[]byte)(&suites), 2) || !body.ReadBytes((*[]byte)(&compression), 1) {
			return nil, nil, errNoHello
		}
	} else if !body.ReadUint16LengthPrefixed(&suites) || !body.ReadUint8LengthPrefixed(&compression) {
		return nil, nil, errNoHello
	}
	h.Compression = compression
	for !suites.Empty() {
		var suite uint16
		if !suites.ReadUint16(&suite) {
			return nil, nil, errNoHello
		}
		h.Suites = append(h.Suites, suite)
	}
	if !body.Empty() && !body.ReadUint16LengthPrefixed(&extensions) {
		return nil, nil, errNoHello
	}
	for !extensions.Empty() {
		var kind uint16
		var data cryptobyte.String
		if !extensions.ReadUint16(&kind) || !extensions.ReadUint16LengthPrefixed(&data) {
			return nil, nil, errNoHello
		}
		h.Extensions = append(h.Extensions, Extension{kind, data})
	}
	return h, in, nil
}

// Bytes puts the message together again. It panics where something does not fit into it.
func (h *Hello) Bytes() []byte {
	kind, suites := clientHello, func(b *cryptobyte.Builder) {
		for _, suite := range h.Suites {
			b.AddUint16(suite)
		}
	}
	if h.Server {
		kind = serverHello
	}
	var b cryptobyte.Builder
	b.AddUint8(kind)
	b.AddUint24LengthPrefixed(func(b *cryptobyte.Builder) {
		b.AddUint16(h.Version)
		b.AddBytes(h.Random)
		b.AddUint8LengthPrefixed(func(b *cryptobyte.Builder) { b.AddBytes(h.SessionID) })
		if h.Server {
			suites(b)
			b.AddBytes(h.Compression)
		} else {
			b.AddUint16LengthPrefixed(suites)
			b.AddUint8LengthPrefixed(func(b *cryptobyte.Builder) { b.AddBytes(h.Compression) })
		}
		b.AddUint16LengthPrefixed(func(b *cryptobyte.Builder) {
			for _, e := range h.Extensions {
				b.AddUint16(e.Type)
				b.AddUint16LengthPrefixed(func(b *cryptobyte.Builder) { b.AddBytes(e.Data) })
			}
		})
	})
	return b.BytesOrPanic()
}

// Has tells whether there is such an extension.
func (h *Hello) Has(kind uint16) bool {
	return slices.ContainsFunc(h.Extensions, func(e Extension) bool { return e.Type == kind })
}

// Drop takes extensions away.
func (h *Hello) Drop(kinds ...uint16) {
	h.Extensions = slices.DeleteFunc(h.Extensions, func(e Extension) bool { return slices.Contains(kinds, e.Type) })
}

// Set replaces what an extension says, or adds it before pre_shared_key, which has to be the last (RFC 8446, section
// 4.2.11).
func (h *Hello) Set(kind uint16, data ...byte) {
	for i, e := range h.Extensions {
		if e.Type == kind {
			h.Extensions[i].Data = data
			return
		}
	}
	at := slices.IndexFunc(h.Extensions, func(e Extension) bool { return e.Type == PreSharedKey })
	if at < 0 {
		at = len(h.Extensions)
	}
	h.Extensions = slices.Insert(h.Extensions, at, Extension{kind, data})
}

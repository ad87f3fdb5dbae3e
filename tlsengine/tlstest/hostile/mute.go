package hostile

import (
	"crypto/sha256"
	"crypto/tls"
	"io"
	"net"
	"time"
)

// What follows are handlers for tlstest.ServeRaw, of servers that never get through a handshake. Except where they say
// so, they go on until the client has gone.

// Silent hears the hello and says nothing.
func Silent(raw net.Conn) { drain(raw) }

// Drip sends a ServerHello of 16 KiB that comes a byte at a time.
func Drip(every time.Duration) func(net.Conn) {
	return func(raw net.Conn) {
		tick := time.NewTicker(every)
		defer tick.Stop()
		for next := []byte{Handshake, 3, 3, 0x40, 0, 2, 0, 0x3f, 0xfc}; ; next = append(next[1:], 0) {
			if _, err := raw.Write(next[:1]); err != nil {
				return
			}
			<-tick.C
		}
	}
}

// EndsMidHello sends a part of a ServerHello, and FIN.
func EndsMidHello(raw net.Conn) {
	if _, ok := readHello(raw); !ok {
		return
	}
	_, _ = raw.Write([]byte{Handshake, 3, 3, 0, 100, 2, 0, 0, 96, 3, 3})
	if tcp, ok := raw.(*net.TCPConn); ok {
		_ = tcp.CloseWrite()
	}
	drain(raw)
}

// Repeat answers the hello with the same bytes again and again.
func Repeat(record ...byte) func(net.Conn) {
	return func(raw net.Conn) {
		if _, ok := readHello(raw); !ok {
			return
		}
		for {
			if _, err := raw.Write(record); err != nil {
				return
			}
		}
	}
}

// HelloInCrumbs sends a ServerHello of 64 KiB, a byte in each record.
func HelloInCrumbs(raw net.Conn) {
	if _, ok := readHello(raw); !ok {
		return
	}
	for next := []byte{2, 0, 0xff, 0xff}; ; next = append(next[1:], 0) {
		if _, err := raw.Write([]byte{Handshake, 3, 3, 0, 1, next[0]}); err != nil {
			return
		}
	}
}

// RetriesTwice asks for another hello with a share of P-256, and again when it has it (RFC 8446, section 4.1.4, forbids
// that), and waits for the client's end.
func RetriesTwice(raw net.Conn) {
	for range 2 {
		hello, ok := readHello(raw)
		if !ok {
			return
		}
		if _, err := raw.Write(helloRetry(hello)); err != nil {
			return
		}
	}
	drain(raw)
}

// helloRetry is a HelloRetryRequest that echoes the session ID of the hello.
func helloRetry(hello []byte) []byte {
	const session = 4 + 2 + 32
	id := hello[session : session+1+int(hello[session])]
	random := sha256.Sum256([]byte("HelloRetryRequest"))
	body := append([]byte{3, 3}, random[:]...)
	body = append(body, id...)
	body = append(body, byte(tls.TLS_AES_128_GCM_SHA256>>8), byte(tls.TLS_AES_128_GCM_SHA256&0xff), 0)
	body = append(body, 0, 12, 0, 43, 0, 2, 3, 4, 0, 51, 0, 2, 0, byte(tls.CurveP256)) // supported_versions, key_share
	message := append([]byte{2, 0, 0, byte(len(body))}, body...)
	return append([]byte{Handshake, 3, 3, 0, byte(len(message))}, message...)
}

// readHello takes the next handshake record, which is a whole hello, and skips a change_cipher_spec before it.
func readHello(raw net.Conn) (message []byte, ok bool) {
	for {
		header := make([]byte, headerLen)
		if _, err := io.ReadFull(raw, header); err != nil {
			return nil, false
		}
		message = make([]byte, int(header[3])<<8|int(header[4]))
		if _, err := io.ReadFull(raw, message); err != nil {
			return nil, false
		}
		switch header[0] {
		case Handshake:
			return message, true
		case ChangeCipherSpec:
			continue
		}
		return nil, false
	}
}

func drain(raw net.Conn) { _, _ = io.Copy(io.Discard, raw) }

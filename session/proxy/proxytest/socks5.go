package proxytest

import (
	"bytes"
	"encoding/binary"
	"errors"
	"io"
	"net"
	"net/netip"
	"strconv"
	"syscall"
)

// serveSOCKS5 answers one CONNECT, RFC 1928. A client that speaks something else
// is closed.
func (p *Proxy) serveSOCKS5(conn net.Conn) {
	if !p.greet(conn) {
		return
	}
	command, target, err := readRequest(conn)
	if err != nil {
		return
	}
	if target == "" {
		answerSOCKS5(conn, 8, netip.AddrPort{})
		return
	}
	p.asked(target)
	switch {
	case p.options.refuse != 0:
		answerSOCKS5(conn, byte(p.options.refuse), netip.AddrPort{})
		return
	case command != 1:
		answerSOCKS5(conn, 7, netip.AddrPort{})
		return
	}
	peer, err := p.dial(target)
	if err != nil {
		answerSOCKS5(conn, socksCode(err), netip.AddrPort{})
		return
	}
	defer p.release(peer)
	answerSOCKS5(conn, 0, peer.LocalAddr().(*net.TCPAddr).AddrPort())
	splice(conn, conn.(*net.TCPConn), peer)
}

// greet agrees on how to authenticate, and does it (RFC 1929).
func (p *Proxy) greet(conn net.Conn) bool {
	head, err := read(conn, 2)
	if err != nil || head[0] != 5 {
		return false
	}
	methods, err := read(conn, int(head[1]))
	if err != nil {
		return false
	}
	want := byte(0)
	if p.options.username != "" {
		want = 2
	}
	if !bytes.Contains(methods, []byte{want}) {
		_, _ = conn.Write([]byte{5, 0xff})
		return false
	}
	if _, err := conn.Write([]byte{5, want}); err != nil || want == 0 {
		return err == nil
	}
	version, err := read(conn, 1)
	if err != nil || version[0] != 1 {
		return false
	}
	var given [2]string
	for i := range given {
		length, err := read(conn, 1)
		if err != nil {
			return false
		}
		value, err := read(conn, int(length[0]))
		if err != nil {
			return false
		}
		given[i] = string(value)
	}
	if given != [2]string{p.options.username, p.options.password} {
		_, _ = conn.Write([]byte{1, 1})
		return false
	}
	_, err = conn.Write([]byte{1, 0})
	return err == nil
}

// readRequest returns the command and the target, which is empty if its type is
// unknown.
func readRequest(conn net.Conn) (command byte, target string, err error) {
	head, err := read(conn, 4)
	if err != nil {
		return 0, "", err
	}
	if head[0] != 5 {
		return 0, "", errors.New("not SOCKS version 5")
	}
	var length int
	switch head[3] {
	case 1:
		length = net.IPv4len
	case 3:
		n, err := read(conn, 1)
		if err != nil {
			return 0, "", err
		}
		length = int(n[0])
	case 4:
		length = net.IPv6len
	default:
		return head[1], "", nil
	}
	rest, err := read(conn, length+2)
	if err != nil {
		return 0, "", err
	}
	host := string(rest[:length])
	if head[3] != 3 {
		host = net.IP(rest[:length]).String()
	}
	port := binary.BigEndian.Uint16(rest[length:])
	return head[1], net.JoinHostPort(host, strconv.Itoa(int(port))), nil
}

// answerSOCKS5 sends a reply; without an address, the one that is nothing.
func answerSOCKS5(conn net.Conn, code byte, bound netip.AddrPort) {
	addr := bound.Addr().Unmap()
	if !addr.IsValid() {
		addr = netip.IPv4Unspecified()
	}
	kind := byte(1)
	if addr.Is6() {
		kind = 4
	}
	reply := append([]byte{5, code, 0, kind}, addr.AsSlice()...)
	_, _ = conn.Write(binary.BigEndian.AppendUint16(reply, bound.Port()))
}

// socksCode is the reply to a dial that failed, RFC 1928, section 6.
func socksCode(err error) byte {
	switch {
	case errors.Is(err, syscall.ENETUNREACH):
		return 3
	case errors.Is(err, syscall.EHOSTUNREACH):
		return 4
	case errors.Is(err, syscall.ECONNREFUSED):
		return 5
	}
	return 1
}

// read reads exactly n bytes.
func read(r io.Reader, n int) ([]byte, error) {
	b := make([]byte, n)
	_, err := io.ReadFull(r, b)
	return b, err
}

package proxy

import (
	"encoding/binary"
	"fmt"
	"io"
	"net/netip"
	"slices"
)

// RFC 1928, sections 3 to 6, and RFC 1929, section 2.
const (
	socksVersion    = 5
	passwordVersion = 1

	methodNone     = 0x00
	methodPassword = 0x02
	methodRefused  = 0xff

	commandConnect = 1

	addressIPv4 = 1
	addressName = 3
	addressIPv6 = 4
)

// socksReplies are the meanings of RFC 1928, section 6; 0 is success.
var socksReplies = [...]string{
	1: "general failure of the proxy",
	2: "connection not allowed by the proxy's rules",
	3: "network unreachable",
	4: "host unreachable",
	5: "connection refused by destination host",
	6: "TTL expired",
	7: "command not supported",
	8: "address type not supported",
}

// askSOCKS5 asks by the command CONNECT, RFC 1928. Each answer's length is known
// before it is read.
func askSOCKS5(conn io.ReadWriter, cfg Config, target netip.AddrPort) error {
	methods := []byte{methodNone}
	if cfg.Username != "" {
		methods = append(methods, methodPassword)
	}
	hello := append([]byte{socksVersion, byte(len(methods))}, methods...)
	method, err := exchange(conn, hello, socksVersion)
	switch {
	case err != nil:
		return err
	case method == methodRefused:
		return socksRefused("no acceptable way to authenticate", method, true)
	case !slices.Contains(methods, method):
		return &ReplyError{SOCKS5, "it chose a way to authenticate that was not offered"}
	}
	if method == methodPassword {
		if err := authenticate(conn, cfg); err != nil {
			return err
		}
	}

	request := []byte{socksVersion, commandConnect, 0}
	if target.Addr().Is4() {
		request = append(request, addressIPv4)
	} else {
		request = append(request, addressIPv6)
	}
	request = append(request, target.Addr().AsSlice()...)
	request = binary.BigEndian.AppendUint16(request, target.Port())
	code, err := exchange(conn, request, socksVersion)
	switch {
	case err != nil:
		return err
	case code != 0 && int(code) < len(socksReplies):
		return socksRefused(socksReplies[code], code, false)
	case code != 0:
		return socksRefused("unassigned reply", code, false)
	}
	return readBound(conn)
}

// authenticate gives the username and password, RFC 1929. Validate has seen to
// their lengths.
func authenticate(conn io.ReadWriter, cfg Config) error {
	password := cfg.Password.Expose()
	request := slices.Concat([]byte{passwordVersion, byte(len(cfg.Username))}, []byte(cfg.Username), []byte{byte(len(password))}, password)
	defer clear(request)
	status, err := exchange(conn, request, passwordVersion)
	if err == nil && status != 0 {
		err = socksRefused("username or password refused", status, true)
	}
	return err
}

// exchange sends a request and reads the two bytes that every answer begins with:
// its version, and what matters. A proxy that refuses may send no more.
func exchange(conn io.ReadWriter, request []byte, version byte) (byte, error) {
	if _, err := conn.Write(request); err != nil {
		return 0, err
	}
	var answer [2]byte
	// One by one: who speaks something else may wait for us to go on.
	if _, err := io.ReadFull(conn, answer[:1]); err != nil {
		return 0, err
	}
	if answer[0] != version {
		return 0, &ReplyError{SOCKS5, "its answer has another version"}
	}
	_, err := io.ReadFull(conn, answer[1:])
	return answer[1], err
}

// readBound reads the rest of a reply: the address that the proxy connects from.
func readBound(conn io.Reader) error {
	var buf [255 + 2]byte
	if _, err := io.ReadFull(conn, buf[:2]); err != nil {
		return err
	}
	if buf[0] != 0 {
		return &ReplyError{SOCKS5, "a reserved byte of its reply is not zero"}
	}
	length := 0
	switch buf[1] {
	case addressIPv4:
		length = 4
	case addressIPv6:
		length = 16
	case addressName:
		if _, err := io.ReadFull(conn, buf[:1]); err != nil {
			return err
		}
		length = int(buf[0])
	default:
		return &ReplyError{SOCKS5, "its reply has an address of an unknown type"}
	}
	_, err := io.ReadFull(conn, buf[:length+2]) // the port too
	return err
}

func socksRefused(what string, code byte, auth bool) error {
	return &RefusedError{SOCKS5, fmt.Sprintf("%s (%d)", what, code), auth}
}

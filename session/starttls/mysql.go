package starttls

import (
	"encoding/binary"
	"fmt"
	"strings"
)

// Capabilities of MySQL's client and server, of those that every server states in its first half.
const (
	clientProtocol41       = 1 << 9
	clientSSL              = 1 << 11
	clientSecureConnection = 1 << 15
)

const (
	mysqlMaxPacket = 1 << 24 // what other clients ask for
	mysqlUTF8MB4   = 45      // utf8mb4_general_ci; the caller's login may choose another
)

// mysql answers the server's first packet with the head of a login, which the server reads and then expects the handshake.
// The peer says nothing in between: the first packet is its last.
func mysql(d *dialogue) error {
	header, err := d.exactly(4)
	if err != nil {
		return err
	}
	packet, err := d.exactly(int(header[0]) | int(header[1])<<8 | int(header[2])<<16)
	if err != nil {
		return err
	}
	d.greeted = true
	switch {
	case len(packet) == 0:
		return malformed("an empty packet", "")
	case packet[0] == 0xff:
		return mysqlRefusal(packet)
	case header[3] != 0 || packet[0] != 10:
		return malformed("not a greeting of protocol version 10", string(packet))
	}
	_, rest, ok := strings.Cut(string(packet[1:]), "\x00") // the server's version
	const before = 4 + 8 + 1                               // the connection's number, a nonce, a zero
	if !ok || len(rest) < before+2 {
		return malformed("a greeting is too short", string(packet))
	}
	if binary.LittleEndian.Uint16([]byte(rest[before:]))&clientSSL == 0 {
		return refused("")
	}
	request := make([]byte, 4+32)
	request[0], request[3] = 32, 1
	binary.LittleEndian.PutUint32(request[4:], clientProtocol41|clientSSL|clientSecureConnection)
	binary.LittleEndian.PutUint32(request[8:], mysqlMaxPacket)
	request[12] = mysqlUTF8MB4
	return d.ask(string(request))
}

// mysqlRefusal reads a packet of an error, which has an SQL state only from a server that knows already whom it talks to.
func mysqlRefusal(packet []byte) error {
	if len(packet) < 3 {
		return malformed("an error is too short", string(packet))
	}
	message := string(packet[3:])
	if len(message) >= 6 && message[0] == '#' {
		message = message[6:]
	}
	return refused(fmt.Sprintf("%d %s", binary.LittleEndian.Uint16(packet[1:]), message))
}

//go:build unix

package server_test

import (
	"bytes"
	"encoding/binary"

	"github.com/stretchr/testify/require"
)

// element makes an element of BER whose content is short.
func element(tag byte, content ...[]byte) []byte {
	b := bytes.Join(content, nil)
	return append([]byte{tag, byte(len(b))}, b...)
}

// hearElement takes an element of BER.
func (c *talk) hearElement(tag byte) []byte {
	c.tb.Helper()
	head := c.hearBytes(2)
	require.Equal(c.tb, tag, head[0])
	size := int(head[1])
	if size > 127 {
		long := make([]byte, 4)
		copy(long[4-size&127:], c.hearBytes(size&127))
		size = int(binary.BigEndian.Uint32(long))
	}
	return c.hearBytes(size)
}

const ldapStartTLS = "1.3.6.1.4.1.1466.20037"

func startLDAP(c *talk) {
	c.write(element(0x30, element(0x02, []byte{1}), element(0x77, element(0x80, []byte(ldapStartTLS)))))
	answer := c.hearElement(0x30)
	require.Equal(c.tb, []byte{0x02, 1, 1, 0x78}, answer[:4], "an extended response to message 1")
	require.Equal(c.tb, []byte{0x0a, 1, 0}, answer[5:8], "success")
}

// useLDAP reads what extensions the server has, from its root DSE.
func useLDAP(c *talk) {
	c.write(element(0x30, element(0x02, []byte{2}), element(0x63,
		element(0x04), element(0x0a, []byte{0}), element(0x0a, []byte{0}), // "", baseObject, neverDerefAliases
		element(0x02, []byte{0}), element(0x02, []byte{0}), element(0x01, []byte{0}),
		element(0x87, []byte("objectClass")), element(0x30, element(0x04, []byte("supportedExtension"))))))
	entry := c.hearElement(0x30)
	require.Contains(c.tb, string(entry), ldapStartTLS)
	require.Equal(c.tb, []byte{0x02, 1, 2, 0x65, 7, 0x0a, 1, 0}, c.hearElement(0x30)[:8], "done, success")
	c.write(element(0x30, element(0x02, []byte{3}), element(0x42))) // unbind
}

func startPostgreSQL(c *talk) {
	c.say("\x00\x00\x00\x08\x04\xd2\x16\x2f")
	require.Equal(c.tb, "S", string(c.hearBytes(1)))
}

// hearPostgreSQL takes messages up to one of a kind, and returns the contents of
// the last of each kind.
func (c *talk) hearPostgreSQL(last byte) map[byte]string {
	c.tb.Helper()
	heard := map[byte]string{}
	for {
		head := c.hearBytes(5)
		heard[head[0]] = string(c.hearBytes(int(binary.BigEndian.Uint32(head[1:])) - 4))
		require.NotContains(c.tb, heard, byte('E'), "%q", heard)
		if head[0] == last {
			return heard
		}
	}
}

func usePostgreSQL(c *talk) {
	const who = "\x00\x03\x00\x00user\x00postgres\x00database\x00postgres\x00\x00"
	c.write(append(binary.BigEndian.AppendUint32(nil, 4+uint32(len(who))), who...))
	heard := c.hearPostgreSQL('Z')
	require.Equal(c.tb, "\x00\x00\x00\x00", heard['R'], "authenticated")
	require.Contains(c.tb, heard, byte('S'), "the status of a parameter")

	const query = "select version from pg_stat_ssl where ssl and pid = pg_backend_pid()\x00"
	c.write(append(binary.BigEndian.AppendUint32([]byte{'Q'}, 4+uint32(len(query))), query...))
	require.Contains(c.tb, c.hearPostgreSQL('Z')['D'], "TLSv1.3")
	c.say("X\x00\x00\x00\x04")
}

// mysqlCapabilities are CLIENT_PROTOCOL_41, CLIENT_SSL and
// CLIENT_SECURE_CONNECTION, the same in a login as in the request for TLS.
const mysqlCapabilities = 1<<9 | 1<<11 | 1<<15

// mysqlLogin is the first half of a login, which is the request for TLS.
func mysqlLogin() []byte {
	b := binary.LittleEndian.AppendUint32(nil, mysqlCapabilities)
	b = binary.LittleEndian.AppendUint32(b, 1<<24)
	return append(append(b, 45), make([]byte, 23)...)
}

func (c *talk) sayMySQL(number byte, packet []byte) {
	c.tb.Helper()
	c.write(append([]byte{byte(len(packet)), 0, 0, number}, packet...))
}

func (c *talk) hearMySQL(number byte) []byte {
	c.tb.Helper()
	head := c.hearBytes(4)
	require.Equal(c.tb, number, head[3])
	packet := c.hearBytes(int(head[0]) | int(head[1])<<8 | int(head[2])<<16)
	require.NotEqual(c.tb, byte(0xff), packet[0], "an error: %q", packet)
	return packet
}

func startMySQL(c *talk) {
	require.Equal(c.tb, byte(10), c.hearMySQL(0)[0], "the version of the protocol")
	c.sayMySQL(1, mysqlLogin())
}

func useMySQL(c *talk) {
	c.sayMySQL(2, append(mysqlLogin(), "somebody\x00\x00"...))
	require.Equal(c.tb, byte(0), c.hearMySQL(3)[0], "OK")
	c.sayMySQL(0, []byte("\x03show status like 'Ssl_version'"))
	require.Equal(c.tb, []byte{2}, c.hearMySQL(1), "two columns")
	c.hearMySQL(2)
	c.hearMySQL(3)
	require.Equal(c.tb, byte(0xfe), c.hearMySQL(4)[0], "the end of the columns")
	require.Equal(c.tb, "\x0bSsl_version\x07TLSv1.3", string(c.hearMySQL(5)))
	require.Equal(c.tb, byte(0xfe), c.hearMySQL(6)[0], "the end of the rows")
	c.sayMySQL(0, []byte{1}) // quit
}

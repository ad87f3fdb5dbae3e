package hostile

import (
	"context"
	"crypto/tls"
	"net"
)

// Flight says how a server cuts the messages of its handshake. The zero value leaves them as crypto/tls makes them.
type Flight struct {
	Size    int // content of a record; 0: as it is
	Padding int // of encrypted records: TLS 1.3's
	// After is sent again and again behind the ServerHello, in clear, and nothing else after it; nil: the flight goes on.
	After []byte
}

// FlightServer is a handler for tlstest.ServeRaw with handshakes that are cut so. It runs handle after those that succeed.
// The config's version must be one, TLS 1.2 or 1.3; tickets and key log are set here. ctx ends handshakes.
func FlightServer(ctx context.Context, config *tls.Config, flight Flight, handle func(*tls.Conn)) func(net.Conn) {
	return func(raw net.Conn) {
		config, log := config.Clone(), new(keyLog)
		config.KeyLogWriter, config.SessionTicketsDisabled = log, true
		cutter := &cutter{Conn: raw, flight: flight, log: log}
		conn := tls.Server(cutter, config)
		if conn.HandshakeContext(ctx) == nil {
			cutter.through = true
			handle(conn)
		}
	}
}

// cutter is what crypto/tls writes its flight to: whole records.
type cutter struct {
	net.Conn
	flight  Flight
	log     *keyLog
	suite   uint16
	in, out *sealer // nil: in clear
	through bool    // the rest goes as it is
}

func (c *cutter) Write(p []byte) (int, error) {
	if c.through {
		return c.Conn.Write(p)
	}
	var out []byte
	for rest := p; len(rest) > 0; {
		n := headerLen + int(rest[3])<<8 + int(rest[4])
		records, err := c.cut(rest[:n])
		if err != nil {
			return 0, err
		}
		out = append(out, records...)
		rest = rest[n:]
		if c.flight.After != nil {
			return 0, c.goOn(out)
		}
	}
	if _, err := c.Conn.Write(out); err != nil {
		return 0, err
	}
	return len(p), nil
}

// goOn sends After until the other side has gone.
func (c *cutter) goOn(first []byte) error {
	_, err := c.Conn.Write(first)
	for err == nil {
		_, err = c.Conn.Write(c.flight.After)
	}
	return err
}

// cut gives what one record becomes.
func (c *cutter) cut(record []byte) ([]byte, error) {
	contentType, content := record[0], record[headerLen:]
	seal := func(piece []byte) []byte {
		return append([]byte{contentType, 3, 3, byte(len(piece) >> 8), byte(len(piece))}, piece...)
	}
	switch {
	case c.through:
		return record, nil
	case contentType == Handshake && c.out == nil:
		if c.suite == 0 {
			c.suite = suiteOf(content)
		}
	case contentType == ApplicationData:
		var err error
		if contentType, content, err = c.open(record); err != nil {
			return nil, err
		}
		seal = func(piece []byte) []byte { return c.out.seal(contentType, piece, c.flight.Padding) }
	default:
		// Under TLS 1.2 what follows its change_cipher_spec is a Finished that cannot be opened here.
		c.through = contentType == ChangeCipherSpec && c.log.has("CLIENT_RANDOM")
		return record, nil
	}
	var out []byte
	for size := c.flight.Size; len(content) > 0; {
		if size == 0 || size > len(content) {
			size = len(content)
		}
		out = append(out, seal(content[:size])...)
		content = content[size:]
	}
	return out, nil
}

func (c *cutter) open(record []byte) (byte, []byte, error) {
	if c.in == nil {
		_, secret, err := c.log.find("SERVER_HANDSHAKE_TRAFFIC_SECRET")
		if err != nil {
			return 0, nil, err
		}
		if c.in, err = newSealer13(c.suite, secret); err != nil {
			return 0, nil, err
		}
		c.out, _ = newSealer13(c.suite, secret)
	}
	return c.in.open(record)
}

// suiteOf finds the cipher suite in a ServerHello (RFC 8446, section 4.1.3).
func suiteOf(hello []byte) uint16 {
	const session = 4 + 2 + 32
	at := session + 1 + int(hello[session])
	return uint16(hello[at])<<8 | uint16(hello[at+1])
}

package door

import (
	"net"

	"google.golang.org/grpc/credentials"
)

// Credentials meters the connections that inner has shaken hands on: above TLS,
// where there is any. What inner is given is a *[Conn], or a wrapper of one: to
// find the user at the other end of a Unix socket it has to follow NetConn.
func (d *Door) Credentials(inner credentials.TransportCredentials) credentials.TransportCredentials {
	return doorCredentials{inner, d}
}

type doorCredentials struct {
	credentials.TransportCredentials
	door *Door
}

func (c doorCredentials) ServerHandshake(conn net.Conn) (net.Conn, credentials.AuthInfo, error) {
	above, info, err := c.TransportCredentials.ServerHandshake(conn)
	if err != nil {
		return nil, nil, err
	}
	// inner may have taken the wrappers off.
	return c.door.meter(above, FromConn(conn), conn.RemoteAddr()), info, nil
}

func (c doorCredentials) Clone() credentials.TransportCredentials {
	return doorCredentials{c.TransportCredentials.Clone(), c.door}
}

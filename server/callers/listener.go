package callers

import "net"

// SecureListener marks what l accepts as connections of callers who speak TLS: the
// handshake is that of [Callers.Credentials]. It goes inside of wrappers whose
// connections hide what they wrap, and may go outside of those that tell by a
// method NetConn.
func SecureListener(l net.Listener) net.Listener { return secureListener{l} }

type secureListener struct{ net.Listener }

func (l secureListener) Accept() (net.Conn, error) {
	conn, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	return secureConn{conn}, nil
}

// secureConn is a connection that must begin with TLS.
type secureConn struct{ net.Conn }

func (c secureConn) NetConn() net.Conn { return c.Conn }

// innermost follows wrappers to what they wrap: a Unix socket tells its caller to
// nobody else. secure says whether a SecureListener was on the way.
func innermost(conn net.Conn) (inner net.Conn, secure bool) {
	for {
		if _, ok := conn.(secureConn); ok {
			secure = true
		}
		wrapper, ok := conn.(interface{ NetConn() net.Conn })
		if !ok {
			return conn, secure
		}
		conn = wrapper.NetConn()
	}
}

package door

import (
	"context"
	"net"
	"syscall"

	"google.golang.org/grpc/peer"
)

// Conn is a connection that was let in. Its methods may run as those of the
// connection below; Close gives its place back.
type Conn struct {
	net.Conn
	ticket *Ticket
	remote net.Addr
}

// NetConn returns the connection as it was accepted, for those who have to know
// its kind. It must not be closed.
func (c *Conn) NetConn() net.Conn { return c.Conn }

// DoorTicket returns the connection's place.
func (c *Conn) DoorTicket() *Ticket { return c.ticket }

// RemoteAddr returns the address of the other end, which carries the ticket: it
// is what every layer above hands up unchanged, TLS included, and what an RPC is
// told about its connection.
func (c *Conn) RemoteAddr() net.Addr { return c.remote }

// SyscallConn gives access to the descriptor (syscall.Conn), or fails with
// syscall.EINVAL where there is none.
func (c *Conn) SyscallConn() (syscall.RawConn, error) {
	if s, ok := innermost(c.Conn).(syscall.Conn); ok {
		return s.SyscallConn()
	}
	return nil, syscall.EINVAL
}

// innermost follows wrappers to the connection that the kernel knows.
func innermost(conn net.Conn) net.Conn {
	for {
		w, ok := conn.(interface{ NetConn() net.Conn })
		if !ok {
			return conn
		}
		conn = w.NetConn()
	}
}

// Close closes the connection.
func (c *Conn) Close() error {
	c.ticket.leave()
	return c.Conn.Close()
}

// address is a remote address with a ticket.
type address struct {
	net.Addr
	ticket *Ticket
}

// Unwrap returns addr as the network has it, a *net.TCPAddr for example.
func Unwrap(addr net.Addr) net.Addr {
	if a, ok := addr.(*address); ok {
		return a.Addr
	}
	return addr
}

// FromConn returns the ticket of a connection that came through a Door, whatever
// was wrapped around it since, or nil.
func FromConn(conn net.Conn) *Ticket { return fromAddr(conn.RemoteAddr()) }

// FromContext returns the ticket of the connection on which an RPC runs, or nil.
func FromContext(ctx context.Context) *Ticket {
	p, ok := peer.FromContext(ctx)
	if !ok {
		return nil
	}
	return fromAddr(p.Addr)
}

func fromAddr(addr net.Addr) *Ticket {
	if a, ok := addr.(*address); ok {
		return a.ticket
	}
	return nil
}

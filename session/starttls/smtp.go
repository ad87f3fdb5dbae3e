package starttls

import (
	"net"
	"net/netip"
)

func smtp(d *dialogue) error { return mail(d, "EHLO") }

// lmtp is SMTP with another word (RFC 2033, section 4.1).
func lmtp(d *dialogue) error { return mail(d, "LHLO") }

func mail(d *dialogue, hello string) error {
	if _, err := d.expect(codedRows, 220); err != nil {
		return err
	}
	d.greeted = true
	if err := d.say(hello + " " + addressLiteral(d.conn.LocalAddr()) + "\r\n"); err != nil {
		return err
	}
	r, err := d.expect(codedRows, 250)
	switch {
	case err != nil:
		return err
	case !offered(r.rows[1:], "STARTTLS"): // the first row is the peer's name
		return refused("")
	}
	if err := d.ask("STARTTLS\r\n"); err != nil {
		return err
	}
	_, err = d.expect(codedRows, 220)
	return err
}

// addressLiteral names this side as one that has no name is to do it (RFC 5321, section 4.1.3).
func addressLiteral(addr net.Addr) string {
	ip := netip.AddrFrom4([4]byte{127, 0, 0, 1}) // of what is not TCP
	if tcp, ok := addr.(*net.TCPAddr); ok {
		if a := tcp.AddrPort().Addr(); a.IsValid() {
			ip = a.Unmap().WithZone("")
		}
	}
	if ip.Is4() {
		return "[" + ip.String() + "]"
	}
	return "[IPv6:" + ip.String() + "]"
}

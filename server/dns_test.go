package server_test

import (
	"context"
	"net"
	"net/netip"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/net/dns/dnsmessage"
)

// nameServer is a DNS server on loopback that answers from a function.
type nameServer struct {
	conn    net.PacketConn
	queries atomic.Int64
}

// serveDNS answers A and AAAA questions with what answer returns for a name,
// given without the final dot; nil is NXDOMAIN.
func serveDNS(tb testing.TB, answer func(name string, nth int64) []string) *nameServer {
	tb.Helper()
	conn, err := net.ListenPacket("udp", "127.0.0.1:0")
	require.NoError(tb, err)
	ns := &nameServer{conn: conn}
	done := make(chan struct{})
	go func() {
		defer close(done)
		buf := make([]byte, 1500)
		for {
			n, from, err := conn.ReadFrom(buf)
			if err != nil {
				return
			}
			if reply, ok := ns.reply(buf[:n], answer); ok {
				_, _ = conn.WriteTo(reply, from)
			}
		}
	}()
	tb.Cleanup(func() { _ = conn.Close(); <-done })
	return ns
}

func (ns *nameServer) reply(query []byte, answer func(string, int64) []string) ([]byte, bool) {
	var m dnsmessage.Message
	if m.Unpack(query) != nil || len(m.Questions) != 1 {
		return nil, false
	}
	q := m.Questions[0]
	name := q.Name.String()
	addrs := answer(name[:len(name)-1], ns.queries.Add(1))
	m.Response, m.RecursionAvailable, m.Additionals = true, true, nil
	if addrs == nil {
		m.RCode = dnsmessage.RCodeNameError
	}
	for _, text := range addrs {
		a := netip.MustParseAddr(text)
		h := dnsmessage.ResourceHeader{Name: q.Name, Class: dnsmessage.ClassINET}
		switch {
		case a.Is4() && q.Type == dnsmessage.TypeA:
			m.Answers = append(m.Answers, dnsmessage.Resource{Header: h, Body: &dnsmessage.AResource{A: a.As4()}})
		case a.Is6() && q.Type == dnsmessage.TypeAAAA:
			m.Answers = append(m.Answers, dnsmessage.Resource{Header: h, Body: &dnsmessage.AAAAResource{AAAA: a.As16()}})
		}
	}
	out, err := m.Pack()
	return out, err == nil
}

// resolver is Go's resolver, asking the server alone.
func (ns *nameServer) resolver() *net.Resolver {
	return &net.Resolver{PreferGo: true, Dial: func(ctx context.Context, _, _ string) (net.Conn, error) {
		var d net.Dialer
		return d.DialContext(ctx, "udp", ns.conn.LocalAddr().String())
	}}
}

// addressList is a resolver that always gives the same addresses.
type addressList []string

func (l addressList) LookupNetIP(context.Context, string, string) (addrs []netip.Addr, err error) {
	for _, a := range l {
		addrs = append(addrs, netip.MustParseAddr(a))
	}
	return addrs, nil
}

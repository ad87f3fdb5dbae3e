//go:build !unix

package tlsengine

import "net"

// probe cannot be had here: TryRead waits.
type probe struct{}

func newProbe(net.Conn) *probe { return nil }

func (*probe) read([]byte) (int, error) { return 0, ErrWouldBlock }

func (*probe) await() error { return nil }

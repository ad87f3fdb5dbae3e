//go:build unix

package realserver

import (
	"fmt"
	"testing"

	"securesocket/tlsengine/tlstest"
)

// port is one that a server can be told to listen at.
type port struct {
	number int
}

// newPort takes a free port for as long as the test lasts. Servers get it, as they all
// ask with SO_REUSEADDR.
func newPort(tb testing.TB) *port {
	tb.Helper()
	return &port{tlstest.HoldPort(tb)}
}

func (p *port) String() string { return fmt.Sprint(p.number) }

func (p *port) addr() string { return fmt.Sprintf("127.0.0.1:%d", p.number) }

package cutproxy

import (
	"net"
	"sync"
)

// readSize is how much is forwarded at once.
const readSize = 32 << 10

// link is one connection through the proxy.
type link struct {
	p         *Proxy
	near, far net.Conn // the caller's side, the service's
	plan      Cut
	done      chan struct{}

	mu       sync.Mutex
	up, down int64         // forwarded
	silent   chan struct{} // closed by heal; nil: it is not silent
	ended    bool
}

func newLink(p *Proxy, near, far net.Conn, cut Cut) *link {
	return &link{p: p, near: near, far: far, plan: cut, done: make(chan struct{})}
}

// run forwards both directions until both have ended.
func (l *link) run() {
	if l.plan.Direction != Never && l.plan.After == 0 {
		l.cut(l.plan.How)
	}
	var wg sync.WaitGroup
	wg.Go(func() { l.pipe(Up, l.near, l.far) })
	wg.Go(func() { l.pipe(Down, l.far, l.near) })
	wg.Wait()
	l.close(FIN)
}

func (l *link) pipe(d Direction, from, to net.Conn) {
	buf := make([]byte, readSize)
	for {
		n, err := from.Read(buf)
		for p := buf[:n]; len(p) > 0; {
			allowed, last := l.allowed(d, len(p))
			if allowed == 0 {
				return
			}
			if last && l.plan.How == Silence {
				l.cut(Silence) // before anybody can see the last byte
			}
			if _, failed := to.Write(p[:allowed]); failed != nil {
				l.close(FIN)
				return
			}
			l.count(d, allowed)
			if last && l.plan.How != Silence {
				l.cut(l.plan.How)
			}
			p = p[allowed:]
		}
		if err != nil {
			l.awaitHeal()
			l.close(FIN)
			return
		}
	}
}

// allowed is how many of n bytes may go on now; 0: none ever will. It waits
// while the link is silent. last: the cut is due after them.
func (l *link) allowed(d Direction, n int) (allowed int, last bool) {
	if !l.awaitHeal() {
		return 0, false
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.ended {
		return 0, false
	}
	left := l.plan.After - l.forwarded(d)
	if d != l.plan.Direction || left <= 0 { // or it fell silent there before
		return n, false
	}
	return int(min(int64(n), left)), int64(n) >= left
}

// awaitHeal waits while the link is silent; false: it has ended.
func (l *link) awaitHeal() bool {
	l.mu.Lock()
	silent, ended := l.silent, l.ended
	l.mu.Unlock()
	if silent == nil {
		return !ended
	}
	select {
	case <-silent:
		return true
	case <-l.done:
		return false
	}
}

func (l *link) forwarded(d Direction) int64 {
	if d == Up {
		return l.up
	}
	return l.down
}

func (l *link) count(d Direction, n int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if d == Up {
		l.up += int64(n)
	} else {
		l.down += int64(n)
	}
}

func (l *link) cut(how How) {
	l.mu.Lock()
	fresh := !l.ended && l.silent == nil
	if fresh {
		l.p.cuts.Add(1)
	}
	if fresh && how == Silence {
		l.silent = make(chan struct{})
	}
	l.mu.Unlock()
	if how != Silence {
		l.close(how)
	}
}

func (l *link) heal() {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.silent != nil {
		close(l.silent)
		l.silent = nil
	}
}

// close ends both sides, once. Both loops end then.
func (l *link) close(how How) {
	l.mu.Lock()
	if l.ended {
		l.mu.Unlock()
		return
	}
	l.ended = true
	l.mu.Unlock()
	close(l.done)
	for _, c := range []net.Conn{l.near, l.far} {
		if tc, ok := c.(*net.TCPConn); ok && how == RST {
			_ = tc.SetLinger(0)
		} else if ok {
			_ = tc.CloseWrite() // a close alone would reset it if bytes are unread
		}
		_ = c.Close()
	}
}

func (l *link) counts() (up, down int64) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.up, l.down
}

package client

import (
	"context"
	"net"
	"net/http"
	"slices"
	"sync"
	"time"
)

// httpPool keeps the HTTP/2 connections of a Transport by address, and lets requests to one address wait for one dial.
type httpPool struct {
	idle time.Duration // how long a connection waits to be taken

	// choose is held while a connection is chosen or closed for being idle, so that none is closed between its choice
	// and its use. It is taken before mu, never inside.
	choose sync.Mutex

	mu    sync.Mutex
	hosts map[string]*httpHost
}

// httpHost is what is known about an address, under the pool's mu.
type httpHost struct {
	http1   bool               // the peer has chosen HTTP/1.1
	conns   []*http.ClientConn // HTTP/2
	waiting []*waitingConn     // HTTP/1.1, made by a dial for either, for Transport.http1 to take
	dial    *httpDial          // under way, or nil
	made    int                // how many dials have brought something
}

// waitingConn is closed by its timer if nobody takes it.
type waitingConn struct {
	net.Conn
	timer *time.Timer
}

// httpDial is a dial that requests wait for. The last one that gives up cancels it.
type httpDial struct {
	cancel  context.CancelFunc
	waiters int           // under the pool's mu
	done    chan struct{} // closed by the dial's goroutine

	// Written before done is closed.

	made *http.ClientConn // nil for HTTP/1.1
	err  error
}

type dialFunc func(ctx context.Context, address string) (*http.ClientConn, net.Conn, error)

// get returns an HTTP/2 connection on which a request is reserved, and whether it was dialled for this call; or nil where
// the peer speaks HTTP/1.1. ctx bounds the wait.
func (p *httpPool) get(ctx context.Context, address string, dial dialFunc) (_ *http.ClientConn, dialled bool, _ error) {
	for {
		conn, http1, made := p.reserve(address)
		if conn != nil || http1 {
			return conn, dialled, nil
		}
		joined, err := p.join(ctx, address, made, dial)
		if err != nil {
			return nil, false, err
		}
		dialled = dialled || joined
	}
}

// reserve takes a place on a connection that has one. made is of the host when it looked.
func (p *httpPool) reserve(address string) (_ *http.ClientConn, http1 bool, made int) {
	p.choose.Lock()
	defer p.choose.Unlock()
	p.mu.Lock()
	host := p.hostLocked(address)
	conns, http1, made := slices.Clone(host.conns), host.http1, host.made
	p.mu.Unlock()
	if http1 {
		return nil, true, made
	}
	// Outside mu, which the connection's hook takes.
	for _, conn := range conns {
		if conn.Reserve() == nil {
			return conn, false, made
		}
	}
	return nil, false, made
}

// join waits for the dial to address that is under way, or begins one. false: another has ended since reserve looked, and
// may have brought what this one would.
func (p *httpPool) join(ctx context.Context, address string, made int, dial dialFunc) (bool, error) {
	p.mu.Lock()
	host := p.hostLocked(address)
	d := host.dial
	if d == nil && host.made != made {
		p.mu.Unlock()
		return false, nil
	}
	if d == nil {
		// The dial is for every request that waits, so it does not end with the first one's context.
		dialContext, cancel := context.WithCancel(context.WithoutCancel(ctx))
		d = &httpDial{cancel: cancel, done: make(chan struct{})}
		host.dial = d
		go p.run(dialContext, address, d, dial)
	}
	d.waiters++
	p.mu.Unlock()

	var err error
	select {
	case <-d.done:
		if err = d.err; err == nil && d.made != nil {
			// Broken already: dialling again and again would not make it better.
			err = d.made.Err()
		}
	case <-ctx.Done():
		err = context.Cause(ctx)
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if d.waiters--; d.waiters == 0 {
		if host.dial == d { // it is given up: the next request begins another
			host.dial = nil
		}
		d.cancel()
	}
	p.tidyLocked(address)
	return true, err
}

// run is the goroutine of a dial.
func (p *httpPool) run(ctx context.Context, address string, d *httpDial, dial dialFunc) {
	made, conn, err := dial(ctx, address)
	p.mu.Lock()
	host := p.hostLocked(address)
	if host.dial == d {
		host.dial = nil
	}
	switch {
	case made != nil:
		host.conns = append(host.conns, made)
		host.made++
	case conn != nil:
		host.http1 = true
		host.made++
		w := &waitingConn{Conn: conn}
		w.timer = time.AfterFunc(p.idle, func() { p.drop(address, w) })
		host.waiting = append(host.waiting, w)
	}
	p.mu.Unlock()
	if made != nil {
		made.SetStateHook(func(cc *http.ClientConn) {
			if cc.Err() != nil {
				p.forget(address, cc)
			}
		})
	}
	d.made, d.err = made, err
	close(d.done)
}

// takeWaiting returns a connection that a dial for either protocol has left, or nil. The caller owns it.
func (p *httpPool) takeWaiting(address string) net.Conn {
	p.mu.Lock()
	defer p.mu.Unlock()
	host := p.hostLocked(address)
	if len(host.waiting) == 0 {
		return nil
	}
	w := host.waiting[0]
	host.waiting = host.waiting[1:]
	w.timer.Stop()
	return w.Conn
}

// drop closes a connection that nobody has taken.
func (p *httpPool) drop(address string, w *waitingConn) {
	p.mu.Lock()
	defer p.mu.Unlock()
	host := p.hostLocked(address)
	if i := slices.Index(host.waiting, w); i >= 0 {
		host.waiting = slices.Delete(host.waiting, i, i+1)
		_ = w.Close()
	}
}

// forget removes a connection that is broken.
func (p *httpPool) forget(address string, conn *http.ClientConn) {
	p.mu.Lock()
	defer p.mu.Unlock()
	host := p.hostLocked(address)
	host.conns = slices.DeleteFunc(host.conns, func(c *http.ClientConn) bool { return c == conn })
	p.tidyLocked(address)
}

// tidyLocked forgets an address about which there is nothing to know.
func (p *httpPool) tidyLocked(address string) {
	if h := p.hosts[address]; h != nil && !h.http1 && len(h.conns) == 0 && len(h.waiting) == 0 && h.dial == nil {
		delete(p.hosts, address)
	}
}

// closeIdle closes what no request uses, and forgets what is known beyond that.
func (p *httpPool) closeIdle() {
	p.choose.Lock()
	defer p.choose.Unlock()
	p.mu.Lock()
	var conns []*http.ClientConn
	for _, host := range p.hosts {
		conns = append(conns, host.conns...)
		host.http1 = false
		for _, w := range host.waiting {
			w.timer.Stop()
			_ = w.Close()
		}
		host.waiting = nil
	}
	p.mu.Unlock()
	for _, conn := range conns {
		if conn.InFlight() == 0 {
			_ = conn.Close() // its hook removes it
		}
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	for address := range p.hosts {
		p.tidyLocked(address)
	}
}

func (p *httpPool) hostLocked(address string) *httpHost {
	if p.hosts == nil {
		p.hosts = map[string]*httpHost{}
	}
	if p.hosts[address] == nil {
		p.hosts[address] = &httpHost{}
	}
	return p.hosts[address]
}

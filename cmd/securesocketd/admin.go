package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"strings"
	"sync/atomic"
	"time"

	"golang.org/x/net/netutil"

	"securesocket/server/metrics"
)

// The limits of the operator's listener.
const (
	adminConnections   = 256
	adminHeaderBytes   = 8 << 10
	adminHeaderTimeout = 2 * time.Second // whoever connects to say nothing holds a place for so long
	adminReadTimeout   = 10 * time.Second
	adminWriteTimeout  = 30 * time.Second // profiles get their own time on top
	adminIdleTimeout   = 60 * time.Second
)

// adminConfig is what operators are shown, and where.
type adminConfig struct {
	Listen  string       // unix:///PATH or a loopback IP:PORT; empty: nowhere
	Metrics http.Handler // nil: there are none
	// Ready says why the service should be sent nothing new, though it serves: memory
	// or descriptors are short. Nil: it never is. It must not block; its text is shown.
	Ready  func() error
	Policy func() metrics.Policy // which egress policy is in force; nil: it is not told
	Logger *slog.Logger          // nil: discards
}

// phase is how far the service has come.
type phase int32

const (
	phaseStarting phase = iota
	phaseServing
	phaseDraining
)

// admin is the operator's listener: HTTP/1.1 on a Unix socket of mode 0600 or on a
// loopback address, without authentication. Profiles are there alone. A nil *admin
// is one that nobody configured, and all its methods may be called; so may they
// at once.
type admin struct {
	server   *http.Server
	listener net.Listener
	stop     context.CancelFunc // ends profiles that are being taken
	done     chan struct{}      // closed when Serve has returned
	phase    atomic.Int32
}

// startAdmin begins to serve; the caller has to Close. Nothing is ready until Serving
// is called. Without an address it returns nil.
func startAdmin(cfg adminConfig) (*admin, error) {
	if cfg.Listen == "" {
		return nil, nil
	}
	if cfg.Logger == nil {
		cfg.Logger = slog.New(slog.DiscardHandler)
	}
	l, err := listenAdmin(cfg.Listen)
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithCancel(context.Background())
	a := &admin{listener: l, stop: cancel, done: make(chan struct{})}
	var protocols http.Protocols
	protocols.SetHTTP1(true)
	a.server = &http.Server{
		Handler:                      adminHandler(cfg, a.reason, tcpAddress(l.Addr())),
		BaseContext:                  func(net.Listener) context.Context { return ctx },
		Protocols:                    &protocols,
		MaxHeaderBytes:               adminHeaderBytes,
		ReadHeaderTimeout:            adminHeaderTimeout,
		ReadTimeout:                  adminReadTimeout,
		WriteTimeout:                 adminWriteTimeout,
		IdleTimeout:                  adminIdleTimeout,
		DisableGeneralOptionsHandler: true,
		ErrorLog:                     slog.NewLogLogger(cfg.Logger.Handler(), slog.LevelWarn),
	}
	go func() {
		defer close(a.done)
		if err := a.server.Serve(netutil.LimitListener(l, adminConnections)); !errors.Is(err, http.ErrServerClosed) {
			cfg.Logger.Error("the operator's listener has ended", "error", err)
		}
	}()
	return a, nil
}

// listenAdmin opens an address that the configuration has judged. It judges TCP once
// more: what is shown there is nobody else's business.
func listenAdmin(address string) (net.Listener, error) {
	if path, ok := strings.CutPrefix(address, "unix://"); ok {
		return listenUnix(path)
	}
	ap, err := netip.ParseAddrPort(address)
	if err != nil {
		return nil, err
	}
	if !ap.Addr().Unmap().IsLoopback() {
		return nil, fmt.Errorf("%s is not a loopback address", ap.Addr())
	}
	return net.ListenTCP("tcp", net.TCPAddrFromAddrPort(ap))
}

// tcpAddress is the address of a TCP listener, and invalid for any other.
func tcpAddress(a net.Addr) netip.AddrPort {
	tcp, ok := a.(*net.TCPAddr)
	if !ok {
		return netip.AddrPort{}
	}
	ap := tcp.AddrPort()
	return netip.AddrPortFrom(ap.Addr().Unmap().WithZone(""), ap.Port())
}

// Addr is where operators look; nil: nowhere.
func (a *admin) Addr() net.Addr {
	if a == nil {
		return nil
	}
	return a.listener.Addr()
}

// Own is Addr as one of the service's own addresses, which no session may reach;
// none for a Unix socket, which none can.
func (a *admin) Own() ownAddresses {
	if a == nil {
		return nil
	}
	if ap := tcpAddress(a.listener.Addr()); ap.IsValid() {
		return ownAddresses{ap}
	}
	return nil
}

// Serving says that callers are served from now on, unless the service drains
// already.
func (a *admin) Serving() {
	if a != nil {
		a.phase.CompareAndSwap(int32(phaseStarting), int32(phaseServing))
	}
}

// Draining says that the service takes nothing new any more.
func (a *admin) Draining() {
	if a != nil {
		a.phase.Store(int32(phaseDraining))
	}
}

// reason is why the phase makes the service not ready; empty: it does not.
func (a *admin) reason() string {
	switch phase(a.phase.Load()) {
	case phaseServing:
		return ""
	case phaseDraining:
		return "draining"
	default:
		return "starting"
	}
}

// Close stops in order: what has been asked is answered until ctx ends, and profiles
// that are being taken end at once. It waits, and may be called again.
func (a *admin) Close(ctx context.Context) {
	if a == nil {
		return
	}
	a.stop()
	if err := a.server.Shutdown(ctx); err != nil {
		_ = a.server.Close()
	}
	<-a.done
}

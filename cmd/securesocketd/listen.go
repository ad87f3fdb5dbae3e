package main

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"securesocket/server/callers"
)

// ownAddresses are the TCP addresses of the service, which no session may
// reach.
type ownAddresses = []netip.AddrPort

// listener is a listener and the address that callers use for it.
type listener struct {
	net.Listener
	address string
}

// listenAll opens every address, or none.
func listenAll(s settings) (all []listener, own ownAddresses, err error) {
	defer func() {
		if err != nil {
			for _, l := range all {
				_ = l.Close()
			}
			all = nil
		}
	}()
	for _, address := range s.Listen {
		l, err := listen(address)
		if err != nil {
			return all, nil, fmt.Errorf("%s: %w", s.Where("listen"), err)
		}
		all = append(all, l)
		if tcp, ok := l.Addr().(*net.TCPAddr); ok {
			ap := tcp.AddrPort()
			own = append(own, netip.AddrPortFrom(ap.Addr().Unmap().WithZone(""), ap.Port()))
		}
	}
	return all, own, nil
}

// listen opens one address, of which the configuration has judged the form.
func listen(address string) (listener, error) {
	if path, ok := strings.CutPrefix(address, "unix://"); ok {
		l, err := listenUnix(path)
		return listener{l, address}, err
	}
	scheme, hostPort, _ := strings.Cut(address, "://")
	l, err := net.Listen("tcp", hostPort)
	if err != nil {
		return listener{}, mendListen(err)
	}
	named := scheme + "://" + l.Addr().String()
	switch scheme {
	case "grpcs":
		return listener{callers.SecureListener(l), named}, nil
	case "grpc":
		return listener{l, named}, nil
	}
	_ = l.Close()
	return listener{}, fmt.Errorf("%s: only unix://, grpcs:// and grpc:// are served", address)
}

// mendListen says what would mend an address that cannot be listened at.
func mendListen(err error) error {
	switch {
	case errors.Is(err, syscall.EADDRINUSE):
		return fmt.Errorf("%w: end what listens there, or choose another port", err)
	case errors.Is(err, syscall.EADDRNOTAVAIL):
		return fmt.Errorf("%w: name an address of this machine, or 0.0.0.0 or [::] for all of them", err)
	case errors.Is(err, syscall.EACCES):
		return fmt.Errorf("%w: choose a port from 1024 on, or let the service's user have this one", err)
	}
	return err
}

// listenUnix makes a socket that only this user can use: its mode is 0600 from
// the first moment, and nobody else can replace it.
func listenUnix(path string) (net.Listener, error) {
	dir, err := prepareDir(filepath.Dir(path))
	if err != nil {
		return nil, err
	}
	unlock, err := lockDir(dir)
	if err != nil {
		return nil, err
	}
	defer unlock()
	if err := removeStale(path); err != nil {
		return nil, err
	}
	old := syscall.Umask(0o177)
	l, err := net.Listen("unix", path)
	syscall.Umask(old)
	if err != nil {
		return nil, err
	}
	return l, nil
}

// removeStale removes the socket of a service that has gone without doing so.
func removeStale(path string) error {
	info, err := os.Lstat(path)
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	if info.Mode()&os.ModeSocket == 0 {
		return fmt.Errorf("%s is there and is not a socket: remove it or choose another address", path)
	}
	conn, err := net.DialTimeout("unix", path, time.Second)
	if err == nil {
		_ = conn.Close()
		return fmt.Errorf("another service listens on %s: stop it or choose another address", path)
	}
	if !errors.Is(err, syscall.ECONNREFUSED) {
		return err
	}
	return os.Remove(path)
}

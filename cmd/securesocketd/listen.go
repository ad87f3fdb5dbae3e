package main

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// ownAddresses are the TCP addresses of the service, which no session may
// reach.
type ownAddresses = []netip.AddrPort

// maxSocketPath is the longest path of a Unix socket, on Linux (unix(7)).
const maxSocketPath = 107

// listener is a listener and the address that callers use for it.
type listener struct {
	net.Listener
	address string
}

// listenAll opens every address, or none.
func listenAll(f flags) (all []listener, own ownAddresses, err error) {
	defer func() {
		if err != nil {
			for _, l := range all {
				_ = l.Close()
			}
			all = nil
		}
	}()
	for _, address := range f.listen {
		l, err := listen(address, f.insecure)
		if err != nil {
			return all, nil, err
		}
		all = append(all, l)
		if tcp, ok := l.Addr().(*net.TCPAddr); ok {
			ap := tcp.AddrPort()
			own = append(own, netip.AddrPortFrom(ap.Addr().Unmap().WithZone(""), ap.Port()))
		}
	}
	return all, own, nil
}

func listen(address string, insecure bool) (listener, error) {
	if path, ok := strings.CutPrefix(address, "unix://"); ok {
		l, err := listenUnix(path)
		return listener{l, address}, err
	}
	hostPort, ok := strings.CutPrefix(address, "grpc://")
	if !ok {
		return listener{}, usagef("--listen: %q is neither unix:///PATH nor grpc://HOST:PORT", address)
	}
	if !insecure {
		return listener{}, usagef("--listen: %s is not encrypted and does not know its callers; give --insecure if that is what you want, or listen on unix:///PATH", address)
	}
	if _, port, err := net.SplitHostPort(hostPort); err != nil {
		return listener{}, usagef("--listen: %q: %w", address, err)
	} else if _, err := strconv.ParseUint(port, 10, 16); err != nil {
		return listener{}, usagef("--listen: %q: %q is not a port from 0 to 65535", address, port)
	}
	l, err := net.Listen("tcp", hostPort)
	if err != nil {
		return listener{}, fmt.Errorf("--listen: %w", err)
	}
	return listener{l, "grpc://" + l.Addr().String()}, nil
}

// listenUnix makes a socket that only this user can use: its mode is 0600 from
// the first moment, and nobody else can replace it.
func listenUnix(path string) (net.Listener, error) {
	if !filepath.IsAbs(path) {
		return nil, usagef("--listen: unix://%s: the path has to be absolute, as in unix:///run/s.sock", path)
	}
	if len(path) > maxSocketPath {
		return nil, usagef("--listen: unix://%s: the path has %d bytes; a socket's has at most %d", path, len(path), maxSocketPath)
	}
	dir, err := prepareDir(filepath.Dir(path))
	if err != nil {
		return nil, fmt.Errorf("--listen: %w", err)
	}
	unlock, err := lockDir(dir)
	if err != nil {
		return nil, fmt.Errorf("--listen: %w", err)
	}
	defer unlock()
	if err := removeStale(path); err != nil {
		return nil, fmt.Errorf("--listen: %w", err)
	}
	old := syscall.Umask(0o177)
	l, err := net.Listen("unix", path)
	syscall.Umask(old)
	if err != nil {
		return nil, fmt.Errorf("--listen: %w", err)
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
		return fmt.Errorf("%s is there and is not a socket: remove it or choose another --listen", path)
	}
	conn, err := net.DialTimeout("unix", path, time.Second)
	if err == nil {
		_ = conn.Close()
		return fmt.Errorf("another service listens on %s: stop it or choose another --listen", path)
	}
	if !errors.Is(err, syscall.ECONNREFUSED) {
		return err
	}
	return os.Remove(path)
}

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

	"securesocket/cmd/internal/daemonaddr"
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
	if _, _, err := net.SplitHostPort(hostPort); err != nil {
		return listener{}, usagef("--listen: %q: %w", address, err)
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
	if err := prepareDir(filepath.Dir(path)); err != nil {
		return nil, fmt.Errorf("--listen: %w", err)
	}
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

// prepareDir makes the socket's folder, or checks the one that is there.
func prepareDir(dir string) error {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	info, err := os.Lstat(dir)
	if err != nil {
		return err
	}
	st, ok := info.Sys().(*syscall.Stat_t)
	if !info.IsDir() || !ok {
		return fmt.Errorf("%s is not a folder", dir)
	}
	owner, perm := int(st.Uid), info.Mode().Perm()
	if dir == daemonaddr.Dir() {
		if owner != os.Geteuid() || perm&0o077 != 0 {
			return fmt.Errorf("the folder %s has mode %#o and belongs to uid %d; it has to have mode 0700 and belong to uid %d: remove it or choose another --listen", dir, perm, owner, os.Geteuid())
		}
		return nil
	}
	if perm&0o022 != 0 && info.Mode()&os.ModeSticky == 0 {
		return fmt.Errorf("others can write to the folder %s (mode %#o) and could replace the socket: choose another folder, or take the right away", dir, perm)
	}
	if owner != os.Geteuid() && owner != 0 {
		return fmt.Errorf("the folder %s belongs to uid %d, who could replace the socket: choose another folder", dir, owner)
	}
	return nil
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

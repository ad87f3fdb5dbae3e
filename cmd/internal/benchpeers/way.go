package benchpeers

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"time"

	"securesocket/client"
	"securesocket/cmd/internal/benchpeers/load"
	pb "securesocket/gen/securesocket/v1"
)

// way is one way to the peer: the service, another proxy, or none at all.
type way struct {
	name string
	// start brings it up. name is for its files, as it may run more than once.
	start func(ctx context.Context, name string) (*running, error)
	// most bounds its crowds; 0: no bound. why says where it is from.
	most int
	why  string
}

// running is a way that can be used.
type running struct {
	dial load.Dial
	// resuming is dial to the peer that resumes TLS sessions; nil where that is not measured.
	resuming load.Dial
	process  *process // nil: there is none in between
	end      func()
}

// The names of the ways, in the order of the table.
const (
	Direct     = "crypto/tls, direct"
	Shared     = "service, shared"
	Dedicated  = "service, dedicated"
	Resumable  = "service, resumable"
	Ghostunnel = "ghostunnel"
	Haproxy    = "haproxy"
	Stunnel    = "stunnel"
)

// dedicatedCrowd bounds crowds with an HTTP/2 connection for each session, which nobody would have.
const dedicatedCrowd = 1_000

// ways are those that can be measured here; the rest is noted.
func (b *bench) ways(ctx context.Context) []way {
	all := []way{
		{name: Direct, start: b.startDirect},
		{name: Shared, start: b.startService(func(*client.Dialer) {})},
		{name: Dedicated, most: dedicatedCrowd, why: "an HTTP/2 connection for each session is for few of them",
			start: b.startService(func(d *client.Dialer) { d.Dedicated = true })},
		{name: Resumable, start: b.startService(func(d *client.Dialer) { d.Resumable = true })},
	}
	for _, p := range b.proxies() {
		path, err := p.find()
		if err != nil {
			b.note("%s is left out: %v", p.name, err)
			continue
		}
		b.report.Versions = append(b.report.Versions, p.name+" "+versionOf(ctx, path, p.versionFlag))
		all = append(all, way{name: p.name, start: func(ctx context.Context, name string) (*running, error) {
			return b.startProxy(ctx, name, path, p)
		}})
	}
	return all
}

func (b *bench) startDirect(context.Context, string) (*running, error) {
	dial := func(peer peer, cache tls.ClientSessionCache) (load.Dial, error) {
		config, err := load.ClientConfig(peer.ca)
		if err != nil {
			return nil, err
		}
		config.ClientSessionCache = cache
		dialer := &tls.Dialer{Config: config}
		return func(ctx context.Context) (net.Conn, error) { return dialer.DialContext(ctx, "tcp", peer.address) }, nil
	}
	full, err := dial(b.peer, nil)
	if err != nil {
		return nil, err
	}
	resuming, err := dial(b.resumingPeer, tls.NewLRUClientSessionCache(0))
	return &running{dial: full, resuming: resuming, end: func() {}}, err
}

// startService returns what brings the service up, to be dialled as change has it.
func (b *bench) startService(change func(*client.Dialer)) func(ctx context.Context, name string) (*running, error) {
	return func(ctx context.Context, name string) (*running, error) {
		p, address, err := b.startRole(ctx, name, roleService, filepath.Join(b.dir, name+".s"))
		if err != nil {
			return nil, err
		}
		c, err := client.Dial(address)
		if err != nil {
			p.stop()
			return nil, err
		}
		return &running{
			dial:     ServiceDial(c, b.peer.address, b.peer.ca, change),
			resuming: ServiceDial(c, b.resumingPeer.address, b.resumingPeer.ca, change),
			process:  p, end: func() { _ = c.Close(); p.stop() },
		}, nil
	}
}

// ServiceDial reaches the peer at address through a service, as every other way does: trusting that authority (DER) and
// nobody else, with the one group that the peer takes.
func ServiceDial(c *client.Client, address string, ca []byte, change func(*client.Dialer)) load.Dial {
	dialer := &client.Dialer{
		Client: c, NoSystemRoots: true, RootCAs: [][]byte{ca}, MinVersion: tls.VersionTLS13,
		Settings: &pb.SessionSettings{Tls: &pb.TlsSettings{
			Groups: []string{"x25519"}, Revocation: pb.RevocationMode_REVOCATION_MODE_OFF,
		}},
	}
	change(dialer)
	return func(ctx context.Context) (net.Conn, error) { return dialer.DialContext(ctx, "tcp", address) }
}

// startProxy brings up a program that takes plain TCP on a port of 127.0.0.1 and speaks TLS to the peer.
func (b *bench) startProxy(ctx context.Context, name, path string, p proxy) (*running, error) {
	address, err := freeAddress()
	if err != nil {
		return nil, err
	}
	args, err := p.arguments(name, address)
	if err != nil {
		return nil, err
	}
	started, err := startProcess(b.dir, name, p.env, nil, append([]string{path}, args...)...)
	if err != nil {
		return nil, err
	}
	var dialer net.Dialer
	dial := func(ctx context.Context) (net.Conn, error) { return dialer.DialContext(ctx, "tcp", address) }
	err = started.await(ctx, func() error {
		ctx, cancel := context.WithTimeout(ctx, time.Second)
		defer cancel()
		s, err := load.Open(ctx, dial)
		if err != nil {
			return err
		}
		defer s.Close()
		_, err = s.Echo(load.MinMessage)
		return err
	})
	if err != nil {
		started.stop()
		return nil, err
	}
	return &running{dial: dial, process: started, end: started.stop}, nil
}

// freeAddress is one that nobody listens on now. Another program may take it meanwhile, and then the way does not start.
func freeAddress() (string, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	return l.Addr().String(), l.Close()
}

// find is where the program is.
func (p proxy) find() (string, error) {
	if p.path != "" {
		return exec.LookPath(p.path)
	}
	if p.packaged == "" {
		return "", errors.New("no binary was named (GHOSTUNNEL=PATH)")
	}
	// Where Debian has what is meant for daemons, which is on root's PATH alone.
	for _, name := range []string{p.name, "/usr/sbin/" + p.name} {
		if path, err := exec.LookPath(name); err == nil {
			return path, nil
		}
	}
	return "", fmt.Errorf("it is not installed (the package %s)", p.packaged)
}

// versionPattern finds a version that is not that of the Go it was built with.
var versionPattern = regexp.MustCompile(`(?:^|[^.\w])v?(\d+\.\d+[\w.+~-]*)`)

// versionOf asks a program for its version.
func versionOf(ctx context.Context, path, flag string) string {
	ctx, cancel := context.WithTimeout(ctx, startTimeout)
	defer cancel()
	said, _ := exec.CommandContext(ctx, path, flag).CombinedOutput() //nolint:gosec // the user named it
	if found := versionPattern.FindSubmatch(said); found != nil {
		return string(found[1])
	}
	return "of unknown version"
}

// writeConfig writes a proxy's configuration and returns its path.
func (b *bench) writeConfig(name string, lines ...string) (string, error) {
	path := filepath.Join(b.dir, name)
	return path, os.WriteFile(path, []byte(strings.Join(lines, "\n")+"\n"), 0o600)
}

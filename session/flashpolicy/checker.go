package flashpolicy

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strings"
	"time"
)

const (
	masterPort     = 843
	defaultTimeout = 3 * time.Second // Flash Player's patience with the master file
	defaultBytes   = 20 << 10
	maxBytes       = 1 << 20
	maxPorts       = 4
	maxOrigin      = 253
)

// Config says how files are asked for and who asks. Its zero value is of use.
type Config struct {
	// Origin is the domain or the IP address that a file's grants are compared with: what the domain of the SWF is to
	// Flash Player. Empty: only grants to everybody hold.
	Origin string
	// SecureOrigin: the origin may have what a file grants with secure="true", which Flash Player gives to SWFs that
	// came over HTTPS.
	SecureOrigin bool
	// Ports are asked last, in their order, unless the master file forbids it: what Security.loadPolicyFile is to a
	// SWF. At most 4.
	Ports []int
	// Timeout is for each file, with the dial and, over TLS, the handshake. 0: 3 s.
	Timeout time.Duration
	// MaxBytes is for each file, without the NUL at its end. 0: 20 KiB; at most 1 MiB.
	MaxBytes int
}

// ConfigError reports a [Config] that cannot be meant.
type ConfigError struct {
	Field string // "origin", "ports", "timeout" or "max_bytes"
	Why   string
}

func (e *ConfigError) Error() string { return e.Field + " " + e.Why }

// Checker asks for policy files and judges by them. A nil Checker asks nobody and allows everything.
type Checker struct {
	origin   origin
	ports    []int
	timeout  time.Duration
	maxBytes int
}

// New returns a Checker, or a ConfigError. It keeps nothing of cfg's memory.
func New(cfg Config) (*Checker, error) {
	name := strings.ToLower(strings.TrimSuffix(cfg.Origin, "."))
	ip, err := netip.ParseAddr(name)
	switch {
	case ip.Zone() != "", err != nil && (strings.ContainsAny(name, "*:/ \t") || len(name) > maxOrigin):
		return nil, &ConfigError{"origin", "is neither a domain nor an IP address"}
	case len(cfg.Ports) > maxPorts:
		return nil, &ConfigError{"ports", fmt.Sprintf("are more than %d", maxPorts)}
	case cfg.Timeout < 0:
		return nil, &ConfigError{"timeout", "is negative"}
	case cfg.MaxBytes < 0 || cfg.MaxBytes > maxBytes:
		return nil, &ConfigError{"max_bytes", fmt.Sprintf("is not in 0..%d", maxBytes)}
	}
	for _, p := range cfg.Ports {
		if p < 1 || p > 65535 {
			return nil, &ConfigError{"ports", fmt.Sprintf("have %d, which is none", p)}
		}
	}
	c := &Checker{
		origin:   origin{name: name, ip: ip.Unmap(), secure: cfg.SecureOrigin},
		ports:    slices.Clone(cfg.Ports),
		timeout:  cfg.Timeout,
		maxBytes: cfg.MaxBytes,
	}
	if c.timeout == 0 {
		c.timeout = defaultTimeout
	}
	if c.maxBytes == 0 {
		c.maxBytes = defaultBytes
	}
	return c, nil
}

// Dial connects to a port of the host that Check is about, at an address that was judged as the host's own is. It ends
// when ctx does. The connection is closed by who called.
type Dial func(ctx context.Context, port int) (net.Conn, error)

// Check returns nil if a policy file of host lets the origin connect to port, or if c is nil. The host is for errors
// alone. Where the connect is to be secure, secureDial makes connections over TLS, and each port that answers without a
// file in clear is asked once more over TLS; nil: it is not.
//
// A Dial that fails, for whatever reason, is a port without a file. Each port takes Timeout at most, and as much again over
// TLS; a port 843 that is filtered rather than closed takes all of it, each time. The errors are DeniedError and, when ctx
// has ended, one that wraps ctx's cause. A connection over TLS may take longer to close, if its Close waits.
func (c *Checker) Check(ctx context.Context, host string, port int, dial, secureDial Dial) error {
	if c == nil {
		return nil
	}
	denied := &DeniedError{Rule: RuleNone, Source: sources(host, c.order(port)), Why: "no policy file was found"}
	for _, from := range c.order(port) {
		f, source, err := c.fetch(ctx, host, from, dial, secureDial)
		if err != nil {
			return err
		}
		if f == nil {
			continue
		}
		if from == masterPort && f.meta == metaNone {
			return &DeniedError{Rule: RuleMetaPolicy, Source: source, Why: "the master policy file permits no policy files"}
		}
		if f.allows(c.origin, from, port) {
			return nil
		}
		denied = &DeniedError{Rule: RuleNotAllowed, Source: source, Why: "the policy file does not grant the port to the origin"}
		if from == masterPort && f.meta == metaMasterOnly {
			break
		}
	}
	return denied
}

// order has the ports that are asked for a file, each once.
func (c *Checker) order(port int) []int {
	ports := []int{masterPort}
	for _, p := range append([]int{port}, c.ports...) {
		if !slices.Contains(ports, p) {
			ports = append(ports, p)
		}
	}
	return ports
}

// fetch returns the file of a port and where it came from; no file and no error: there is none.
func (c *Checker) fetch(ctx context.Context, host string, port int, dial, secureDial Dial) (*file, string, error) {
	source := sources(host, []int{port})
	text, answered := c.ask(ctx, port, dial)
	if text.nothing() && answered && secureDial != nil && ctx.Err() == nil {
		source += " over TLS"
		text, _ = c.ask(ctx, port, secureDial)
	}
	if ctx.Err() != nil {
		return nil, "", fmt.Errorf("asking %s for a policy file: %w", source, context.Cause(ctx))
	}
	f, err := text.file()
	if err != nil {
		return nil, "", &DeniedError{Rule: RuleMalformed, Source: source, Why: err.Error()}
	}
	return f, source, nil
}

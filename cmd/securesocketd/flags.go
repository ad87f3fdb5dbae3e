package main

import (
	"io"
	"log/slog"
	"time"

	"github.com/spf13/pflag"

	"securesocket/cmd/internal/daemonaddr"
	"securesocket/server/egress"
)

// flags is what the operator chose.
type flags struct {
	listen       []string
	insecure     bool
	egressAllow  []string
	legacyTLS    bool
	drainTimeout time.Duration
	logFormat    string
}

const defaultDrainTimeout = 30 * time.Second

func (f *flags) register(fs *pflag.FlagSet) {
	fs.StringArrayVar(&f.listen, "listen", nil, "serve on `ADDRESS`, unix:///PATH or grpc://HOST:PORT; repeatable (default "+daemonaddr.Default()+")")
	fs.BoolVar(&f.insecure, "insecure", false, "allow grpc:// addresses: no encryption, and every caller is \"anonymous\"")
	fs.StringArrayVar(&f.egressAllow, "egress-allow", nil, "allow callers to reach `TARGET`, a CIDR, HOST or HOST:PORT, and only what is allowed so; repeatable")
	fs.BoolVar(&f.legacyTLS, "legacy-tls", false, "let callers ask for TLS 1.0, TLS 1.1 and insecure cipher suites")
	fs.DurationVar(&f.drainTimeout, "drain-timeout", defaultDrainTimeout, "how long live connections may go on after SIGTERM")
	fs.StringVar(&f.logFormat, "log-format", "text", "text or json")
}

func (f *flags) check() error {
	if f.drainTimeout < 0 {
		return usagef("--drain-timeout: %v is negative", f.drainTimeout)
	}
	if len(f.listen) == 0 {
		f.listen = []string{daemonaddr.Default()}
	}
	return nil
}

func (f *flags) logger(w io.Writer) (*slog.Logger, error) {
	switch f.logFormat {
	case "text":
		return slog.New(slog.NewTextHandler(w, nil)), nil
	case "json":
		return slog.New(slog.NewJSONHandler(w, nil)), nil
	}
	return nil, usagef("--log-format: %q is neither text nor json", f.logFormat)
}

func (f *flags) policy(own ownAddresses) (*egress.Policy, error) {
	p, err := egress.New(egress.Config{Allow: f.egressAllow, HasAllowList: len(f.egressAllow) > 0, Own: own})
	if err != nil {
		return nil, usagef("--egress-allow: %w", err)
	}
	return p, nil
}

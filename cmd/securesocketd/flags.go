package main

import (
	"io"
	"log/slog"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/pflag"

	"securesocket/cmd/internal/daemonaddr"
	"securesocket/server"
	"securesocket/server/egress"
	"securesocket/server/listening"
)

// flags is what the operator chose.
type flags struct {
	listen       []string
	insecure     bool
	egressAllow  []string
	listenAllow  []string
	legacyTLS    bool
	drainTimeout time.Duration
	logFormat    string

	dataDir        string
	bundles        []string
	identities     []string
	administrators []string
	forbidOverride bool
	crlMaxAge      time.Duration
}

const (
	defaultDrainTimeout = 30 * time.Second
	defaultCRLMaxAge    = 7 * 24 * time.Hour
)

func (f *flags) register(fs *pflag.FlagSet) {
	fs.StringArrayVar(&f.listen, "listen", nil, "serve on `ADDRESS`, unix:///PATH or grpc://HOST:PORT; repeatable (default "+daemonaddr.Default()+")")
	fs.BoolVar(&f.insecure, "insecure", false, "allow grpc:// addresses: no encryption, and every caller is \"anonymous\"")
	fs.StringArrayVar(&f.egressAllow, "egress-allow", nil, "allow callers to reach `TARGET`, a CIDR, HOST or HOST:PORT, and only what is allowed so; repeatable")
	fs.StringArrayVar(&f.listenAllow, "listen-allow", nil, "let callers listen at `TARGET` too, an ADDRESS, ADDRESS:PORT, ADDRESS:FIRST-LAST or CIDR of this machine; without it they may at loopback addresses alone, and with the word none nowhere; repeatable")
	fs.BoolVar(&f.legacyTLS, "legacy-tls", false, "let callers ask for TLS 1.0, TLS 1.1 and insecure cipher suites")
	fs.DurationVar(&f.drainTimeout, "drain-timeout", defaultDrainTimeout, "how long live connections may go on after SIGTERM")
	fs.StringVar(&f.dataDir, "data-dir", os.Getenv("STATE_DIRECTORY"), "keep callers' defaults and trust over restarts in `DIR`; without it they are kept in memory")
	fs.StringArrayVar(&f.bundles, "bundle", nil, "let callers name the certificates of a file (PEM or DER) as `NAME=FILE`; repeatable")
	fs.StringArrayVar(&f.identities, "identity", nil, "let callers show a client certificate that they never see the key of, as `NAME=CERT_FILE,KEY_FILE` (PEM); repeatable")
	fs.StringArrayVar(&f.administrators, "administrator", []string{ownPrincipal()}, "let `PRINCIPAL`, as uid:1000, change the service's trust anchors; repeatable")
	fs.BoolVar(&f.forbidOverride, "forbid-override", false, "let nobody accept a certificate with problems")
	fs.DurationVar(&f.crlMaxAge, "crl-max-age", defaultCRLMaxAge, "how old a server certificate's CRL may be although it calls itself current; 0: as old as it says")
	fs.StringVar(&f.logFormat, "log-format", "text", "text or json")
}

func (f *flags) check() error {
	if f.drainTimeout < 0 {
		return usagef("--drain-timeout: %v is negative", f.drainTimeout)
	}
	for _, p := range f.administrators {
		uid, ok := strings.CutPrefix(p, "uid:")
		if _, err := strconv.ParseUint(uid, 10, 32); p != server.Anonymous && (!ok || err != nil) {
			return usagef("--administrator: %q is no principal: uid:NUMBER, or %s", p, server.Anonymous)
		}
	}
	switch {
	case f.crlMaxAge < 0:
		return usagef("--crl-max-age: %v is negative", f.crlMaxAge)
	case f.crlMaxAge == 0:
		f.crlMaxAge = -1 // the engine's way to say it
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

// listening is where callers may listen.
func (f *flags) listening() (*listening.Policy, error) {
	p, err := listening.New(listening.Config{Allow: f.listenAllow})
	if err != nil {
		return nil, usagef("--listen-allow: %w", err)
	}
	return p, nil
}

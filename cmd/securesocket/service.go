package main

import (
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"os"

	"github.com/spf13/cobra"

	"securesocket/client"
	"securesocket/cmd/internal/daemonaddr"
)

// serviceFlags say which service is used. They belong to every command.
type serviceFlags struct {
	server      string
	embedded    bool
	egressAllow []string
	listenAllow []string
	legacyTLS   bool
	access      accessFlags
}

const addressVariable = "SECURESOCKET_ADDR"

func (f *serviceFlags) register(root *cobra.Command) {
	flags := root.PersistentFlags()
	flags.StringVar(&f.server, "server", "", "the service's `ADDR`: unix:///PATH, grpcs://HOST:PORT (TLS) or grpc://HOST:PORT (default $"+addressVariable+", else "+daemonaddr.Default()+")")
	flags.BoolVar(&f.embedded, "embedded", false, "run the whole service inside this process")
	flags.StringArrayVar(&f.egressAllow, "egress-allow", nil, "with --embedded: `TARGET`, a CIDR, HOST or HOST:PORT, that may be reached, and then only those; repeatable")
	flags.StringArrayVar(&f.listenAllow, "listen-allow", nil, "with --embedded: `TARGET`, an ADDRESS, ADDRESS:PORT, ADDRESS:FIRST-LAST or CIDR, at which may be listened beside loopback addresses; repeatable")
	flags.BoolVar(&f.legacyTLS, "legacy-tls", false, "with --embedded: TLS 1.0, TLS 1.1 and insecure cipher suites may be asked for")
	f.access.register(flags)
}

// address is where the service is, unless it is embedded.
func (f *serviceFlags) address() string {
	if f.server != "" {
		return f.server
	}
	if addr := os.Getenv(addressVariable); addr != "" {
		return addr
	}
	return daemonaddr.Default()
}

// open returns a client of the service, and the function that ends it, and the service if it is embedded.
func (f *serviceFlags) open(options ...client.Option) (*client.Client, func(), error) {
	switch {
	case f.embedded && f.server != "":
		return nil, nil, usagef("--server and --embedded name two services; give one")
	case f.embedded && f.access.given() != "":
		return nil, nil, usagef("%s: an embedded service knows its only caller", f.access.given())
	case !f.embedded && (len(f.egressAllow)+len(f.listenAllow) > 0 || f.legacyTLS):
		return nil, nil, usagef("--egress-allow, --listen-allow and --legacy-tls need --embedded; a daemon has its own")
	}
	if !f.embedded && f.address() == daemonaddr.Default() {
		if err := daemonaddr.CheckDir(daemonaddr.Dir()); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return nil, nil, fmt.Errorf("the default service is not to be trusted: %w", err)
		}
	}
	if f.embedded {
		config, err := embeddedConfig(f.egressAllow, f.listenAllow, f.legacyTLS)
		if err != nil {
			return nil, nil, err
		}
		return openEmbedded(config)
	}
	c, err := f.access.dial(f.address(), options...)
	if bad, ok := errors.AsType[*client.AddressError](err); ok {
		return nil, nil, usagef("%s: %q: %s", cmp.Or(f.addressFrom(), "the default address"), bad.Address, bad.Problem)
	}
	if err != nil {
		return nil, nil, &usageError{err}
	}
	return c, func() { _ = c.Close() }, nil
}

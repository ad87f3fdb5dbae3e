package main

import (
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"securesocket/client"
	pb "securesocket/gen/securesocket/v1"
)

// listenFlags say what peers that connect are shown, and what they must show.
type listenFlags struct {
	identity    identityFlags
	clientCAs   []string
	clientAuth  string
	verifyNames []string
	revocation  string
	alpn        []string
	requireALPN bool
	minVersion  string
	plain       bool

	all *pflag.FlagSet // those that are about TLS
}

func (f *listenFlags) register(cmd *cobra.Command) {
	flags := pflag.NewFlagSet("", pflag.ContinueOnError)
	f.all = flags
	f.identity.register(flags, "")
	flags.StringArrayVar(&f.clientCAs, "client-ca", nil, "judge clients' certificates by the anchors in the `FILE`, PEM or DER, and no others; repeatable")
	flags.StringVar(&f.clientAuth, "client-auth", "", "whether clients have to show a certificate, `MODE`: none, request, require (any), verify-if-given or require-and-verify (default require-and-verify with --client-ca, else none)")
	flags.StringArrayVar(&f.verifyNames, "verify-name", nil, "`NAME` that a client's certificate must carry; of several, one; repeatable")
	flags.StringVar(&f.revocation, "revocation", "", "`MODE` in which revocation is checked: off, soft or hard (default soft)")
	flags.StringArrayVar(&f.alpn, "alpn", nil, "speak the application `PROTOCOL`, most wanted first; repeatable")
	flags.BoolVar(&f.requireALPN, "require-alpn", false, "refuse a client that offers no protocol of --alpn")
	flags.StringVar(&f.minVersion, "min-version", "", "the oldest TLS `VERSION`: tls1.0 to tls1.3 (default tls1.2)")
	cmd.Flags().AddFlagSet(flags)
	cmd.Flags().BoolVar(&f.plain, "plain", false, "leave TLS out: bytes move in clear")
}

// config reads the flags and the files they name.
func (f *listenFlags) config() (*client.ListenConfig, error) {
	if f.plain {
		if given := givenFlags(f.all); given != "" {
			return nil, usagef("--plain leaves TLS out, and with it what this is about: %s", given)
		}
		return &client.ListenConfig{Plain: true}, nil
	}
	identities, err := f.identity.identities()
	if err != nil {
		return nil, err
	}
	if len(identities) == 0 {
		return nil, usagef("TLS's server needs a certificate: give --cert and --key, or --identity, or --plain for no TLS")
	}
	auth, err := f.auth()
	if err != nil {
		return nil, err
	}
	if err := checkALPN(f.alpn, f.requireALPN); err != nil {
		return nil, err
	}
	version, err := parseVersion(f.minVersion)
	if err != nil {
		return nil, err
	}
	revocation, err := parseRevocation(f.revocation)
	if err != nil {
		return nil, err
	}
	anchors, err := readAnchors("--client-ca", f.clientCAs)
	if err != nil {
		return nil, err
	}
	settings := &pb.TlsSettings{
		Identities:  identities,
		MinVersion:  version,
		VerifyNames: f.verifyNames,
		Revocation:  revocation,
		// The user's defaults may say ASK; whom nobody would answer is not to be asked.
		Override: pb.OverrideMode_OVERRIDE_MODE_STRICT,
	}
	return &client.ListenConfig{
		Settings: &pb.SessionSettings{Tls: settings}, ClientAuth: auth, ClientCAs: anchors,
		ALPN: f.alpn, RequireALPN: f.requireALPN,
	}, nil
}

// clientAuths are the modes by the names that --client-auth has for them.
var clientAuths = map[string]pb.ClientAuth{
	"none":               pb.ClientAuth_CLIENT_AUTH_NONE,
	"request":            pb.ClientAuth_CLIENT_AUTH_REQUEST,
	"require":            pb.ClientAuth_CLIENT_AUTH_REQUIRE,
	"verify-if-given":    pb.ClientAuth_CLIENT_AUTH_VERIFY_IF_GIVEN,
	"require-and-verify": pb.ClientAuth_CLIENT_AUTH_REQUIRE_AND_VERIFY,
}

// auth is never left to the user's defaults.
func (f *listenFlags) auth() (pb.ClientAuth, error) {
	name := f.clientAuth
	switch {
	case name != "":
	case len(f.clientCAs) > 0:
		name = "require-and-verify"
	default:
		name = "none"
	}
	auth, ok := clientAuths[name]
	switch {
	case !ok:
		return 0, usagef("--client-auth: %q is none of none, request, require, verify-if-given, require-and-verify", name)
	case auth != pb.ClientAuth_CLIENT_AUTH_NONE:
		return auth, nil
	case len(f.clientCAs) > 0 || len(f.verifyNames) > 0 || f.revocation != "":
		return 0, usagef("--client-ca, --verify-name and --revocation are about clients' certificates, and none is asked for; see --client-auth")
	}
	return auth, nil
}

// givenFlags are the flags that were given, as on the command line; "" if none was.
func givenFlags(flags *pflag.FlagSet) string {
	var given []string
	flags.VisitAll(func(flag *pflag.Flag) {
		if flag.Changed {
			given = append(given, "--"+flag.Name)
		}
	})
	return strings.Join(given, ", ")
}

package main

import (
	"strings"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
	"google.golang.org/protobuf/types/known/durationpb"

	pb "securesocket/gen/securesocket/v1"
)

// tlsFlags say how a connection is made and what its peer must show.
type tlsFlags struct {
	cafiles       []string
	noSystemRoots bool
	alpn          []string
	requireALPN   bool
	serverName    string
	minVersion    string
	verifyNames   []string
	timeout       time.Duration
	revocation    string
	pins          []string
	groups        []string
	noResumption  bool
	identity      identityFlags
	proxy         proxyFlag

	all *pflag.FlagSet // those that are about TLS
}

func (f *tlsFlags) register(cmd *cobra.Command) {
	flags := pflag.NewFlagSet("", pflag.ContinueOnError)
	f.all = flags
	registerCafile(flags, &f.cafiles)
	flags.BoolVar(&f.noSystemRoots, "no-system-roots", false, "trust those of --cafile and nothing else")
	flags.StringArrayVar(&f.alpn, "alpn", nil, "offer the application `PROTOCOL`, most wanted first; repeatable")
	flags.BoolVar(&f.requireALPN, "require-alpn", false, "refuse a peer that chooses no protocol of --alpn")
	flags.StringVar(&f.serverName, "server-name", "", "send `NAME` (SNI) instead of HOST; empty: send none")
	flags.StringVar(&f.minVersion, "min-version", "", "the oldest TLS `VERSION`: tls1.0 to tls1.3 (default tls1.2)")
	flags.StringArrayVar(&f.verifyNames, "verify-name", nil, "`NAME` that the certificate must carry instead of HOST; of several, one; repeatable")
	flags.StringVar(&f.revocation, "revocation", "", "`MODE` in which revocation is checked: off, soft (what cannot be found out is accepted) or hard (it is refused) (default soft)")
	flags.StringArrayVar(&f.pins, "pin", nil, "`SHA256` of a public key (SubjectPublicKeyInfo), in hex or base64, that the chain must have; of several, one; repeatable")
	flags.StringArrayVar(&f.groups, "group", nil, "offer the key exchange group `NAME`, and only those named; repeatable")
	flags.BoolVar(&f.noResumption, "no-resumption", false, "resume no TLS session")
	f.identity.register(flags, "client-")
	cmd.Flags().AddFlagSet(flags)
	cmd.Flags().DurationVar(&f.timeout, "timeout", 0, "how long connecting may take (default the service's, 20s)")
	f.proxy.register(cmd.Flags())
}

// settings reads the flags of cmd and the files they name.
func (f *tlsFlags) settings(cmd *cobra.Command) (*pb.SessionSettings, [][]byte, error) {
	version, err := parseVersion(f.minVersion)
	if err != nil {
		return nil, nil, err
	}
	if f.timeout < 0 {
		return nil, nil, usagef("--timeout: %v is negative", f.timeout)
	}
	if f.noSystemRoots && len(f.cafiles) == 0 {
		return nil, nil, usagef("--no-system-roots without --cafile trusts nobody")
	}
	if err := checkALPN(f.alpn, f.requireALPN); err != nil {
		return nil, nil, err
	}
	revocation, err := parseRevocation(f.revocation)
	if err != nil {
		return nil, nil, err
	}
	pins, err := parsePins(f.pins)
	if err != nil {
		return nil, nil, err
	}
	anchors, err := readAnchors("--cafile", f.cafiles)
	if err != nil {
		return nil, nil, err
	}
	identities, err := f.identity.identities()
	if err != nil {
		return nil, nil, err
	}
	proxy, err := f.proxy.settings()
	if err != nil {
		return nil, nil, err
	}
	settings := &pb.SessionSettings{Proxy: proxy, Tls: &pb.TlsSettings{
		AlpnProtocols: f.alpn,
		MinVersion:    version,
		VerifyNames:   f.verifyNames,
		Revocation:    revocation,
		Groups:        f.groups,
		Identities:    identities,
		// The user's defaults may say ASK; whom nobody would answer is not to be asked.
		Override: pb.OverrideMode_OVERRIDE_MODE_STRICT,
	}}
	if f.requireALPN {
		settings.Tls.RequireAlpn = new(true)
	}
	if f.noResumption {
		settings.Tls.Resumption = new(false)
	}
	if cmd.Flags().Changed("server-name") {
		settings.Tls.ServerName = &f.serverName
	}
	settings.Tls.Trust = trustSettings(f.noSystemRoots, pins)
	if f.timeout > 0 {
		settings.ConnectTimeout = durationpb.New(f.timeout)
	}
	return settings, anchors, nil
}

// versions are the versions of the protocol by the end of their names: "1.2" of "tls1.2" and "TLSv1.2".
var versions = map[string]pb.ProtocolVersion{
	"1.0": pb.ProtocolVersion_PROTOCOL_VERSION_TLS1_0,
	"1.1": pb.ProtocolVersion_PROTOCOL_VERSION_TLS1_1,
	"1.2": pb.ProtocolVersion_PROTOCOL_VERSION_TLS1_2,
	"1.3": pb.ProtocolVersion_PROTOCOL_VERSION_TLS1_3,
}

func parseVersion(s string) (pb.ProtocolVersion, error) {
	if s == "" {
		return pb.ProtocolVersion_PROTOCOL_VERSION_UNSPECIFIED, nil
	}
	number := strings.TrimPrefix(strings.TrimPrefix(strings.ToLower(s), "tls"), "v")
	version, ok := versions[number]
	if !ok {
		return 0, usagef("--min-version: %q is none of tls1.0, tls1.1, tls1.2, tls1.3", s)
	}
	return version, nil
}

// checkALPN judges --alpn and --require-alpn. No protocol has a comma in its name: who writes one means several.
func checkALPN(protocols []string, required bool) error {
	if required && len(protocols) == 0 {
		return usagef("--require-alpn without --alpn refuses everybody")
	}
	for _, p := range protocols {
		if strings.Contains(p, ",") {
			return usagef("--alpn: %q is no protocol; repeat the flag for each: --alpn %s", p, strings.Join(strings.Split(p, ","), " --alpn "))
		}
	}
	return nil
}

// trustSettings are nil where everything is as by default.
func trustSettings(noSystemRoots bool, pins [][]byte) *pb.TrustSettings {
	trust := &pb.TrustSettings{SpkiSha256Pins: pins}
	switch {
	case noSystemRoots:
		trust.Base = pb.TrustSettings_BASE_NONE
	case len(pins) == 0:
		return nil
	}
	return trust
}

func parseRevocation(s string) (pb.RevocationMode, error) {
	switch s {
	case "":
		return pb.RevocationMode_REVOCATION_MODE_UNSPECIFIED, nil
	case "off":
		return pb.RevocationMode_REVOCATION_MODE_OFF, nil
	case "soft":
		return pb.RevocationMode_REVOCATION_MODE_SOFT, nil
	case "hard":
		return pb.RevocationMode_REVOCATION_MODE_HARD, nil
	}
	return 0, usagef("--revocation: %q is none of off, soft, hard", s)
}

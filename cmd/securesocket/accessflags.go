package main

import (
	"cmp"
	"errors"
	"fmt"
	"os"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"securesocket/client"
)

const (
	caCertVariable    = "SECURESOCKET_CACERT"
	certVariable      = "SECURESOCKET_CERT"
	keyVariable       = "SECURESOCKET_KEY"
	tokenFileVariable = "SECURESOCKET_TOKEN_FILE"
)

// accessFlags say to the service who calls, and to this side who the service is. They have nothing to do with peers:
// those have --cafile and --client-cert. All are names of files: what is on the command line, every process of the machine
// can read.
type accessFlags struct {
	caCert, cert, key, tokenFile string
	// listen is set where --cert and --key are those of a listener, and so have other names.
	listen bool
}

func (f *accessFlags) register(flags *pflag.FlagSet) {
	flags.StringVar(&f.caCert, "cacert", "", "trust the authorities in the PEM `FILE`, and no others, to say who the service at grpcs:// is (default $"+caCertVariable+", else the system's)")
	flags.StringVar(&f.cert, "cert", "", "show the certificate chain in the PEM `FILE` to the service at grpcs:// (default $"+certVariable+")")
	flags.StringVar(&f.key, "key", "", "the private key that belongs to --cert, in a PEM `FILE`; it stays here (default $"+keyVariable+")")
	flags.StringVar(&f.tokenFile, "token-file", "", "send the bearer token in the `FILE` to the service, over TLS or a Unix socket (default $"+tokenFileVariable+")")
}

// registerForListen gives names to what --cert and --key are for every other command.
func (f *accessFlags) registerForListen(cmd *cobra.Command) {
	cmd.Flags().StringVar(&f.cert, "api-cert", "", "what --cert is to other commands: the certificate chain in the PEM `FILE`, for the service at grpcs:// (default $"+certVariable+")")
	cmd.Flags().StringVar(&f.key, "api-key", "", "the private key that belongs to --api-cert, in a PEM `FILE`; it stays here (default $"+keyVariable+")")
}

// names are those of the flags for this side's certificate.
func (f *accessFlags) names() (cert, key string) {
	if f.listen {
		return "--api-cert", "--api-key"
	}
	return "--cert", "--key"
}

// given is the first of the flags that is there; "" if none is.
func (f *accessFlags) given() string {
	cert, key := f.names()
	switch {
	case f.caCert != "":
		return "--cacert"
	case f.cert != "":
		return cert
	case f.key != "":
		return key
	case f.tokenFile != "":
		return "--token-file"
	}
	return ""
}

// resolve fills in what the environment has. What that says about TLS is for services that have it: a Unix socket has none.
func (f *accessFlags) resolve(addr string) accessFlags {
	all := *f
	if !strings.HasPrefix(addr, "unix:") {
		all.caCert = cmp.Or(f.caCert, os.Getenv(caCertVariable))
		if f.cert == "" && f.key == "" { // a pair comes from one place
			all.cert, all.key = os.Getenv(certVariable), os.Getenv(keyVariable)
		}
	}
	all.tokenFile = cmp.Or(f.tokenFile, os.Getenv(tokenFileVariable))
	return all
}

// dial returns a client of the service at addr. Its errors are about flags, variables and files.
func (f *accessFlags) dial(addr string, options ...client.Option) (*client.Client, error) {
	use := f.resolve(addr)
	if use.caCert != "" {
		options = append(options, client.WithCAFile(use.caCert))
	}
	if use.cert != "" || use.key != "" {
		options = append(options, client.WithCertificateFiles(use.cert, use.key))
	}
	if use.tokenFile != "" {
		options = append(options, client.WithTokenFile(use.tokenFile))
	}
	c, err := client.Dial(addr, options...)
	if err == nil {
		return c, nil
	}
	e, ok := errors.AsType[*client.CredentialsError](err)
	if !ok {
		return nil, err
	}
	cert, key := f.names()
	from := map[string]string{
		"WithCAFile":           "--cacert ($" + caCertVariable + ")",
		"WithCertificateFiles": cert + " and " + key + " ($" + certVariable + ", $" + keyVariable + ")",
		"WithTokenFile":        "--token-file ($" + tokenFileVariable + ")",
	}[e.Option]
	switch {
	case e.File != "":
		return nil, fmt.Errorf("%s: %q %s", from, e.File, e.Problem)
	case e.Option == "WithTokenFile":
		return nil, fmt.Errorf("%s: a token is not sent in clear; use a grpcs:// address", from)
	}
	return nil, fmt.Errorf("%s: %s", from, e.Problem)
}

// remedies are for what package client finds wrong on the way to the service, in the words of this program.
func (f *accessFlags) remedies() map[string]string {
	cert, key := f.names()
	return map[string]string{
		"untrusted": "name the certificate of its authority by --cacert, if it is the one that you expect",
		"identity":  "show a certificate that the service trusts and that is valid now, by " + cert + " and " + key,
		"token":     "put a token into the file of --token-file",
	}
}

// unauthenticated is the remedy where the service does not know who calls.
func (f *accessFlags) unauthenticated(addr string) string {
	cert, key := f.names()
	switch use := f.resolve(addr); {
	case use.tokenFile != "" && strings.HasPrefix(addr, "unix:"):
		return "have a new token put into " + use.tokenFile + ", or send none: at a Unix socket the service sees the user"
	case use.tokenFile != "":
		return "have a new token put into " + use.tokenFile + ": the one there may have expired, or be for another service"
	case use.cert != "":
		return "have the operator let the certificate of " + cert + " in, or send a token by --token-file"
	case strings.HasPrefix(addr, "grpcs:"):
		return "say who you are: by a token (--token-file), or by a certificate (" + cert + " and " + key + ")"
	default:
		return "say who you are: by a token (--token-file), or at a grpcs:// address"
	}
}

package client

import (
	"context"
	"crypto/tls"
	"slices"
	"strconv"

	"google.golang.org/grpc"
)

// CredentialsError says that what this side is to show to the service, or to judge it by, cannot be used.
type CredentialsError struct {
	// Option is the name of the Option that brought it, as "WithCAFile".
	Option string
	// File is the one that it is about; "" if it is about none.
	File string
	// Problem is what is wrong, for people. Nothing of a key or a token is in it.
	Problem string

	cause error
}

// Error returns one line.
func (e *CredentialsError) Error() string {
	text := "securesocket: " + e.Option
	if e.File != "" {
		text += " " + strconv.Quote(e.File)
	}
	return text + ": " + e.Problem
}

// Unwrap returns what the system said about the file; nil if that is not the cause.
func (e *CredentialsError) Unwrap() error { return e.cause }

// access is what the options say about TLS with the service, and about who this side is.
type access struct {
	tls           *tls.Config // nil: crypto/tls's defaults
	caFile        string
	certFile      string
	keyFile       string
	token         tokenSource // nil: none is sent
	tokenOption   string
	tokenFile     string
	insecureToken bool

	options []string // the names of those that need TLS
}

// WithTLS has the connections to a grpcs address made as settings say, which are cloned now. TLS 1.2 is the oldest version
// all the same and ALPN is h2; the server's name is the address's unless settings have one. nil changes nothing.
func WithTLS(settings *tls.Config) Option {
	return func(c *config) {
		if settings != nil {
			c.access.tls = settings.Clone()
			c.access.needTLS("WithTLS")
		}
	}
}

// WithCAFile trusts the authorities in a PEM file, and no others, to say who the service at a grpcs address is. Dial reads
// it, and so does every new connection: it may be replaced at any time. While it cannot be read, what was read last holds.
func WithCAFile(path string) Option {
	return func(c *config) {
		c.access.caFile = path
		c.access.needTLS("WithCAFile")
	}
}

// WithCertificateFiles shows a certificate to the service at a grpcs address: a chain in PEM, leaf first, and its private
// key in PEM, which leaves this process by no way. Dial reads both, and so does every new connection: they may be replaced
// at any time, one after the other. While they do not belong together, the last pair that did is shown.
func WithCertificateFiles(certFile, keyFile string) Option {
	return func(c *config) {
		c.access.certFile, c.access.keyFile = certFile, keyFile
		c.access.needTLS("WithCertificateFiles")
	}
}

// needTLS notes an option; one with an empty name of a file is there all the same, and refused when that is read.
func (a *access) needTLS(option string) {
	if !slices.Contains(a.options, option) {
		a.options = append(a.options, option)
	}
}

// dialOptions are gRPC's for a service at addr. The error is a *CredentialsError.
func (a *access) dialOptions(addr address) ([]grpc.DialOption, error) {
	if !addr.tls && len(a.options) > 0 {
		return nil, &CredentialsError{Option: a.options[0], Problem: "is about TLS, and needs a grpcs:// address"}
	}
	var options []grpc.DialOption
	if addr.tls {
		creds, err := newTLSCredentials(a, addr)
		if err != nil {
			return nil, err
		}
		options = append(options, grpc.WithTransportCredentials(creds))
	} else {
		options = append(options, grpc.WithTransportCredentials(newPlainCredentials(addr)))
	}
	if a.token == nil {
		return options, nil
	}
	if addr.exposed() && !a.insecureToken {
		return nil, &CredentialsError{Option: a.tokenOption,
			Problem: "whoever listens on the way to a grpc:// address would have the token; use grpcs:// or, where there is nobody, WithInsecureToken"}
	}
	if a.tokenOption == "WithTokenFile" {
		if _, err := fileToken(a.tokenFile)(context.Background()); err != nil {
			return nil, err
		}
	}
	return append(options, grpc.WithPerRPCCredentials(&bearer{a.token, addr.tls})), nil
}

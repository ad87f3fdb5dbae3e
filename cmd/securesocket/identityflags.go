package main

import (
	"bytes"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"strings"

	"github.com/spf13/pflag"

	pb "securesocket/gen/securesocket/v1"
)

// identityFlags say what is shown to a peer that asks for a certificate. A passphrase comes from a file alone: what is on
// the command line, every process of the machine can read.
type identityFlags struct {
	cert, key, passphraseFile string
	refs                      []string
}

func (f *identityFlags) register(flags *pflag.FlagSet) {
	flags.StringVar(&f.cert, "client-cert", "", "show the certificate chain in the PEM `FILE`, leaf first, to a peer that asks for one")
	flags.StringVar(&f.key, "client-key", "", "the private key that belongs to --client-cert, in a PEM `FILE`; it is sent to the service")
	flags.StringVar(&f.passphraseFile, "client-key-passphrase-file", "", "the passphrase of --client-key, in a `FILE` of one line")
	flags.StringArrayVar(&f.refs, "identity", nil, "show the identity that the service's operator holds as `REF`; repeatable")
}

// identities reads the flags' files, the caller's own first.
func (f *identityFlags) identities() (all []*pb.Identity, err error) {
	switch {
	case (f.cert == "") != (f.key == ""):
		return nil, usagef("--client-cert and --client-key belong together; give both")
	case f.passphraseFile != "" && f.key == "":
		return nil, usagef("--client-key-passphrase-file needs --client-key")
	case f.cert != "":
		pair, err := f.keyPair()
		if err != nil {
			return nil, err
		}
		all = append(all, &pb.Identity{Source: &pb.Identity_KeyPair{KeyPair: pair}})
	}
	for _, ref := range f.refs {
		all = append(all, &pb.Identity{Source: &pb.Identity_IdentityRef{IdentityRef: ref}})
	}
	return all, nil
}

// keyPair reads chain and key. Whether they fit each other is for the service to say. Errors show nothing of a file.
func (f *identityFlags) keyPair() (*pb.KeyPair, error) {
	content, err := readBounded(f.cert)
	if err != nil {
		return nil, usagef("--client-cert %q cannot be read: %w", f.cert, err)
	}
	pair := &pb.KeyPair{}
	if pair.CertificateChain, err = chainOf(content); err != nil {
		return nil, usagef("--client-cert %q %w", f.cert, err)
	}
	if content, err = readBounded(f.key); err != nil {
		return nil, usagef("--client-key %q cannot be read: %w", f.key, err)
	}
	block, encrypted := privateKey(content)
	switch {
	case block == nil:
		return nil, usagef("--client-key %q has no private key in PEM", f.key)
	case encrypted && f.passphraseFile == "":
		return nil, usagef("--client-key %q is encrypted; name a file with its passphrase by --client-key-passphrase-file", f.key)
	}
	pair.PrivateKey = pem.EncodeToMemory(block)
	if f.passphraseFile != "" {
		content, err := readBounded(f.passphraseFile)
		if err != nil {
			return nil, usagef("--client-key-passphrase-file %q cannot be read: %w", f.passphraseFile, err)
		}
		line := strings.TrimSuffix(strings.TrimSuffix(string(content), "\n"), "\r")
		if line == "" || strings.ContainsAny(line, "\r\n") {
			return nil, usagef("--client-key-passphrase-file %q must have one line, and it must not be empty", f.passphraseFile)
		}
		pair.Passphrase = line
	}
	return pair, nil
}

// chainOf are the certificates of a PEM file; a key beside them, as some tools write it, stays where it is.
func chainOf(content []byte) (chain [][]byte, err error) {
	for {
		var block *pem.Block
		if block, content = pem.Decode(content); block == nil {
			break
		}
		if block.Type != "CERTIFICATE" {
			continue
		}
		if _, err := x509.ParseCertificate(block.Bytes); err != nil {
			return nil, errors.New("has a certificate that cannot be read")
		}
		chain = append(chain, block.Bytes)
	}
	if len(chain) == 0 {
		return nil, errors.New("has no certificate in PEM")
	}
	return chain, nil
}

// privateKey is the first private key of a PEM file, and whether a passphrase opens it: as PKCS #8 by its type, else by
// the header of RFC 1421.
func privateKey(content []byte) (key *pem.Block, encrypted bool) {
	for {
		var block *pem.Block
		if block, content = pem.Decode(content); block == nil {
			return nil, false
		}
		if strings.HasSuffix(block.Type, "PRIVATE KEY") {
			return block, block.Type == "ENCRYPTED PRIVATE KEY" || bytes.Contains([]byte(block.Headers["Proc-Type"]), []byte("ENCRYPTED"))
		}
	}
}

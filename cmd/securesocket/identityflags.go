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

// identityFlags say what is shown to a peer: to one that asks for a certificate, or in the server's role to every one. A
// passphrase comes from a file alone: what is on the command line, every process of the machine can read.
type identityFlags struct {
	prefix         string // of the flags' names: "client-", or nothing in the server's role
	certs, keys    []string
	passphraseFile string
	refs           []string
}

func (f *identityFlags) register(flags *pflag.FlagSet, prefix string) {
	f.prefix = prefix
	whom := "every peer"
	if prefix != "" {
		whom = "a peer that asks for one"
	}
	cert, key := f.name("cert"), f.name("key")
	flags.StringArrayVar(&f.certs, cert[2:], nil, "show the certificate chain in the PEM `FILE`, leaf first, to "+whom+"; repeatable: the first that fits")
	flags.StringArrayVar(&f.keys, key[2:], nil, "the private key that belongs to "+cert+", in a PEM `FILE`; it is sent to the service; as often as "+cert)
	flags.StringVar(&f.passphraseFile, f.name("key-passphrase-file")[2:], "", "the passphrase of "+key+", in a `FILE` of one line; of every one that is encrypted")
	flags.StringArrayVar(&f.refs, "identity", nil, "show the identity that the service's operator holds as `REF`; repeatable")
}

// name is that of a flag, as on the command line.
func (f *identityFlags) name(flag string) string { return "--" + f.prefix + flag }

// identities reads the flags' files, the caller's own first.
func (f *identityFlags) identities() (all []*pb.Identity, err error) {
	if len(f.certs) != len(f.keys) {
		return nil, usagef("%s and %s belong together; give both, each as often as the other", f.name("cert"), f.name("key"))
	}
	passphrase, err := f.passphrase()
	if err != nil {
		return nil, err
	}
	for i := range f.certs {
		pair, err := f.keyPair(f.certs[i], f.keys[i], passphrase)
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
func (f *identityFlags) keyPair(cert, key, passphrase string) (*pb.KeyPair, error) {
	content, err := readBounded(cert)
	if err != nil {
		return nil, usagef("%s %q cannot be read: %w", f.name("cert"), cert, err)
	}
	pair := &pb.KeyPair{}
	if pair.CertificateChain, err = chainOf(content); err != nil {
		return nil, usagef("%s %q %w", f.name("cert"), cert, err)
	}
	if content, err = readBounded(key); err != nil {
		return nil, usagef("%s %q cannot be read: %w", f.name("key"), key, err)
	}
	block, encrypted := privateKey(content)
	switch {
	case block == nil:
		return nil, usagef("%s %q has no private key in PEM", f.name("key"), key)
	case encrypted && passphrase == "":
		return nil, usagef("%s %q is encrypted; name a file with its passphrase by %s", f.name("key"), key, f.name("key-passphrase-file"))
	case encrypted:
		pair.Passphrase = passphrase
	}
	pair.PrivateKey = pem.EncodeToMemory(block)
	return pair, nil
}

// passphrase is that of the file; "" if none is named.
func (f *identityFlags) passphrase() (string, error) {
	flag := f.name("key-passphrase-file")
	switch {
	case f.passphraseFile == "":
		return "", nil
	case len(f.keys) == 0:
		return "", usagef("%s needs %s", flag, f.name("key"))
	}
	content, err := readBounded(f.passphraseFile)
	if err != nil {
		return "", usagef("%s %q cannot be read: %w", flag, f.passphraseFile, err)
	}
	line := strings.TrimSuffix(strings.TrimSuffix(string(content), "\n"), "\r")
	if line == "" || strings.ContainsAny(line, "\r\n") {
		return "", usagef("%s %q must have one line, and it must not be empty", flag, f.passphraseFile)
	}
	return line, nil
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

package main

import (
	"crypto/x509"
	"fmt"
	"os"
	"strings"

	"securesocket/session/durable"
	"securesocket/tlsengine/identity"
	"securesocket/tlsengine/truststore"
)

// held is what the operator holds and callers name.
type held struct {
	identities map[string]*identity.Identity
	bundles    map[string][]*x509.Certificate
}

// held reads the files of --identity and --bundle.
func (f *flags) held() (held, error) {
	h := held{identities: make(map[string]*identity.Identity), bundles: make(map[string][]*x509.Certificate)}
	for _, arg := range f.bundles {
		name, file, ok := strings.Cut(arg, "=")
		if !ok || name == "" || file == "" {
			return h, usagef("--bundle: %q is not NAME=FILE", arg)
		}
		if h.bundles[name] != nil {
			return h, usagef("--bundle: %q is given twice", name)
		}
		pem, err := os.ReadFile(file)
		if err != nil {
			return h, usagef("--bundle %s: %w", name, err)
		}
		if h.bundles[name], err = truststore.ParseBundle(pem); err != nil {
			return h, usagef("--bundle %s: %s: %w", name, file, err)
		}
	}
	for _, arg := range f.identities {
		name, files, _ := strings.Cut(arg, "=")
		certFile, keyFile, ok := strings.Cut(files, ",")
		if !ok || name == "" || certFile == "" || keyFile == "" {
			return h, usagef("--identity: %q is not NAME=CERT_FILE,KEY_FILE", arg)
		}
		if h.identities[name] != nil {
			return h, usagef("--identity: %q is given twice", name)
		}
		cert, err := os.ReadFile(certFile)
		if err != nil {
			return h, usagef("--identity %s: %w", name, err)
		}
		key, err := os.ReadFile(keyFile)
		if err != nil {
			return h, usagef("--identity %s: %w", name, err)
		}
		if h.identities[name], err = identity.FromPEM(name, cert, key, ""); err != nil {
			return h, usagef("--identity %s: %w", name, err)
		}
	}
	return h, nil
}

// store opens what is kept over restarts.
func (f *flags) store() (durable.Store, error) {
	if f.dataDir == "" {
		return durable.Memory(), nil
	}
	store, err := durable.Open(f.dataDir)
	if err != nil {
		return nil, fmt.Errorf("--data-dir: %w", err)
	}
	return store, nil
}

// ownPrincipal is who a caller is that runs as the same user.
func ownPrincipal() string { return fmt.Sprintf("uid:%d", os.Getuid()) }

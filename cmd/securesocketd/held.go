package main

import (
	"crypto/x509"
	"fmt"
	"maps"
	"os"
	"slices"

	"securesocket/session/durable"
	"securesocket/tlsengine/identity"
	"securesocket/tlsengine/truststore"
)

// held is what the operator holds and callers name.
type held struct {
	identities map[string]*identity.Identity
	bundles    map[string][]*x509.Certificate
}

// held reads the files of bundles and identities.
func (s settings) held() (held, error) {
	h := held{identities: make(map[string]*identity.Identity), bundles: make(map[string][]*x509.Certificate)}
	for _, name := range slices.Sorted(maps.Keys(s.Bundles)) {
		file := s.Bundles[name]
		pem, err := os.ReadFile(file)
		if err != nil {
			return h, s.blame("bundles", fmt.Errorf("%s: %w", name, err))
		}
		if h.bundles[name], err = truststore.ParseBundle(pem); err != nil {
			return h, s.blame("bundles", fmt.Errorf("%s: %s: %w", name, file, err))
		}
	}
	for _, name := range slices.Sorted(maps.Keys(s.Identities)) {
		id, err := readIdentity(name, s.Identities[name].Cert, s.Identities[name].Key)
		if err != nil {
			return h, s.blame("identities", fmt.Errorf("%s: %w", name, err))
		}
		h.identities[name] = id
	}
	return h, nil
}

func readIdentity(name, certFile, keyFile string) (*identity.Identity, error) {
	cert, err := os.ReadFile(certFile) //nolint:gosec // the operator's own file
	if err != nil {
		return nil, err
	}
	key, err := os.ReadFile(keyFile) //nolint:gosec // the operator's own file
	if err != nil {
		return nil, err
	}
	defer clear(key)
	return identity.FromPEM(name, cert, key, "")
}

// store opens what is kept over restarts.
func (s settings) store() (durable.Store, error) {
	if s.DataDir == "" {
		return durable.Memory(), nil
	}
	store, err := durable.Open(s.DataDir)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", s.Where("data_dir"), err)
	}
	return store, nil
}

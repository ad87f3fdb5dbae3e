package main

import (
	"crypto/x509"
	"errors"
	"fmt"
	"maps"
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

// held reads the files of bundles and identities. Its error joins all that is wrong with them.
func (s settings) held() (held, error) {
	h := held{identities: make(map[string]*identity.Identity), bundles: make(map[string][]*x509.Certificate)}
	var errs []error
	for _, name := range slices.Sorted(maps.Keys(s.Bundles)) {
		bundle, err := readBundle(s.Bundles[name])
		if err != nil {
			errs = append(errs, s.blameItem("bundles", name, fmt.Errorf("%s: %w", name, err)))
		}
		h.bundles[name] = bundle
	}
	for _, name := range slices.Sorted(maps.Keys(s.Identities)) {
		id, err := readIdentity(name, s.Identities[name].Cert, s.Identities[name].Key)
		if err != nil {
			errs = append(errs, eachError(err, func(err error) error {
				return s.blameItem("identities", name, fmt.Errorf("%s: %w", name, err))
			}))
		}
		h.identities[name] = id
	}
	return h, errors.Join(errs...)
}

func readBundle(file string) ([]*x509.Certificate, error) {
	pem, err := readRegular(file)
	if err != nil {
		return nil, err
	}
	bundle, err := truststore.ParseBundle(pem)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", file, err)
	}
	return bundle, nil
}

func readIdentity(name, certFile, keyFile string) (*identity.Identity, error) {
	cert, certErr := readRegular(certFile)
	if certErr != nil {
		certErr = fmt.Errorf("its certificate: %w", certErr)
	}
	key, keyErr := readRegular(keyFile)
	if keyErr != nil {
		keyErr = fmt.Errorf("its key: %w", keyErr)
	}
	defer clear(key)
	if err := errors.Join(certErr, keyErr); err != nil {
		return nil, err
	}
	id, err := identity.FromPEM(name, cert, key, "")
	if err != nil {
		return nil, fmt.Errorf("%s with %s: %w", certFile, keyFile, err)
	}
	return id, nil
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

// checkStore says what store would, as far as it shows without a change on the disk.
func (s settings) checkStore() error {
	if s.DataDir == "" {
		return nil
	}
	if err := durable.Check(s.DataDir); err != nil {
		return fmt.Errorf("%s: %w", s.Where("data_dir"), err)
	}
	return nil
}

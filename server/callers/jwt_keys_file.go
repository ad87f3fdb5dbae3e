package callers

import (
	"context"
	"crypto/rsa"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"time"

	"github.com/go-jose/go-jose/v4"
)

const (
	maxKeys    = 64
	minRSABits = 2048
)

// keySet is a JWK set by "kid".
type keySet map[string]jose.JSONWebKey

// keysFile is an issuer's keys in a file.
type keysFile struct{ *source[keySet] }

func newKeysFile(file string, log *slog.Logger, now func() time.Time) (*keysFile, error) {
	s, err := newSource(log, now, func(contents [][]byte) (*keySet, error) { return parseKeys(file, contents[0]) }, file)
	return &keysFile{s}, err
}

func (k *keysFile) epoch() any { return k.get() }

func (k *keysFile) close() {}

func (k *keysFile) verify(_ context.Context, _ string, signed *jose.JSONWebSignature) ([]byte, error) {
	header := signed.Signatures[0].Header
	key, ok := (*k.get())[header.KeyID]
	if !ok || key.Algorithm != "" && key.Algorithm != header.Algorithm {
		return nil, &TokenError{TokenKey}
	}
	payload, err := signed.Verify(&key)
	if err != nil {
		return nil, &TokenError{TokenSignature}
	}
	return payload, nil
}

// parseKeys reads a JWK set. Keys for other purposes and of unknown types are
// passed over (RFC 7517 section 5); a secret in the file is an error, because it
// should not be there.
func parseKeys(file string, text []byte) (*keySet, error) {
	fail := func(why string, err error) (*keySet, error) {
		return nil, &FileError{File: file, Why: why, Err: err}
	}
	var set struct {
		Keys []json.RawMessage `json:"keys"`
	}
	if err := json.Unmarshal(text, &set); err != nil {
		return fail("it is no JWK set", err)
	}
	if len(set.Keys) > maxKeys {
		return fail(fmt.Sprintf("it has more than %d keys", maxKeys), nil)
	}
	keys := keySet{}
	for i, raw := range set.Keys {
		which := fmt.Sprintf("key %d ", i+1)
		var about struct {
			Type      string `json:"kty"`
			Algorithm string `json:"alg"`
			Use       string `json:"use"`
		}
		if err := json.Unmarshal(raw, &about); err != nil {
			return fail(which+"is no JWK", err)
		}
		if about.Type == "oct" {
			return fail(which+"is a shared secret, which is not accepted", nil)
		}
		if about.Use != "" && about.Use != "sig" ||
			about.Algorithm != "" && !slices.Contains(algorithms, jose.SignatureAlgorithm(about.Algorithm)) {
			continue
		}
		var key jose.JSONWebKey
		err := json.Unmarshal(raw, &key)
		switch {
		case errors.Is(err, jose.ErrUnsupportedKeyType):
			continue
		case err != nil || !key.Valid():
			// What the parser says may quote a private key.
			return fail(which+"is not valid", nil)
		case !key.IsPublic():
			return fail(which+"is a private key, which belongs to the issuer alone", nil)
		case key.KeyID == "":
			return fail(which+"has no kid", nil)
		}
		if public, ok := key.Key.(*rsa.PublicKey); ok && public.N.BitLen() < minRSABits {
			return fail(fmt.Sprintf("%sis an RSA key of less than %d bits", which, minRSABits), nil)
		}
		if _, twice := keys[key.KeyID]; twice {
			return fail(which+"has the kid of another", nil)
		}
		keys[key.KeyID] = key
	}
	if len(keys) == 0 && (set.Keys == nil || len(set.Keys) > 0) { // an empty list says that nobody's tokens count
		return fail("it has no key that verifies signatures", nil)
	}
	return &keys, nil
}

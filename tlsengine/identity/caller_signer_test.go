package identity_test

import (
	"context"
	"crypto"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/rsa"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"sync"
	"testing"

	"securesocket/tlsengine/identity"
	"securesocket/tlsengine/tlstest"

	"github.com/stretchr/testify/require"
)

var errDeclined = errors.New("declined")

// signWith stands in for a caller: it knows nothing but the request. asked may be nil.
func signWith(key crypto.Signer, asked func(identity.SignRequest)) identity.SignFunc {
	return func(_ context.Context, r identity.SignRequest) ([]byte, error) {
		if asked != nil {
			asked(r)
		}
		var opts crypto.SignerOpts
		switch r.Scheme {
		case 0x0401, 0x0403:
			opts = crypto.SHA256
		case 0x0501, 0x0503:
			opts = crypto.SHA384
		case 0x0601, 0x0603:
			opts = crypto.SHA512
		case 0x0804:
			opts = &rsa.PSSOptions{SaltLength: 32, Hash: crypto.SHA256}
		case 0x0805:
			opts = &rsa.PSSOptions{SaltLength: 48, Hash: crypto.SHA384}
		case 0x0806:
			opts = &rsa.PSSOptions{SaltLength: 64, Hash: crypto.SHA512}
		case 0x0807:
			opts = crypto.Hash(0)
		default:
			return nil, errDeclined
		}
		if r.Prehashed != (opts.HashFunc() != 0) || r.Prehashed && len(r.Input) != opts.HashFunc().Size() {
			return nil, errDeclined
		}
		signature, err := key.Sign(rand.Reader, r.Input, opts)
		clear(r.Input) // it is the caller's to keep, or to spoil
		return signature, err
	}
}

func TestCallersKeysInHandshakes(t *testing.T) {
	t.Parallel()
	for name, kind := range keyKinds {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			ca := tlstest.NewCA(t)
			id := ca.Intermediate().Leaf(kind, tlstest.ExtKeyUsage(x509.ExtKeyUsageClientAuth))
			bothVersions(t, func(t *testing.T, version uint16) {
				var requests []identity.SignRequest
				sign := signWith(id.Key, func(r identity.SignRequest) { requests = append(requests, r) })
				h := shake(t.Context(), t, version, []*identity.Identity{callers(t, id)}, sign, verifying(ca.Pool()))
				require.NoError(t, h.clientErr)
				require.NoError(t, h.serverErr)
				require.True(t, h.seen[0].Equal(id.Leaf))
				require.Nil(t, h.failure)
				require.Len(t, requests, 1)
				_, ed := id.Key.(ed25519.PrivateKey)
				require.Equal(t, !ed, requests[0].Prehashed)
			})
		})
	}
}

// Each scheme is used where it is the only one that the caller can make, and never where TLS 1.3 forbids it.
func TestTheCallersSchemesAreObeyed(t *testing.T) {
	t.Parallel()
	schemes := map[string]map[uint16]bool{ // whether TLS 1.3 knows it for the key
		"RSA":     {0x0804: true, 0x0805: true, 0x0806: true, 0x0401: false, 0x0501: false, 0x0601: false},
		"P-256":   {0x0403: true, 0x0503: false, 0x0603: false},
		"P-384":   {0x0503: true, 0x0403: false, 0x0603: false},
		"Ed25519": {0x0807: true},
	}
	for name, wanted := range schemes {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			id := clientLeaf(t, keyKinds[name])
			for scheme, modern := range wanted {
				bothVersions(t, func(t *testing.T, version uint16) {
					var used uint16
					sign := signWith(id.Key, func(r identity.SignRequest) { used = r.Scheme })
					h := shake(t.Context(), t, version, []*identity.Identity{callers(t, id, scheme)}, sign, func(c *tls.Config) {
						c.ClientAuth = tls.RequestClientCert
					})
					require.NoError(t, h.clientErr)
					require.NoError(t, h.serverErr)
					if version == tls.VersionTLS13 && !modern {
						require.Empty(t, h.seen)
						require.Zero(t, used)
						return
					}
					require.True(t, h.seen[0].Equal(id.Leaf))
					require.Equal(t, scheme, used)
				})
			}
		})
	}
}

func TestNoSignatureEndsTheHandshake(t *testing.T) {
	t.Parallel()
	for name, kind := range keyKinds {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			id, other := clientLeaf(t, kind), clientLeaf(t, kind)
			bothVersions(t, func(t *testing.T, version uint16) {
				for _, tc := range []struct {
					kind identity.SignKind
					sign identity.SignFunc
				}{
					{identity.Unavailable, nil},
					{identity.Declined, func(context.Context, identity.SignRequest) ([]byte, error) { return nil, errDeclined }},
					{identity.Wrong, func(context.Context, identity.SignRequest) ([]byte, error) { return nil, nil }},
					{identity.Wrong, func(context.Context, identity.SignRequest) ([]byte, error) { return make([]byte, 256), nil }},
					{identity.Wrong, signWith(other.Key, nil)},
					{identity.Wrong, spoiled(signWith(id.Key, nil))},
				} {
					h := shake(t.Context(), t, version, []*identity.Identity{callers(t, id)}, tc.sign, nil)
					require.Error(t, h.clientErr)
					require.Error(t, h.serverErr)
					require.NotNil(t, h.failure)
					require.Equal(t, tc.kind, h.failure.Kind)
					if tc.kind == identity.Declined {
						require.ErrorIs(t, h.failure, errDeclined)
					}
					if version == tls.VersionTLS12 {
						require.ErrorIs(t, h.clientErr, h.failure)
					}
				}
			})
		})
	}
}

// A PSS signature with a salt that TLS does not allow verifies for many libraries, but not for a peer.
func TestSaltOfAnotherLength(t *testing.T) {
	t.Parallel()
	id := clientLeaf(t, tlstest.RSA(2048))
	sign := func(_ context.Context, r identity.SignRequest) ([]byte, error) {
		return id.Key.Sign(rand.Reader, r.Input, &rsa.PSSOptions{SaltLength: 20, Hash: crypto.SHA256})
	}
	h := shake(t.Context(), t, tls.VersionTLS13, []*identity.Identity{callers(t, id, 0x0804)}, sign, nil)
	require.NotNil(t, h.failure)
	require.Equal(t, identity.Wrong, h.failure.Kind)
}

func TestTheContextEndsTheWaitForASignature(t *testing.T) {
	t.Parallel()
	errGone := errors.New("gone")
	id := clientLeaf(t)
	bothVersions(t, func(t *testing.T, version uint16) {
		ctx, cancel := context.WithCancelCause(t.Context())
		defer cancel(nil)
		var once sync.Once
		sign := func(ctx context.Context, _ identity.SignRequest) ([]byte, error) {
			once.Do(func() { cancel(errGone) })
			<-ctx.Done()
			return nil, ctx.Err()
		}
		for range 2 { // the second handshake begins when it is over already
			h := shake(ctx, t, version, []*identity.Identity{callers(t, id)}, sign, nil)
			require.Error(t, h.clientErr)
			require.NotNil(t, h.failure)
			require.Equal(t, identity.Interrupted, h.failure.Kind)
			require.ErrorIs(t, h.failure, errGone)
		}
	})
}

func spoiled(sign identity.SignFunc) identity.SignFunc {
	return func(ctx context.Context, r identity.SignRequest) ([]byte, error) {
		signature, err := sign(ctx, r)
		if err == nil {
			signature[len(signature)-1] ^= 1
		}
		return signature, err
	}
}

package server

import (
	"bytes"
	"crypto/x509"
	"fmt"
	"math"
	"slices"

	pb "securesocket/gen/securesocket/v1"
	"securesocket/session"
	"securesocket/tlsengine/identity"
)

// identities reads what callers say of identities.
type identities struct {
	operators map[string]*identity.Identity // by identity_ref
	have      []*identity.Identity          // what the session has already
	turn      func() (done func(), err error)
}

// maxSchemes is more than IANA has of use.
const maxSchemes = 64

// identityError is an identity that cannot be used, with its place in the
// settings.
type identityError struct {
	path string
	err  *identity.InputError
}

func (e *identityError) Error() string { return e.path + "." + e.err.Field + ": " + e.err.Why }

// maxIdentities is as in the session's settings. It is asked for here too, before
// what may take a second each.
const maxIdentities = 8

func (ids identities) from(list []*pb.Identity) ([]*identity.Identity, error) {
	if len(list) > maxIdentities {
		return nil, &session.FieldError{Field: "tls.identities", Why: fmt.Sprintf("has more than %d identities", maxIdentities)}
	}
	var out []*identity.Identity
	for n, m := range list {
		path := fmt.Sprintf("tls.identities[%d]", n)
		id, err := ids.one(path, m)
		if err != nil {
			if ie, ok := err.(*identity.InputError); ok { //nolint:errorlint // as the package made it
				source := m.ProtoReflect().WhichOneof(m.ProtoReflect().Descriptor().Oneofs().ByName("source"))
				err = &identityError{path + "." + string(source.Name()), ie}
			}
			return nil, err
		}
		out = append(out, id)
	}
	return out, nil
}

func (ids identities) one(path string, m *pb.Identity) (*identity.Identity, error) {
	switch src := m.GetSource().(type) {
	case *pb.Identity_KeyPair:
		k := src.KeyPair
		// Deriving the key of an encrypted one is caller-chosen work.
		done, err := ids.turn()
		if err != nil {
			return nil, err
		}
		defer done()
		return identity.FromKeyPair(identity.KeyPair{
			Chain: k.GetCertificateChain(), PrivateKey: k.GetPrivateKey(), Passphrase: k.GetPassphrase(), PKCS12: k.GetPkcs12(),
		})
	case *pb.Identity_CallerSigner:
		if n := len(src.CallerSigner.GetSignatureSchemes()); n > maxSchemes {
			return nil, &session.FieldError{Field: path + ".caller_signer.signature_schemes", Why: fmt.Sprintf("has %d numbers; at most %d are taken", n, maxSchemes)}
		}
		var schemes []uint16
		for _, s := range src.CallerSigner.GetSignatureSchemes() {
			if s < 0 || s > math.MaxUint16 {
				return nil, &session.FieldError{Field: path + ".caller_signer.signature_schemes", Why: fmt.Sprintf("has %d, which is no SignatureScheme", s)}
			}
			schemes = append(schemes, uint16(s))
		}
		return identity.FromCaller(src.CallerSigner.GetCertificateChain(), schemes)
	case *pb.Identity_IdentityRef:
		if id := ids.operators[src.IdentityRef]; id != nil {
			return id, nil
		}
		return nil, &session.FieldError{Field: path + ".identity_ref", Why: "is not the name of an identity of this service's operator"}
	case *pb.Identity_Public:
		for _, id := range ids.have {
			if samePublic(id, src.Public) {
				return id, nil
			}
		}
		// The session may show one of the operator's because of its caller's defaults.
		if id := ids.operators[src.Public.GetIdentityRef()]; id != nil && samePublic(id, src.Public) {
			return id, nil
		}
		return nil, &session.FieldError{Field: path + ".public", Why: "is not an identity that the session has; give its source"}
	}
	return nil, &session.FieldError{Field: path + ".source", Why: "is required"}
}

// samePublic compares the chains too, for one key may have several; those of the
// operator are not shown.
func samePublic(id *identity.Identity, m *pb.PublicIdentity) bool {
	spki := id.SPKISHA256()
	return id.Ref() == m.GetIdentityRef() && id.CallerHeld() == m.GetCallerSigner() && bytes.Equal(spki[:], m.GetSpkiSha256()) &&
		(id.Ref() != "" || slices.EqualFunc(id.Chain(), m.GetCertificateChain(), func(c *x509.Certificate, der []byte) bool { return bytes.Equal(c.Raw, der) }))
}

// toIdentities shows the public halves.
func toIdentities(list []*identity.Identity) []*pb.Identity {
	var out []*pb.Identity
	for _, id := range list {
		spki := id.SPKISHA256()
		m := &pb.PublicIdentity{SpkiSha256: spki[:], IdentityRef: id.Ref(), CallerSigner: id.CallerHeld()}
		if id.Ref() == "" { // the operator's chain is his
			m.CertificateChain = rawChain(id.Chain())
		}
		out = append(out, &pb.Identity{Source: &pb.Identity_Public{Public: m}})
	}
	return out
}

func rawChain(chain []*x509.Certificate) [][]byte {
	out := make([][]byte, len(chain))
	for i, c := range chain {
		out[i] = c.Raw
	}
	return out
}

package identity

import (
	"crypto/hmac"
	"crypto/pbkdf2"
	"crypto/sha256"
	"crypto/x509/pkix"
	"encoding/asn1"
)

// pbmac1Params: RFC 9579, section 4.
type pbmac1Params struct {
	KDF    pkix.AlgorithmIdentifier
	Scheme pkix.AlgorithmIdentifier
}

// pbmac1 is the MAC that a names (RFC 9579), whose cost is known to be allowed.
func pbmac1(a pkix.AlgorithmIdentifier, message []byte, passphrase string) ([]byte, error) {
	var p pbmac1Params
	if err := unmarshal(a.Parameters.FullBytes, &p); err != nil {
		return nil, err
	}
	kdf, err := readPBKDF2(p.KDF)
	if err != nil {
		return nil, err
	}
	prf, h := hashes[kdf.PRF.Algorithm.String()], hashes[p.Scheme.Algorithm.String()]
	if prf == nil || h == nil {
		return nil, errMAC
	}
	key, err := pbkdf2.Key(prf, passphrase, kdf.Salt.Bytes, kdf.Iterations, kdf.KeyLength)
	if err != nil {
		return nil, errMAC
	}
	mac := hmac.New(h, key)
	mac.Write(message)
	return mac.Sum(nil), nil
}

// newPBMAC1 makes a MAC that go-pkcs12 can check. It protects nothing: the file does not leave this process.
func newPBMAC1(message []byte, passphrase string) (macData, error) {
	sha := pkix.AlgorithmIdentifier{Algorithm: oidHMACSHA256}
	kdf, err := asn1.Marshal(pbkdf2Params{
		Salt:       asn1.RawValue{Tag: asn1.TagOctetString, Bytes: []byte("reordered")},
		Iterations: 1, KeyLength: sha256.Size, PRF: sha,
	})
	if err != nil {
		return macData{}, err
	}
	params, err := asn1.Marshal(pbmac1Params{
		KDF:    pkix.AlgorithmIdentifier{Algorithm: oidPBKDF2, Parameters: asn1.RawValue{FullBytes: kdf}},
		Scheme: sha,
	})
	if err != nil {
		return macData{}, err
	}
	a := pkix.AlgorithmIdentifier{Algorithm: oidPBMAC1, Parameters: asn1.RawValue{FullBytes: params}}
	digest, err := pbmac1(a, message, passphrase)
	return macData{MAC: digestInfo{Algorithm: a, Digest: digest}, Salt: []byte{}, Iterations: 1}, err
}

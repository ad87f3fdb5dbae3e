package tlsengine

import (
	"crypto/tls"
	"slices"
	"strings"
	"sync"
)

// Suite is a cipher suite that crypto/tls implements. The fields from OpenSSL on are what Qt's QSslCipher says, in
// OpenSSL's words.
type Suite struct {
	ID    uint16 // IANA's number
	Name  string // IANA's name, such as "TLS_AES_128_GCM_SHA256"
	TLS13 bool   // of TLS 1.3: always on, cannot be chosen
	// Insecure suites work when they are listed in Config.CipherSuites, and are never on by default.
	Insecure bool

	OpenSSL        string // OpenSSL's name, such as "ECDHE-RSA-AES128-GCM-SHA256"
	Protocol       string // the oldest version that has it: "TLSv1.3", "TLSv1.2" or "TLSv1"
	KeyExchange    string // "ECDH" or "RSA"; "any" in TLS 1.3, where the group decides
	Authentication string // "ECDSA" or "RSA"; "any" in TLS 1.3, where the certificate decides
	Encryption     string // such as "AESGCM(128)"
	UsedBits       int    // what the cipher's key is good for
	KeyBits        int    // what it has
}

// Suites lists every suite that can be negotiated, the secure ones first. The slice is the caller's.
func Suites() []Suite { return slices.Clone(allSuites()) }

// allSuites is what Suites lists; it is not to be modified.
var allSuites = sync.OnceValue(func() []Suite {
	var all []Suite
	for _, s := range tls.CipherSuites() {
		all = append(all, newSuite(s))
	}
	for _, s := range tls.InsecureCipherSuites() {
		all = append(all, newSuite(s))
	}
	return all
})

func newSuite(s *tls.CipherSuite) Suite {
	suite := Suite{ID: s.ID, Name: s.Name, Insecure: s.Insecure, OpenSSL: s.Name, KeyExchange: "any", Authentication: "any"}
	// A suite of TLS 1.3 has no key exchange of its own, and so no other version.
	suite.TLS13 = len(s.SupportedVersions) == 1 && s.SupportedVersions[0] == tls.VersionTLS13
	switch s.SupportedVersions[0] {
	case tls.VersionTLS13:
		suite.Protocol = "TLSv1.3"
	case tls.VersionTLS12:
		suite.Protocol = "TLSv1.2"
	default:
		suite.Protocol = "TLSv1"
	}
	exchange, cipher, split := strings.Cut(strings.TrimPrefix(s.Name, "TLS_"), "_WITH_")
	if !split {
		cipher = exchange
	}
	for prefix, c := range ciphers {
		if strings.HasPrefix(cipher, prefix) {
			suite.Encryption, suite.UsedBits, suite.KeyBits = c.encryption, c.usedBits, c.keyBits
			if split {
				suite.OpenSSL = c.openSSL + strings.TrimPrefix(cipher, prefix)
			}
		}
	}
	switch exchange {
	case "ECDHE_ECDSA":
		suite.KeyExchange, suite.Authentication = "ECDH", "ECDSA"
		suite.OpenSSL = "ECDHE-ECDSA-" + suite.OpenSSL
	case "ECDHE_RSA":
		suite.KeyExchange, suite.Authentication = "ECDH", "RSA"
		suite.OpenSSL = "ECDHE-RSA-" + suite.OpenSSL
	case "RSA":
		suite.KeyExchange, suite.Authentication = "RSA", "RSA"
	}
	return suite
}

// ciphers are the parts of IANA's names that say how bytes are encrypted; openSSL is the same part of OpenSSL's.
var ciphers = map[string]struct {
	openSSL, encryption string
	usedBits, keyBits   int
}{
	"AES_128_GCM_":             {"AES128-GCM-", "AESGCM(128)", 128, 128},
	"AES_256_GCM_":             {"AES256-GCM-", "AESGCM(256)", 256, 256},
	"AES_128_CBC_":             {"AES128-", "AES(128)", 128, 128},
	"AES_256_CBC_":             {"AES256-", "AES(256)", 256, 256},
	"CHACHA20_POLY1305_SHA256": {"CHACHA20-POLY1305", "CHACHA20/POLY1305(256)", 256, 256},
	"3DES_EDE_CBC_":            {"DES-CBC3-", "3DES(168)", 112, 168},
	"RC4_128_":                 {"RC4-", "RC4(128)", 128, 128},
}

// SuiteByID finds a suite by IANA's number.
func SuiteByID(id uint16) (Suite, bool) {
	for _, s := range allSuites() {
		if s.ID == id {
			return s, true
		}
	}
	return Suite{}, false
}

// SuiteByName finds a suite by IANA's name.
func SuiteByName(name string) (Suite, bool) {
	for _, s := range allSuites() {
		if s.Name == name {
			return s, true
		}
	}
	return Suite{}, false
}

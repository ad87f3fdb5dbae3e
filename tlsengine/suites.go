package tlsengine

import "crypto/tls"

// Suite is a cipher suite that crypto/tls implements.
type Suite struct {
	ID    uint16 // IANA's number
	Name  string // IANA's name, such as "TLS_AES_128_GCM_SHA256"
	TLS13 bool   // of TLS 1.3: always on, cannot be chosen
	// Insecure suites work when they are listed in Config.CipherSuites, and are never on by default.
	Insecure bool
}

// Suites lists every suite that can be negotiated, the secure ones first. The slice is the caller's.
func Suites() []Suite {
	var all []Suite
	for _, s := range tls.CipherSuites() {
		all = append(all, newSuite(s))
	}
	for _, s := range tls.InsecureCipherSuites() {
		all = append(all, newSuite(s))
	}
	return all
}

func newSuite(s *tls.CipherSuite) Suite {
	suite := Suite{ID: s.ID, Name: s.Name, Insecure: s.Insecure}
	// A suite of TLS 1.3 has no key exchange of its own, and so no other version.
	suite.TLS13 = len(s.SupportedVersions) == 1 && s.SupportedVersions[0] == tls.VersionTLS13
	return suite
}

// SuiteByID finds a suite by IANA's number.
func SuiteByID(id uint16) (Suite, bool) {
	for _, s := range Suites() {
		if s.ID == id {
			return s, true
		}
	}
	return Suite{}, false
}

// SuiteByName finds a suite by IANA's name.
func SuiteByName(name string) (Suite, bool) {
	for _, s := range Suites() {
		if s.Name == name {
			return s, true
		}
	}
	return Suite{}, false
}

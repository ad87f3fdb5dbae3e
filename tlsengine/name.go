package tlsengine

import (
	"crypto/x509"
	"net/netip"
	"slices"
	"strings"

	"golang.org/x/net/idna"
	"golang.org/x/net/publicsuffix"
)

// verifyName is a name that the leaf must carry.
type verifyName struct {
	wanted string // as the caller wrote it
	host   string // A-label or IP literal, as x509 takes it; empty for a URI
	uri    string // without the "uri:" prefix; empty for a host
}

func parseVerifyName(name string) (verifyName, error) {
	if uri, ok := strings.CutPrefix(name, "uri:"); ok {
		if uri == "" {
			return verifyName{}, &ConfigError{"VerifyNames", "a URI is empty"}
		}
		return verifyName{wanted: name, uri: uri}, nil
	}
	if ip, ok := parseIP(name); ok {
		return verifyName{wanted: name, host: ip.String()}, nil
	}
	host, why := aLabels(name)
	if why != "" {
		return verifyName{}, &ConfigError{"VerifyNames", quote(name) + " " + why}
	}
	return verifyName{wanted: name, host: host}, nil
}

// sniName returns what is to be sent as SNI; RFC 6066, section 3 allows neither IP literals nor a trailing dot.
func sniName(name string) (string, error) {
	if name == "" {
		return "", nil
	}
	if _, ok := parseIP(name); ok {
		return "", nil
	}
	host, why := aLabels(name)
	if why != "" {
		return "", &ConfigError{"ServerName", quote(name) + " " + why}
	}
	return host, nil
}

// parseIP drops the zone, which has no meaning beyond this host and no place in a certificate.
func parseIP(name string) (netip.Addr, bool) {
	ip, err := netip.ParseAddr(name)
	if err != nil {
		return netip.Addr{}, false
	}
	return ip.WithZone("").Unmap(), true
}

// aLabels returns the DNS name in lower case, as A-labels, without its trailing dot; or why it is not a DNS name.
//
// A name in plain ASCII does not go through IDNA: its Lookup profile refuses underscores and names such as
// "r3---sn-x.example", which exist and which x509 matches.
func aLabels(name string) (host, why string) {
	host = strings.ToLower(strings.TrimSuffix(name, "."))
	if !isASCII(host) || strings.Contains(host, "xn--") {
		var err error
		if host, err = idna.Lookup.ToASCII(strings.TrimSuffix(name, ".")); err != nil {
			return "", "is not a valid internationalised name"
		}
	}
	if host == "" || len(host) > 253 {
		return "", "has a length outside 1 to 253"
	}
	for label := range strings.SplitSeq(host, ".") {
		if label == "" || len(label) > 63 {
			return "", "has a label whose length is outside 1 to 63"
		}
		for _, c := range []byte(label) {
			if !('a' <= c && c <= 'z' || '0' <= c && c <= '9' || c == '-' || c == '_') {
				return "", "has a character that a DNS name cannot have"
			}
		}
	}
	return host, ""
}

func isASCII(s string) bool {
	for i := range len(s) {
		if s[i] >= 0x80 {
			return false
		}
	}
	return true
}

// carriedBy reports whether leaf carries the name. Only subject alternative names count (RFC 6125, section 6.4.4).
func (n verifyName) carriedBy(leaf *x509.Certificate) bool {
	if n.uri == "" {
		return leaf.VerifyHostname(n.host) == nil && !onlyByRegistry(leaf, n.host)
	}
	for _, u := range leaf.URIs {
		if u.String() == n.uri {
			return true
		}
	}
	return false
}

// onlyByRegistry reports whether host, which leaf carries, is there only by a wildcard for every domain of a registry, such
// as "*.com" or "*.co.uk": no authority may issue those (CA/Browser Forum, Baseline Requirements, section 3.2.2.6), and
// browsers match none. Suffixes of private domains, such as "s3.amazonaws.com", belong to somebody who may have them.
func onlyByRegistry(leaf *x509.Certificate, host string) bool {
	_, parent, ok := strings.Cut(host, ".")
	if !ok {
		return false
	}
	if suffix, icann := publicsuffix.PublicSuffix(parent); !icann || suffix != parent {
		return false
	}
	return !slices.ContainsFunc(leaf.DNSNames, func(name string) bool {
		return strings.EqualFold(strings.TrimSuffix(name, "."), host)
	})
}

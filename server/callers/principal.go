package callers

import (
	"strings"
	"unicode"
	"unicode/utf8"
)

// Anonymous is the principal of a caller of whom nothing is known. It exists
// where [Config.Insecure] says so.
const Anonymous = "anonymous"

// The kinds of principals, which is what stands before the first colon. The set is
// closed: it may label a metric.
const (
	KindUID    = "uid"
	KindSPIFFE = "spiffe"
	KindDNS    = "dns"
	KindEmail  = "email"
	KindX509   = "x509"
	KindJWT    = "jwt"
	KindToken  = "token"
)

// maxPrincipal is how many bytes a principal has at most: it is a key of maps and
// stands in every line of the log.
const maxPrincipal = 256

// KindOf returns the kind of a principal, one of the Kind constants or
// [Anonymous]; "" where it is no principal.
func KindOf(principal string) string {
	if principal == Anonymous {
		return Anonymous
	}
	kind, _, ok := strings.Cut(principal, ":")
	if !ok {
		return ""
	}
	switch kind {
	case KindUID, KindSPIFFE, KindDNS, KindEmail, KindX509, KindJWT, KindToken:
		return kind
	}
	return ""
}

// principal returns the principal of that kind and name, or false where there can
// be none.
func principal(kind, name string) (string, bool) {
	p := kind + ":" + name
	return p, validName(name) && len(p) <= maxPrincipal
}

// validName says whether a name can follow a kind. A "*" cannot be in it, so that
// no principal looks like a pattern.
func validName(name string) bool {
	if name == "" || !utf8.ValidString(name) || name[0] == ' ' || name[len(name)-1] == ' ' {
		return false
	}
	return !strings.ContainsFunc(name, func(r rune) bool { return r == '*' || !unicode.IsPrint(r) })
}

// validDNSName says whether name is a host name in lower case, without a final dot.
func validDNSName(name string) bool {
	if len(name) > 253 {
		return false
	}
	for label := range strings.SplitSeq(name, ".") {
		if label == "" || len(label) > 63 || label[0] == '-' || label[len(label)-1] == '-' {
			return false
		}
		if strings.ContainsFunc(label, func(r rune) bool {
			return (r < 'a' || r > 'z') && (r < '0' || r > '9') && r != '-' && r != '_'
		}) {
			return false
		}
	}
	return true
}

// validEmail says whether address is LOCAL@DOMAIN with the domain in lower case.
func validEmail(address string) bool {
	local, domain, ok := strings.Cut(address, "@")
	return ok && local != "" && validDNSName(domain) &&
		!strings.ContainsFunc(local, func(r rune) bool { return r <= ' ' || r > '~' || r == '"' })
}

package callers

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/spiffe/go-spiffe/v2/spiffeid"
)

// PatternError says which pattern of a [Config] cannot be used.
type PatternError struct {
	// Pattern is the pattern as it was given.
	Pattern string
	// Why says what is wrong with it.
	Why string
}

func (e *PatternError) Error() string {
	return fmt.Sprintf("pattern %s: %s", bounded(e.Pattern), e.Why)
}

// pattern covers one principal, or all that begin alike.
type pattern struct {
	text   string // without the "*"
	prefix bool
}

func (p pattern) covers(principal string) bool {
	if p.prefix {
		return strings.HasPrefix(principal, p.text)
	}
	return principal == p.text
}

// patterns covers what one of them covers; nobody when it is empty.
type patterns []pattern

func (ps patterns) cover(principal string) bool {
	for _, p := range ps {
		if p.covers(principal) {
			return true
		}
	}
	return false
}

// parsePatterns tells found of every text that is none.
func parsePatterns(texts []string, found func(error)) patterns {
	all := make(patterns, 0, len(texts))
	for _, text := range texts {
		p, err := parsePattern(text)
		if err != nil {
			found(err)
			continue
		}
		all = append(all, p)
	}
	return all
}

// CheckPattern judges a pattern as [New] does. The error is a *PatternError.
func CheckPattern(text string) error {
	_, err := parsePattern(text)
	return err
}

// CheckPrincipal judges what is to be one principal, in the same words. The error
// is a *PatternError.
func CheckPrincipal(text string) error {
	p, err := parsePattern(text)
	if err == nil && p.prefix {
		err = &PatternError{text, "it is not one principal: leave the * out"}
	}
	return err
}

// parsePattern reads a principal, or the beginning of principals and a "*". It
// refuses beginnings that cover more than they seem to: the end of a DNS name, of
// an address and of a subject says whose it is, not the beginning; and
// spiffe://prod* would cover the trust domain production.evil.
func parsePattern(text string) (pattern, error) {
	fail := func(why string) (pattern, error) { return pattern{}, &PatternError{text, why} }
	switch text {
	case "*":
		return pattern{prefix: true}, nil
	case Anonymous:
		return pattern{text: text}, nil
	}
	body, prefix := strings.CutSuffix(text, "*")
	kind, name, ok := strings.Cut(body, ":")
	switch {
	case !ok || KindOf(body) == "":
		return fail("it is none of PRINCIPAL, BEGINNING*, anonymous and *; a principal begins with uid:, spiffe://, dns:, email:, x509:, jwt: or token:")
	case strings.Contains(body, "*"):
		return fail("a * may stand at its end alone")
	case len(text) > maxPrincipal:
		return fail("it is longer than any principal, which has " + strconv.Itoa(maxPrincipal) + " bytes at most")
	case prefix && (name == "" || kind == KindSPIFFE && name == "//"):
		return pattern{text: body, prefix: true}, nil
	case !validName(strings.TrimSuffix(name, " ")) || !prefix && !validName(name):
		return fail("no principal has such a name")
	}
	var why string
	switch kind {
	case KindUID:
		if n, err := strconv.ParseUint(name, 10, 32); err != nil || prefix || strconv.FormatUint(n, 10) != name {
			why = "a user is uid:NUMBER, and all of them are uid:*"
		}
	case KindSPIFFE:
		if _, path, ok := strings.Cut(strings.TrimPrefix(name, "//"), "/"); !ok || !prefix && path == "" {
			why = "it is not spiffe://TRUST-DOMAIN/PATH, nor spiffe://TRUST-DOMAIN/*"
		} else if _, err := spiffeid.FromString(strings.TrimRight(body, "/")); err != nil {
			why = "it is no SPIFFE ID"
		}
	case KindDNS, KindEmail, KindX509:
		if prefix {
			why = "only the end of such a name says whose it is: name the principal, or all of them with " + kind + ":*"
		} else if kind == KindDNS && !validDNSName(name) || kind == KindEmail && !validEmail(name) {
			why = "no principal has such a name"
		}
	case KindToken:
		if !validTokenName(name) {
			why = "no token has such a name"
		}
	}
	if why != "" {
		return fail(why)
	}
	return pattern{text: body, prefix: prefix}, nil
}

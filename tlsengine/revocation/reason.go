package revocation

import (
	"fmt"
	"strconv"
	"strings"
	"time"
)

// reason is why a source says nothing about a certificate. It is compared with errors.Is; the texts are for people.
type reason string

func (r reason) Error() string { return string(r) }

// What may be wrong with a source, whatever its kind.
const (
	malformed        reason = "malformed"
	tooLarge         reason = "too large"
	unknownAlgorithm reason = "unknown or unsafe signature algorithm"
	badSignature     reason = "the signature is not the issuer's"
	unknownCritical  reason = "unknown critical extension"
	fromTheFuture    reason = "not valid yet"
	outOfDate        reason = "out of date"
	schemeNotHTTP    reason = "not an http URL"
	noSource         reason = "the certificate names no CRL distribution point and no OCSP responder that could be asked"
	nothingFetched   reason = "nothing is fetched here"
	tooManyURLs      reason = "not asked, after three others"
	noTime           reason = "no answer in time"
	callerLeft       reason = "the caller did not wait for the answer"
	fetchFailed      reason = "not to be had"
	unusableChain    reason = "the chain has no certificate here"
	noTurn           reason = "no turn to use the CPU was to be had in time"
	tooMuch          reason = "too much to ask about one chain"
	defect           reason = "a defect of the service"
	notRemembered    reason = "too many entries to be remembered"
)

// What may be wrong with a CRL.
const (
	otherIssuer    reason = "from another issuer"
	mayNotSignCRLs reason = "the issuer's key usage does not allow it to sign CRLs"
	deltaCRL       reason = "a delta CRL"
	indirectCRL    reason = "an indirect CRL"
	someReasons    reason = "for some reasons only"
	otherScope     reason = "not for this kind of certificate"
	otherPoint     reason = "for another distribution point"
)

// What may be wrong with an OCSP response.
const (
	responderRefused reason = "the responder refused"
	otherCertificate reason = "about other certificates"
	statusUnknown    reason = "the responder does not know the certificate"
	noResponder      reason = "not signed by the issuer or by a responder that it authorised"
)

const (
	maxQuotedBytes = 256  // of one value
	maxSaidBytes   = 768  // of one source
	maxDetailBytes = 2048 // of all that is said about one certificate
)

// quote makes a string that somebody else chose safe for a log, a terminal and a message: in quotes, ASCII, bounded.
func quote(s string) string {
	if len(s) <= maxQuotedBytes {
		return strconv.QuoteToASCII(s)
	}
	return strconv.QuoteToASCII(s[:maxQuotedBytes]) + "..."
}

// detail says what each source answered, in the order in which they were asked.
func detail(said []error) string {
	var b strings.Builder
	for i, err := range said {
		text := plain(err.Error())
		if b.Len()+len(text) > maxDetailBytes {
			b.WriteString(" and " + strconv.Itoa(len(said)-i) + " more")
			break
		}
		if i > 0 {
			b.WriteString("; ")
		}
		b.WriteString(text)
	}
	return b.String()
}

// plain bounds a text, and leaves in it what is printable ASCII: a Fetcher may wrap a reason in a stranger's words.
func plain(text string) string {
	text = strings.Map(func(r rune) rune {
		if r < ' ' || r > '~' {
			return '?'
		}
		return r
	}, text)
	if len(text) > maxSaidBytes {
		return text[:maxSaidBytes] + "..."
	}
	return text
}

// at adds since when, or until when.
func (r reason) at(t time.Time) error {
	return fmt.Errorf("%w: %s", r, t.UTC().Format(time.RFC3339))
}

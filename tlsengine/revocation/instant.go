package revocation

import (
	"time"

	"golang.org/x/crypto/cryptobyte"
	"golang.org/x/crypto/cryptobyte/asn1"
)

// readTime reads a UTCTime or a GeneralizedTime in the one form that RFC 5280, section 4.1.2.5, allows for each. A CRL has
// millions of them, and time.Parse would take most of the time that reading it takes.
func readTime(s *cryptobyte.String, t *time.Time) bool {
	var content cryptobyte.String
	var tag asn1.Tag
	if !s.ReadAnyASN1(&content, &tag) {
		return false
	}
	year, ok := 0, true
	digits := func(n int) int {
		value := 0
		for _, c := range content[:n] {
			ok = ok && c >= '0' && c <= '9'
			value = value*10 + int(c) - '0'
		}
		content = content[n:]
		return value
	}
	switch {
	case tag == asn1.UTCTime && len(content) == len("YYMMDDHHMMSSZ"):
		if year = digits(2); year < 50 {
			year += 100
		}
		year += 1900
	case tag == asn1.GeneralizedTime && len(content) == len("YYYYMMDDHHMMSSZ"):
		year = digits(4)
	default:
		return false
	}
	month, day, hour, minute, second := digits(2), digits(2), digits(2), digits(2), digits(2)
	if !ok || content[0] != 'Z' || month < 1 || month > 12 || hour > 23 || minute > 59 || second > 59 {
		return false
	}
	*t = time.Date(year, time.Month(month), day, hour, minute, second, 0, time.UTC)
	return t.Day() == day // time.Date makes 2 March of 30 February
}

const (
	clockSkew = 5 * time.Minute    // how far ahead of ours the clock of an issuer may be
	maxAge    = 7 * 24 * time.Hour // of what does not say when it ends, and in the cache
)

// fresh says whether an answer that is valid from thisUpdate until nextUpdate (zero: it does not say) may be used now.
func fresh(thisUpdate, nextUpdate, now time.Time) error {
	switch {
	case thisUpdate.After(now.Add(clockSkew)):
		return fromTheFuture.at(thisUpdate)
	case nextUpdate.IsZero() && now.Sub(thisUpdate) > maxAge:
		return outOfDate.at(thisUpdate.Add(maxAge))
	case !nextUpdate.IsZero() && !now.Before(nextUpdate):
		return outOfDate.at(nextUpdate)
	}
	return nil
}

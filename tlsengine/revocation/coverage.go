package revocation

import (
	"fmt"
	"time"
)

// Ages past which a CRL is not taken for news, though nextUpdate is still to come, where the certificate says at which URL
// a newer one is to be had: whoever is between could otherwise show an old one for a long time. The authorities of the Web
// publish anew within seven days for leaves, and within a year for authorities.
const (
	leafCRLAge = 7 * 24 * time.Hour
	caCRLAge   = 366 * 24 * time.Hour
)

// judge says what the list means now for a certificate. A source without URL is a list that the caller gave: it must be
// for one of the certificate's distribution points, and one that was fetched for the URL that it came from.
func (l *crl) judge(s *subject, src source) (Result, error) {
	if err := fresh(l.thisUpdate, l.nextUpdate, s.now); err != nil {
		return Result{}, err
	}
	if age := s.maxCRLAge(); age >= 0 && s.namesCRL() && s.now.Sub(l.thisUpdate) > age {
		return Result{}, fmt.Errorf("%w: issued at %s, and none older than %v is taken, although it calls itself current",
			outOfDate, l.thisUpdate.UTC().Format(time.RFC3339), age)
	}
	points := s.points
	if src.url != "" {
		points = []pointName{uriName(src.url)}
	}
	if err := l.point.covers(s.isCA, points); err != nil {
		return Result{}, err
	}
	found := Result{Outcome: Good, Source: CRL, ThisUpdate: l.thisUpdate, NextUpdate: l.nextUpdate}
	switch hit, ok := l.find(s.serial); {
	case !ok:
		return Result{}, notRemembered
	case hit != nil:
		found.Outcome, found.RevokedAt, found.Detail = Revoked, hit.at, hit.String()
	case l.delta:
		return Result{}, deltaCRL
	}
	return found, nil
}

// maxCRLAge is negative when nextUpdate alone says.
func (s *subject) maxCRLAge() time.Duration {
	switch {
	case s.isCA:
		return caCRLAge
	case s.leafAge == 0:
		return leafCRLAge
	default:
		return s.leafAge
	}
}

func (l *crl) ends() time.Time { return endOf(l.thisUpdate, l.nextUpdate) }

package revocation

import (
	"bytes"
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"slices"
	"time"

	"golang.org/x/crypto/cryptobyte"
	"golang.org/x/crypto/cryptobyte/asn1"
)

// crl is what is kept of a CRL whose signature was verified. Whether it is fresh, and whether it speaks for a
// certificate, is asked each time it is used.
type crl struct {
	thisUpdate, nextUpdate time.Time     // nextUpdate zero: it does not say
	point                  *issuingPoint // nil: it speaks for all
	delta                  bool          // it has only what changed: what it does not list is not known
	entries                *index        // nil: only what was asked for while it was read is known

	asked []askedSerial
}

// askedSerial is a serial number that was asked for while the list was read.
type askedSerial struct {
	serial string
	hit    *entry // nil: not revoked
}

// find gives the entry of a serial number, nil where there is none, and false where it cannot be known any more.
func (l *crl) find(serial string) (*entry, bool) {
	for _, one := range l.asked {
		if one.serial == serial {
			return one.hit, true
		}
	}
	if l.entries == nil {
		return nil, false
	}
	if e, ok := l.entries.find([]byte(serial)); ok {
		return &e, true
	}
	return nil, true
}

func (l *crl) bytes() int {
	n := 512
	if l.point != nil {
		for _, name := range l.point.names {
			n += 16 + len(name)
		}
	}
	if l.entries != nil {
		n += l.entries.bytes()
	}
	return n
}

// crlScan reads one CRL from a stream. What it needs does not grow with the CRL, but for the index.
type crlScan struct {
	issuers []string // canonical names of those who may have signed it
	serials []string // the contents of the INTEGERs to look for
	room    *room    // for an index of all entries; nil: none is wanted
	left    *int     // signatures that may still be verified; nil: they are not counted

	in     *derReader
	alg    algorithm
	issuer string // canonical
	named  bool   // issuer was read
	v2     bool
	list   *crl

	digest, signature []byte
	tried             map[*x509.Certificate]error // whether its key made the signature
}

// read returns the list, or why it cannot be used. signers may have signed it, by the verified path; all have the same name.
func (s *crlScan) read(ctx context.Context, r io.Reader, signers []*x509.Certificate) (_ *crl, err error) {
	name, ok := canonicalName(signers[0].RawSubject)
	if !ok {
		return nil, otherIssuer
	}
	s.issuers = []string{name}
	done := false
	defer func() {
		if !done && s.list.entries != nil { // a panic too gives the room back
			s.list.entries.drop()
		}
	}()
	if err := s.parse(ctx, r); err != nil {
		return nil, err
	}
	l, err := s.signedBy(signers)
	if err != nil {
		return nil, err
	}
	done = true
	return l, nil
}

// parse reads all of the list. It reads no further than the issuer's name when that is another's.
func (s *crlScan) parse(ctx context.Context, r io.Reader) error {
	s.in, s.list = newDERReader(r), &crl{}
	for _, serial := range s.serials {
		s.list.asked = append(s.list.asked, askedSerial{serial: serial})
	}
	if s.room != nil {
		s.list.entries = &index{room: s.room}
	}
	end, err := s.in.enter(asn1.SEQUENCE, -1)
	if err != nil {
		return err
	}
	// The algorithm is known only after the first bytes that it is for.
	var start bytes.Buffer
	s.in.sink = &start
	tbsEnd, err := s.in.enter(asn1.SEQUENCE, end)
	if err != nil {
		return err
	}
	algorithmDER, err := s.readAlgorithm(tbsEnd)
	if err != nil {
		return err
	}
	digest := s.alg.digest()
	_, _ = digest.Write(start.Bytes()) // small: no hash refuses it
	s.in.sink = digest

	if err := s.readHead(tbsEnd); err != nil {
		return err
	}
	if err := s.readEntries(ctx, tbsEnd); err != nil {
		return err
	}
	if err := s.readExtensions(tbsEnd); err != nil {
		return err
	}
	s.in.sink = nil
	outer, err := s.in.element(asn1.SEQUENCE, end)
	if err != nil {
		return err
	}
	if !bytes.Equal(outer, algorithmDER) {
		return fmt.Errorf("%w: two signature algorithms", malformed)
	}
	signatureDER, err := s.in.element(asn1.BIT_STRING, end)
	if err != nil {
		return err
	}
	signature, ok := readSignature(signatureDER)
	if !ok || s.in.pos != end {
		return fmt.Errorf("%w: signature", malformed)
	}
	if err := s.in.atEnd(); err != nil {
		return err
	}
	if s.list.entries != nil {
		s.list.entries.sortLast()
	}
	s.digest, s.signature = digest.Sum(nil), bytes.Clone(signature)
	return nil
}

// readAlgorithm reads version and signature.
func (s *crlScan) readAlgorithm(end int64) ([]byte, error) {
	tag, err := s.in.next(end)
	if err != nil {
		return nil, err
	}
	if tag == asn1.INTEGER {
		version, err := s.in.element(asn1.INTEGER, end)
		if err != nil {
			return nil, err
		}
		if !bytes.Equal(version, []byte{byte(asn1.INTEGER), 1, 1}) {
			return nil, fmt.Errorf("%w: version", malformed)
		}
		s.v2 = true
	}
	der, err := s.in.element(asn1.SEQUENCE, end)
	if err != nil {
		return nil, err
	}
	der = bytes.Clone(der)
	s.alg, err = readAlgorithm(der)
	return der, err
}

// readHead reads issuer, thisUpdate and nextUpdate.
func (s *crlScan) readHead(end int64) error {
	name, err := s.in.element(asn1.SEQUENCE, end)
	if err != nil {
		return err
	}
	var ok bool
	if s.issuer, ok = canonicalName(name); !ok {
		return fmt.Errorf("%w: issuer", malformed)
	}
	if s.named = true; !slices.Contains(s.issuers, s.issuer) {
		return otherIssuer
	}
	if err := s.readTime(end, &s.list.thisUpdate); err != nil {
		return err
	}
	tag, err := s.in.next(end)
	if err != nil || tag != asn1.UTCTime && tag != asn1.GeneralizedTime {
		return err
	}
	if err := s.readTime(end, &s.list.nextUpdate); err != nil {
		return err
	}
	if s.list.nextUpdate.Before(s.list.thisUpdate) {
		return fmt.Errorf("%w: nextUpdate is before thisUpdate", malformed)
	}
	return nil
}

func (s *crlScan) readTime(end int64, t *time.Time) error {
	tag, err := s.in.next(end)
	if err != nil {
		return err
	}
	der, err := s.in.element(tag, end)
	if err != nil {
		return err
	}
	if content := cryptobyte.String(der); !readTime(&content, t) {
		return fmt.Errorf("%w: time", malformed)
	}
	return nil
}

// entriesPerLook is how many entries are read between two looks at the context.
const entriesPerLook = 1 << 14

func (s *crlScan) readEntries(ctx context.Context, tbsEnd int64) error {
	tag, err := s.in.next(tbsEnd)
	if err != nil || tag != asn1.SEQUENCE {
		return err
	}
	end, err := s.in.enter(asn1.SEQUENCE, tbsEnd)
	if err != nil {
		return err
	}
	if s.in.pos == end { // RFC 5280, section 5.1.2.6: no entries, no list
		return fmt.Errorf("%w: empty list of entries", malformed)
	}
	for n := 0; s.in.pos < end; n++ {
		if n%entriesPerLook == 0 {
			if err := ctx.Err(); err != nil {
				return fetchError(err)
			}
		}
		der, err := s.in.element(asn1.SEQUENCE, end)
		if err != nil {
			return err
		}
		if err := s.readEntry(der); err != nil {
			return err
		}
	}
	return nil
}

func (s *crlScan) readEntry(der cryptobyte.String) error {
	var content, serial cryptobyte.String
	e := entry{}
	if !der.ReadASN1(&content, asn1.SEQUENCE) || !content.ReadASN1(&serial, asn1.INTEGER) || !minimalInteger(serial) ||
		!readTime(&content, &e.at) {
		return fmt.Errorf("%w: entry", malformed)
	}
	if !content.Empty() {
		if err := s.readEntryExtensions(content, &e); err != nil {
			return err
		}
	}
	if e.reason == removeFromCRL {
		return nil
	}
	for i := range s.list.asked {
		if one := &s.list.asked[i]; string(serial) == one.serial && one.hit == nil {
			hit := e // a copy, or every entry would go to the heap
			one.hit = &hit
		}
	}
	if s.list.entries != nil && !s.list.entries.add(serial, e) {
		s.list.entries = nil
	}
	return nil
}

func (s *crlScan) readEntryExtensions(der cryptobyte.String, e *entry) error {
	extensions, ok := readExtensions(der)
	if !ok || !s.v2 {
		return fmt.Errorf("%w: entry", malformed)
	}
	for _, x := range extensions {
		switch x.oid {
		case oidReasonCode:
			var code int
			if !x.value.ReadASN1Enum(&code) || !x.value.Empty() || code < 0 || code > 255 {
				return fmt.Errorf("%w: reason of an entry", malformed)
			}
			e.reason = uint8(code)
		case oidInvalidityDate, oidHoldInstruction: // they change nothing
		default: // of an indirect CRL's certificateIssuer too, which is always critical
			if x.critical {
				return fmt.Errorf("%w of an entry: %s", unknownCritical, quote(x.oid))
			}
		}
	}
	return nil
}

// readExtensions reads crlExtensions and expects nothing after them.
func (s *crlScan) readExtensions(tbsEnd int64) error {
	if s.in.pos == tbsEnd {
		return nil
	}
	der, err := s.in.element(constructed(0), tbsEnd)
	if err != nil {
		return err
	}
	var content cryptobyte.String
	outer := cryptobyte.String(der)
	if !outer.ReadASN1(&content, constructed(0)) || s.in.pos != tbsEnd || !s.v2 {
		return fmt.Errorf("%w: extensions", malformed)
	}
	extensions, ok := readExtensions(content)
	if !ok {
		return fmt.Errorf("%w: extensions", malformed)
	}
	for _, x := range extensions {
		switch x.oid {
		case oidIssuingPoint:
			if s.list.point, err = readIssuingPoint(x.value, s.issuer); err != nil {
				return err
			}
		case oidDeltaCRL:
			s.list.delta = true
		case oidAuthorityKeyID: // the signature says whose it is
		default: // of a CRL number too, which is never critical (RFC 5280, section 5.2.3)
			if x.critical {
				return fmt.Errorf("%w: %s", unknownCritical, quote(x.oid))
			}
		}
	}
	return nil
}

// signedBy returns the list that was read when one of them signed it: the issuer, or, when it changed its key on the way
// up, one of those before it.
func (s *crlScan) signedBy(signers []*x509.Certificate) (*crl, error) {
	err := error(badSignature)
	for _, signer := range signers {
		switch tried := s.try(signer); {
		case errors.Is(tried, tooMuch):
			return nil, tried
		case tried != nil:
			continue
		case hasExtension(signer, oidKeyUsage) && signer.KeyUsage&x509.KeyUsageCRLSign == 0:
			err = mayNotSignCRLs
			continue
		}
		return s.list, nil
	}
	return nil, err
}

// try verifies the signature by one key, once.
func (s *crlScan) try(signer *x509.Certificate) error {
	err, ok := s.tried[signer]
	if ok {
		return err
	}
	if s.left != nil {
		if *s.left == 0 {
			return tooMuch
		}
		*s.left--
	}
	err = s.alg.verify(signer.PublicKey, s.digest, s.signature)
	if s.tried == nil {
		s.tried = make(map[*x509.Certificate]error)
	}
	s.tried[signer] = err
	return err
}

// minimalInteger says whether the content of an INTEGER is in DER.
func minimalInteger(b []byte) bool {
	return len(b) == 1 || len(b) > 1 && (b[0] != 0 || b[1] >= 0x80) && (b[0] != 0xff || b[1] < 0x80)
}

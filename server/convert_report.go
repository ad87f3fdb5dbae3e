package server

import (
	"crypto/sha256"
	"crypto/x509"
	"strings"
	"time"

	"google.golang.org/protobuf/types/known/timestamppb"

	pb "securesocket/gen/securesocket/v1"
	"securesocket/tlsengine"
	"securesocket/tlsengine/certinfo"
	"securesocket/tlsengine/revocation"
)

func toReport(r *tlsengine.Report) *pb.CertificateReport {
	if r == nil {
		return nil
	}
	m := &pb.CertificateReport{
		Status:        pb.CertificateStatus(r.Status),
		TrustBasis:    pb.CertificateReport_TrustBasis(r.Basis),
		PeerChain:     toChain(r.PeerChain),
		VerifiedChain: toChain(r.VerifiedChain),
		JudgedPath:    toChain(r.JudgedPath),
		VerifyName:    r.VerifyName,
		Warnings:      r.Warnings,
		StoreName:     r.StoreName,
	}
	if r.StoreName != "" {
		m.StoreSha256 = r.StoreSHA256[:]
	}
	for _, res := range r.Revocation {
		m.Revocation = append(m.Revocation, toRevocation(res))
	}
	if !r.Time.IsZero() {
		m.ValidateTime = timestamppb.New(r.Time)
	}
	for _, p := range r.Problems {
		depth := int32(p.Depth) //nolint:gosec // -1 to 20
		mp := &pb.CertificateProblem{
			Code:    pb.CertificateProblemCode(p.Code),
			Depth:   &depth,
			Message: p.Message,
			Hint:    p.Hint,
		}
		if p.Certificate != nil {
			sum := sha256.Sum256(p.Certificate.Raw)
			mp.CertificateSha256 = sum[:]
		}
		m.Problems = append(m.Problems, mp)
	}
	return m
}

func toRevocation(r revocation.Result) *pb.RevocationResult {
	depth := int32(r.Depth) //nolint:gosec // 0 to 20
	m := &pb.RevocationResult{
		Depth:   &depth,
		Outcome: pb.RevocationResult_Outcome(r.Outcome),
		Source:  pb.RevocationResult_Source(r.Source),
		Detail:  r.Detail,
	}
	for _, t := range []struct {
		from time.Time
		to   **timestamppb.Timestamp
	}{{r.ThisUpdate, &m.ThisUpdateTime}, {r.NextUpdate, &m.NextUpdateTime}, {r.RevokedAt, &m.RevokedTime}} {
		if !t.from.IsZero() {
			*t.to = timestamppb.New(t.from)
		}
	}
	return m
}

func toChain(chain []*x509.Certificate) []*pb.Certificate {
	out := make([]*pb.Certificate, len(chain))
	for i, c := range chain {
		out[i] = toCertificate(c)
	}
	return out
}

// toCertificate returns the message of a certificate, which others have too: it
// must not be modified.
func toCertificate(c *x509.Certificate) *pb.Certificate {
	if c == nil {
		return nil
	}
	return converted.get(c)
}

func convertCertificate(c *x509.Certificate) *pb.Certificate {
	sum := sha256.Sum256(c.Raw)
	m := &pb.Certificate{
		Der:            c.Raw,
		Sha256:         sum[:],
		NotBeforeTime:  timestamppb.New(c.NotBefore),
		NotAfterTime:   timestamppb.New(c.NotAfter),
		DnsNames:       validText(c.DNSNames),
		EmailAddresses: validText(c.EmailAddresses),
		IsCa:           c.BasicConstraintsValid && c.IsCA,
	}
	for _, ip := range c.IPAddresses {
		m.IpAddresses = append(m.IpAddresses, ip.String())
	}
	for _, u := range c.URIs {
		m.Uris = append(m.Uris, validText([]string{u.String()})...)
	}
	// What cannot be read beyond what crypto/x509 read stays empty.
	if info, err := certinfo.Read(c); err == nil {
		m.Version = int32(info.Version) //nolint:gosec // 1 to 3
		m.SerialNumber = info.SerialNumber
		m.Subject = toName(info.Subject)
		m.Issuer = toName(info.Issuer)
		m.SignatureAlgorithmOid = info.SignatureAlgorithmOID
		m.SignatureAlgorithmParams = info.SignatureAlgorithmParams
		m.SubjectPublicKeyAlgorithmOid = info.PublicKeyAlgorithmOID
		m.SubjectPublicKey = info.PublicKey
		m.SubjectPublicKeyBits = toInt32(info.PublicKeyBits)
		m.IssuerUniqueId = info.IssuerUniqueID
		m.SubjectUniqueId = info.SubjectUniqueID
	}
	return m
}

func toName(n certinfo.Name) *pb.DistinguishedName {
	m := &pb.DistinguishedName{
		CommonName:             valid(n.CommonName),
		CountryName:            valid(n.Country),
		LocalityName:           valid(n.Locality),
		OrganizationName:       valid(n.Organization),
		OrganizationalUnitName: valid(n.OrganizationalUnit),
		StateOrProvinceName:    valid(n.Province),
		Text:                   valid(n.Text),
		Der:                    n.DER,
	}
	for _, a := range n.Attributes {
		m.Attributes = append(m.Attributes, &pb.Attribute{Oid: a.OID, ShortName: a.ShortName, Value: valid(a.Value)})
	}
	return m
}

// valid makes a text of the peer's one that protobuf can carry.
func valid(s string) string { return strings.ToValidUTF8(s, "\uFFFD") }

func validText(in []string) []string {
	out := make([]string, len(in))
	for i, s := range in {
		out[i] = valid(s)
	}
	return out
}

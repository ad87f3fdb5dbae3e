package tlsengine

import (
	"context"
	"crypto/x509"
	"fmt"
)

// Chain is a chain that somebody holds, with what came with it. Nothing of it is modified; the report shares none of it.
type Chain struct {
	Certificates [][]byte // DER, leaf first
	Staple       []byte   // OCSP response; nil: none
	CRLs         [][]byte // DER, asked before anything is fetched; nil: none
	Policies     Policies
}

// Validate judges a chain without any connection, as Client judges that of its peer, and Server with PeerIsClient. Of
// cfg it uses what is about the judgement.
//
// A leaf that cannot be read is MALFORMED_CERTIFICATE at depth 0. Another certificate that cannot be read is dropped: a
// chain that verifies without it is trusted, with a warning; any other has MALFORMED_CERTIFICATE at depth -1 among its
// problems. A client's handshake is not as lenient: crypto/tls ends it over any certificate that it cannot read.
//
// A report that refuses is no error. The error is a *ConfigError, Config.Turn's, or wraps context.Cause(ctx) when ctx ended
// first.
func Validate(ctx context.Context, cfg *Config, chain Chain) (*Report, error) {
	s, err := cfg.settings()
	if err != nil {
		return nil, err
	}
	r := chain.judge(ctx, s)
	switch {
	case ctx.Err() != nil:
		return nil, fmt.Errorf("tlsengine: validation interrupted: %w", context.Cause(ctx))
	case r.failed != nil:
		return nil, r.failed
	}
	return r, nil
}

func (c Chain) judge(ctx context.Context, s *settings) *Report {
	sizes := make([]int, len(c.Certificates))
	for i, der := range c.Certificates {
		sizes[i] = len(der)
	}
	if n, why := withinBounds(sizes); why != "" {
		r := newReport(s)
		for _, der := range c.Certificates[:n] {
			if cert, err := parse(der); err == nil {
				r.PeerChain = append(r.PeerChain, cert)
			}
		}
		r.refuse(tooLarge(why))
		return r
	}
	in := evidence{staple: c.Staple, crls: c.CRLs, policies: c.Policies}
	for i, der := range c.Certificates {
		cert, err := parse(der)
		if err == nil {
			in.chain = append(in.chain, cert)
			continue
		}
		text := fmt.Sprintf("certificate %d of the chain cannot be read: %s", i, quote(err.Error()))
		if i == 0 {
			r := newReport(s)
			r.refuse(malformed(0, text))
			return r
		}
		in.unparsed = append(in.unparsed, text)
	}
	return judge(ctx, s, in)
}

// parse copies der: a report outlives the request that brought it.
func parse(der []byte) (*x509.Certificate, error) {
	return x509.ParseCertificate(append([]byte(nil), der...))
}

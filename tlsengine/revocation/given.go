package revocation

import (
	"bytes"
	"context"
	"errors"
	"fmt"
)

// askGiven looks through the CRLs that the caller gave, each once for all certificates, and gives the turn back in
// between.
func (in *inquiry) askGiven(ctx context.Context, t *turn) {
	left := maxGivenChecks
	for i, der := range in.CRLs {
		err := t.begin(ctx)
		if err == nil && ctx.Err() != nil {
			err = fetchError(context.Cause(ctx))
		}
		if err != nil {
			for _, q := range in.questions {
				q.add(Result{}, fmt.Errorf("given CRL %d: %w", i, err))
			}
			return
		}
		err = in.checker.guard(func() error {
			in.askList(ctx, i, der, &left)
			return nil
		})
		t.end()
		for _, q := range in.questions {
			q.spoil(err)
		}
	}
}

// askList looks through one of them. To those with other issuers it is not worth a word.
func (in *inquiry) askList(ctx context.Context, i int, der []byte, left *int) {
	scan := &crlScan{left: left}
	for _, q := range in.questions {
		if q.subject != nil {
			scan.issuers, scan.serials = append(scan.issuers, q.subject.issuerName), append(scan.serials, q.subject.serial)
		}
	}
	parseErr := scan.parse(ctx, bytes.NewReader(der))
	if errors.Is(parseErr, otherIssuer) {
		return
	}
	for _, q := range in.questions {
		s := q.subject
		if s == nil || scan.named && scan.issuer != s.issuerName {
			continue
		}
		var r Result
		var l *crl
		err := parseErr
		if err == nil {
			l, err = scan.signedBy(s.signers)
		}
		if err == nil {
			r, err = l.judge(s, source{})
		}
		if err != nil {
			err = fmt.Errorf("given CRL %d: %w", i, err)
		}
		q.add(r, err)
	}
}

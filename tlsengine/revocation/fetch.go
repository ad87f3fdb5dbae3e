package revocation

import (
	"context"
	"errors"
	"fmt"
	"io"

	"golang.org/x/crypto/ocsp"
)

const maxCRLBytes = 32 << 20 // of one that is fetched

// read asks a source and verifies what it says.
func (c *Checker) read(ctx context.Context, s *subject, src source) (answer, error) {
	if src.kind == OCSP {
		return c.readOCSP(ctx, s, src)
	}
	body, err := c.get(ctx, Request{URL: src.url, MaxBytes: maxCRLBytes})
	if err != nil {
		return nil, err
	}
	defer body.Close()
	scan := &crlScan{signers: s.signers, serial: s.serial, room: &c.indexes}
	l, err := scan.read(ctx, body)
	if err != nil {
		return nil, err
	}
	return l, nil
}

func (c *Checker) readOCSP(ctx context.Context, s *subject, src source) (answer, error) {
	request, err := ocsp.CreateRequest(s.cert, s.issuer, nil) // SHA-1 in the CertID: all responders know it
	if err != nil {
		return nil, fmt.Errorf("%w: no request can be made for the certificate", unusableChain)
	}
	body, err := c.get(ctx, Request{
		URL: src.url, Body: request, Type: "application/ocsp-request", MaxBytes: maxOCSPBytes,
	})
	if err != nil {
		return nil, err
	}
	defer body.Close()
	der, err := io.ReadAll(body)
	if err != nil {
		return nil, fetchError(err)
	}
	a, err := readOCSP(der, s)
	if err != nil {
		return nil, err
	}
	return a, nil
}

// get fetches, and holds the Fetcher to the bound.
func (c *Checker) get(ctx context.Context, r Request) (io.ReadCloser, error) {
	body, err := c.fetcher.Fetch(ctx, r)
	if err != nil {
		return nil, fetchError(err)
	}
	return &bounded{body: body, left: r.MaxBytes}, nil
}

// fetchError makes a reason of what a Fetcher says. Its text may be a stranger's.
func fetchError(err error) error {
	var known reason
	switch {
	case errors.As(err, &known):
		return err
	case errors.Is(err, context.DeadlineExceeded):
		return noTime
	case errors.Is(err, context.Canceled):
		return callerLeft
	}
	return fmt.Errorf("%w: %s", fetchFailed, quote(err.Error()))
}

// bounded fails, rather than ends, where the body goes on past its bound: a part of an answer is not one.
type bounded struct {
	body io.ReadCloser
	left int64
}

func (b *bounded) Read(p []byte) (int, error) {
	if int64(len(p)) > b.left+1 {
		p = p[:b.left+1]
	}
	n, err := b.body.Read(p)
	if b.left -= int64(n); b.left < 0 {
		return 0, fmt.Errorf("%w: the answer is longer than allowed", tooLarge)
	}
	return n, err
}

func (b *bounded) Close() error { return b.body.Close() }

package client

import (
	"context"
	"iter"

	"google.golang.org/protobuf/proto"

	pb "securesocket/gen/securesocket/v1"
)

// Certificates lists the certificates that a level has in effect, page by page as they are wanted; the request may begin
// at a page and say how large they are, and is not changed. The error, an *Error, is the last pair.
func (c *Client) Certificates(ctx context.Context, request *pb.ListCertificatesRequest) iter.Seq2[*pb.TrustedCertificate, error] {
	return func(yield func(*pb.TrustedCertificate, error) bool) {
		page := proto.CloneOf(request)
		for {
			answer, err := call(ctx, c.trust().ListCertificates, page)
			if err != nil {
				yield(nil, err)
				return
			}
			for _, certificate := range answer.GetCertificates() {
				if !yield(certificate, nil) {
					return
				}
			}
			if answer.GetNextPageToken() == "" {
				return
			}
			page.PageToken = answer.GetNextPageToken()
		}
	}
}

// AddCertificates adds certificates to a level. The error is an *Error.
func (c *Client) AddCertificates(ctx context.Context, request *pb.AddCertificatesRequest) (*pb.AddCertificatesResponse, error) {
	return call(ctx, c.trust().AddCertificates, request)
}

// SetCertificates replaces the anchors of a level, which then follows the one above it no more. The error is an *Error.
func (c *Client) SetCertificates(ctx context.Context, request *pb.SetCertificatesRequest) (*pb.SetCertificatesResponse, error) {
	return call(ctx, c.trust().SetCertificates, request)
}

// ResetCertificates lets a level follow the one above it again, and drops what it had itself. The error is an *Error.
func (c *Client) ResetCertificates(ctx context.Context, request *pb.ResetCertificatesRequest) error {
	_, err := call(ctx, c.trust().ResetCertificates, request)
	return err
}

// Defaults returns the caller's default settings, for all his sessions; absent fields are the service's. The error is an
// *Error.
func (c *Client) Defaults(ctx context.Context) (*pb.SessionSettings, error) {
	answer, err := call(ctx, c.trust().GetDefaults, &pb.GetDefaultsRequest{})
	return answer.GetSettings(), err
}

// UpdateDefaults changes the caller's default settings, for the next connects of all his sessions: of other processes
// too, if they are the same caller to the service. The error is an *Error.
func (c *Client) UpdateDefaults(ctx context.Context, request *pb.UpdateDefaultsRequest) (*pb.UpdateDefaultsResponse, error) {
	return call(ctx, c.trust().UpdateDefaults, request)
}

func (c *Client) trust() pb.TrustServiceClient { return pb.NewTrustServiceClient(c.unary) }

package client

import (
	"context"

	pb "securesocket/gen/securesocket/v1"
)

// Probe connects, handshakes, judges the peer, hangs up and reports everything. What the network and the peer do wrong is
// in the answer's Failure, Report and FailedPhase. The error is an *Error, about the request or the service alone.
func (c *Client) Probe(ctx context.Context, request *pb.ProbeRequest) (*pb.ProbeResponse, error) {
	return call(ctx, pb.NewDiagnosticServiceClient(c.unary).Probe, request)
}

// Probe is Client.Probe with what a Dial to address would use: its settings, anchors and identities, but caller-held
// ones, for which there is no stream to sign over. Decide is not asked, and OnEvent not called.
func (d *Dialer) Probe(ctx context.Context, network, address string) (*pb.ProbeResponse, error) {
	if d.Client == nil {
		return nil, invalidField("Dialer.Client", "is nil")
	}
	probe := *d
	probe.Decide, probe.Identities, probe.Resumable = nil, nil, false
	for _, identity := range d.Identities {
		if identity == nil || identity.key == nil {
			probe.Identities = append(probe.Identities, identity)
		}
	}
	open, err := probe.request(ctx, network, address)
	if err != nil {
		return nil, err
	}
	ctx, cancel := d.bound(ctx)
	defer cancel()
	return d.Client.Probe(ctx, &pb.ProbeRequest{
		Host: open.GetHost(), Port: open.GetPort(), Settings: open.GetSettings(), Certificates: open.GetCertificates(),
		StartTlsProtocol: open.GetStartTlsProtocol(),
	})
}

// ValidateChain has the service judge a chain that the caller holds, without any connection. A chain that is refused is an
// answer, not an error. The report belongs to the caller; whoever made the chain chose every text in it. The error is an
// *Error.
func (c *Client) ValidateChain(ctx context.Context, request *pb.ValidateChainRequest) (*pb.CertificateReport, error) {
	answer, err := call(ctx, pb.NewDiagnosticServiceClient(c.unary).ValidateChain, request)
	return answer.GetReport(), err
}

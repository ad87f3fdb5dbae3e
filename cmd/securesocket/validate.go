package main

import (
	"time"

	"github.com/spf13/cobra"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	"securesocket/client"
	"securesocket/cmd/securesocket/internal/picture"
	pb "securesocket/gen/securesocket/v1"
)

// maxChainRequest is what the service takes for one chain with its revocation lists, in bytes.
const maxChainRequest = 4 << 20

// validateFlags say what a chain is judged by.
type validateFlags struct {
	names         []string
	cafiles       []string
	noSystemRoots bool
	pins          []string
	crls          []string
	staple        string
	at            string
	client        bool
	revocation    string
}

func (f *validateFlags) register(cmd *cobra.Command) {
	flags := cmd.Flags()
	flags.StringArrayVar(&f.names, "name", nil, "`NAME` that the leaf must carry: a DNS name, an IP address or uri:URI; of several, one; repeatable")
	registerCafile(flags, &f.cafiles)
	flags.BoolVar(&f.noSystemRoots, "no-system-roots", false, "trust those of --cafile and nothing else")
	flags.StringArrayVar(&f.pins, "pin", nil, "`SHA256` of a public key (SubjectPublicKeyInfo), in hex or base64, that the chain must have; of several, one; repeatable")
	flags.StringArrayVar(&f.crls, "crl", nil, "a certificate revocation list in a `FILE`, PEM or DER; repeatable")
	flags.StringVar(&f.staple, "staple", "", "an OCSP response in a `FILE`, DER")
	flags.StringVar(&f.at, "at", "", "judge as of the `INSTANT`, as 2026-01-31T12:00:00Z (default now)")
	flags.BoolVar(&f.client, "client", false, "the chain is a TLS client's")
	flags.StringVar(&f.revocation, "revocation", "", "`MODE` in which revocation is checked: off, soft (what is not known is accepted) or hard (it is refused) (default soft)")
}

func (p *program) validateCommand() *cobra.Command {
	var flags validateFlags
	var drawing drawingFlags
	cmd := &cobra.Command{
		Use:   "validate CHAIN --name NAME",
		Short: "Judge a chain from a file, without any connection",
		Long: `validate has the service judge the certificates in the file CHAIN, PEM or DER, leaf first, and tells the verdict,
every problem with what mends it, and the chain as a tree. Nothing is fetched: revocation rests on --crl and --staple.

-o json prints the contract's ValidateChainResponse. The exit code is 0 if the chain is valid, 6 if it is not.`,
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) != 1 {
				return usagef("want one file with a chain, not %d arguments", len(args))
			}
			return nil
		},
	}
	flags.register(cmd)
	drawing.register(cmd)
	cmd.RunE = p.withService(func(cmd *cobra.Command, args []string, c *client.Client) error {
		if err := drawing.check(); err != nil {
			return err
		}
		request, anchors, err := flags.request(args[0])
		if err != nil {
			return err
		}
		report, err := c.ValidateChain(cmd.Context(), request)
		if err != nil {
			return err
		}
		d := &picture.Diagnosis{Target: args[0], Reply: &pb.ProbeResponse{Report: report}, FromFile: true,
			Added: anchors, Err: reportError(report)}
		return p.show(&drawing, d, &pb.ValidateChainResponse{Report: report})
	})
	return cmd
}

// request reads the flags, the chain's file and the files that the flags name.
func (f *validateFlags) request(file string) (*pb.ValidateChainRequest, [][]byte, error) {
	switch {
	case len(f.names) == 0 && !f.client:
		return nil, nil, usagef("--name is missing: the name that the leaf must carry (with --client it may be left out)")
	case f.noSystemRoots && len(f.cafiles) == 0:
		return nil, nil, usagef("--no-system-roots without --cafile trusts nobody")
	}
	request := &pb.ValidateChainRequest{VerifyNames: f.names, ServerRole: f.client}
	var err error
	if f.at != "" {
		at, err := time.Parse(time.RFC3339, f.at)
		if err != nil {
			return nil, nil, usagef("--at: %q is no instant as 2026-01-31T12:00:00Z", f.at)
		}
		request.AtTime = timestamppb.New(at)
	}
	if request.Revocation, err = parseRevocation(f.revocation); err != nil {
		return nil, nil, err
	}
	pins, err := parsePins(f.pins)
	if err != nil {
		return nil, nil, err
	}
	request.Trust = trustSettings(f.noSystemRoots, pins)
	if request.Chain, err = readChain(file); err != nil {
		return nil, nil, err
	}
	anchors, err := readAnchors("--cafile", f.cafiles)
	if err != nil {
		return nil, nil, err
	}
	request.Certificates = trusted(anchors)
	if request.Crls, err = readCRLs(f.crls); err != nil {
		return nil, nil, err
	}
	if request.OcspStaple, err = readStaple(f.staple); err != nil {
		return nil, nil, err
	}
	if size := proto.Size(request); size > maxChainRequest {
		return nil, nil, usagef("chain, anchors and lists are %d bytes together; the service takes at most %d", size, maxChainRequest)
	}
	return request, anchors, nil
}

package main

import (
	"strings"

	"github.com/spf13/cobra"

	"securesocket/client"
	"securesocket/cmd/securesocket/internal/terminal"
	"securesocket/cmd/securesocket/internal/wording"
	pb "securesocket/gen/securesocket/v1"
)

func (p *program) capabilitiesCommand() *cobra.Command {
	var output outputFlag
	cmd := &cobra.Command{
		Use:   "capabilities",
		Short: "Show what the service can do",
		Args:  cobra.NoArgs,
	}
	output.register(cmd)
	cmd.RunE = p.withService(func(cmd *cobra.Command, _ []string, c *client.Client) error {
		asJSON, err := output.json()
		if err != nil {
			return err
		}
		can, err := c.Capabilities(cmd.Context())
		if err != nil {
			return err
		}
		content := capabilitiesText(can)
		if asJSON {
			if content, err = toJSON(can); err != nil {
				return err
			}
		}
		return p.print(content)
	})
	return cmd
}

func capabilitiesText(can *pb.GetCapabilitiesResponse) []byte {
	var out terminal.Text
	out.Line("secure sockets  %t", can.GetSecureSockets())
	out.Line("server version  %s", can.GetServerVersion())
	var names []string
	for _, v := range can.GetVersions() {
		names = append(names, wording.Version(v))
	}
	out.Line("versions        %s", strings.Join(names, ", "))
	out.Line("groups          %s", strings.Join(can.GetGroups(), ", "))
	out.Line("STARTTLS in     %s", strings.Join(can.GetStartTlsProtocols(), ", "))
	out.Line("cipher suites:")
	for _, suite := range can.GetCipherSuites() {
		out.Line("  %-46s %s", suite.GetIanaName(), suite.GetProtocol())
	}
	limits := can.GetLimits()
	out.Line("limits:")
	out.Line("  sessions of one caller          %d", limits.GetMaxSessionsPerCaller())
	out.Line("  bytes of one request            %d", limits.GetMaxMessageBytes())
	out.Line("  bytes buffered each direction   %d", limits.GetMaxBufferBytes())
	out.Line("  longest detach_grace            %v", limits.GetMaxDetachGrace().AsDuration())
	out.Line("  streams of one connection       %d", limits.GetMaxConcurrentStreams())
	return out.Bytes()
}

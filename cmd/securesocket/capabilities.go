package main

import (
	"strings"

	"github.com/spf13/cobra"

	"securesocket/client"
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
	var out text
	out.line("secure sockets  %t", can.GetSecureSockets())
	out.line("server version  %s", can.GetServerVersion())
	var names []string
	for _, v := range can.GetVersions() {
		names = append(names, versionName(v))
	}
	out.line("versions        %s", strings.Join(names, ", "))
	out.line("groups          %s", strings.Join(can.GetGroups(), ", "))
	out.line("cipher suites:")
	for _, suite := range can.GetCipherSuites() {
		out.line("  %-46s %s", suite.GetIanaName(), suite.GetProtocol())
	}
	limits := can.GetLimits()
	out.line("limits:")
	out.line("  sessions of one caller          %d", limits.GetMaxSessionsPerCaller())
	out.line("  bytes of one request            %d", limits.GetMaxMessageBytes())
	out.line("  bytes buffered each direction   %d", limits.GetMaxBufferBytes())
	out.line("  streams of one connection       %d", limits.GetMaxConcurrentStreams())
	return out.Bytes()
}

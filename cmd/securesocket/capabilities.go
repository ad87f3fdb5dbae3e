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
		Args:  noArguments,
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
	if can.GetPrincipal() != "" {
		role := "caller"
		if can.GetAdministrator() {
			role = "administrator"
		}
		out.Line("principal       %s", can.GetPrincipal())
		out.Line("role            %s", role)
	}
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
	out.Line("  sessions of one caller              %d", limits.GetMaxSessionsPerCaller())
	out.Line("  bytes of one request                %d", limits.GetMaxMessageBytes())
	out.Line("  bytes buffered each direction       %d", limits.GetMaxBufferBytes())
	out.Line("  longest detach_grace                %v", limits.GetMaxDetachGrace().AsDuration())
	out.Line("  streams of one connection           %d", limits.GetMaxConcurrentStreams())
	for _, limit := range []struct {
		name string
		n    int64
	}{
		{"listeners of one caller", int64(limits.GetMaxListenersPerCaller())},
		{"handshakes of one caller at once", int64(limits.GetMaxHandshakesPerCaller())},
		{"bytes buffered for one caller", limits.GetMaxBufferedBytesPerCaller()},
		{"new targets of one caller a second", int64(limits.GetNewDestinationsPerSecond())},
		{"bytes of one caller a second", limits.GetBytesPerSecondPerCaller()},
		{"attaches of one caller a second", int64(limits.GetAttachesPerSecondPerCaller())},
	} {
		if limit.n != 0 { // the service says it
			out.Line("  %-34s  %d", limit.name, limit.n)
		}
	}
	return out.Bytes()
}

package main

import (
	"time"

	"github.com/spf13/cobra"

	"securesocket/client"
)

// maxBenchDuration and maxBenchSessions bound what one command does to a service and a peer.
const (
	maxBenchDuration = 10 * time.Minute
	maxBenchSessions = 256
)

// benchCommands are bench, and what it starts out of this program.
func (p *program) benchCommands() []*cobra.Command {
	return []*cobra.Command{p.benchCommand(), p.benchRoleCommand()}
}

func (p *program) benchCommand() *cobra.Command {
	var flags tlsFlags
	var output outputFlag
	var peers benchPeersFlags
	var duration time.Duration
	var sessions int
	cmd := &cobra.Command{
		Use:   "bench [HOST:PORT]",
		Short: "Measure how fast a service is",
		Long: `bench measures the service with a TLS peer of its own on 127.0.0.1, which the service has to be allowed to reach
(--egress-allow 127.0.0.0/8; an embedded one is): bulk both ways, echoes, new sessions.
With HOST:PORT it measures what any peer allows: new sessions, each of which makes a full TLS handshake unless the
service resumes one. That is load for the peer: ask whose it is.
With --peers it measures neither, but the service beside others on this machine; see docs/benchmarks.md.`,
		Args: cobra.MaximumNArgs(1),
	}
	flags.register(cmd)
	output.register(cmd)
	peers.register(cmd)
	cmd.Flags().DurationVar(&duration, "duration", 10*time.Second, "how long to measure, 1s to 10m")
	cmd.Flags().IntVar(&sessions, "sessions", 8, "how many sessions at once, 1 to 256")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		p.started = true
		asJSON, err := output.json()
		switch {
		case err != nil:
			return err
		case peers.wanted && (len(args) > 0 || asJSON || cmd.Flags().Changed("duration") || cmd.Flags().Changed("sessions")):
			return usagef("--peers measures by a plan of its own; HOST:PORT, -o, --duration and --sessions do not apply")
		case peers.wanted:
			return p.benchPeers(cmd.Context(), &peers)
		case peers.quick || peers.docs != "" || peers.ghostunnel != "":
			return usagef("--quick, --docs and --ghostunnel need --peers")
		case duration < time.Second || duration > maxBenchDuration:
			return usagef("--duration: %v is not from 1s to %v", duration, maxBenchDuration)
		case sessions < 1 || sessions > maxBenchSessions:
			return usagef("--sessions: %d is not from 1 to %d", sessions, maxBenchSessions)
		}
		b := &bench{Service: p.service.address(), Sessions: sessions}
		if p.service.embedded {
			b.Service = "embedded"
		}
		measure := func(c *client.Client) error { return b.ownPeer(cmd.Context(), c, duration) }
		if len(args) == 1 {
			if measure, err = b.anyPeer(cmd, args[0], &flags, duration); err != nil {
				return err
			}
		} else if p.service.embedded && len(p.service.egressAllow) == 0 {
			p.service.egressAllow = []string{"127.0.0.0/8"}
		}
		c, done, err := p.service.open()
		if err != nil {
			return err
		}
		defer done()
		if err := measure(c); err != nil {
			return err
		}
		content := b.text()
		if asJSON {
			if content, err = b.json(); err != nil {
				return err
			}
		}
		return p.print(content)
	}
	return cmd
}

package main

import (
	"context"
	"os"

	"github.com/spf13/cobra"

	"securesocket/cmd/internal/benchpeers"
)

// benchPeersFlags say how the service is measured beside others.
type benchPeersFlags struct {
	wanted     bool
	quick      bool
	docs       string
	ghostunnel string
}

func (f *benchPeersFlags) register(cmd *cobra.Command) {
	flags := cmd.Flags()
	flags.BoolVar(&f.wanted, "peers", false, "measure the service beside crypto/tls, ghostunnel, haproxy and stunnel, as far as they are here")
	flags.BoolVar(&f.quick, "quick", false, "with --peers: about two minutes instead of ten, for trying")
	flags.StringVar(&f.docs, "docs", "", "with --peers: write the table into `DIR`/benchmarks.md and the plot beside it")
	flags.StringVar(&f.ghostunnel, "ghostunnel", "", "with --peers: the `PATH` of ghostunnel's binary; without one it is left out")
}

// benchRole is the command that plays a role; nobody calls it by hand.
const benchRole = "bench-role"

func (p *program) benchRoleCommand() *cobra.Command {
	return &cobra.Command{
		Use:    benchRole + " ROLE FILE",
		Short:  "A process of bench --peers",
		Hidden: true,
		Args:   cobra.ExactArgs(2),
		RunE: func(cmd *cobra.Command, args []string) error {
			p.started = true
			return benchpeers.RunRole(cmd.Context(), args, p.stdin, p.stdout, p.stderr)
		},
	}
}

// benchPeers measures, prints the report, and writes the documents where they are wanted.
func (p *program) benchPeers(ctx context.Context, flags *benchPeersFlags) error {
	if p.service.server != "" || p.service.embedded || len(p.service.egressAllow) > 0 || p.service.legacyTLS {
		return usagef("--peers brings its own service; --server, --embedded, --egress-allow and --legacy-tls do not apply")
	}
	if flags.docs != "" {
		if err := benchpeers.CheckDocs(flags.docs); err != nil {
			return usagef("--docs: %w", err)
		}
	}
	self, err := os.Executable()
	if err != nil {
		return err
	}
	config := benchpeers.Config{
		Self: []string{self, benchRole}, Ghostunnel: flags.ghostunnel, Plan: benchpeers.Full(), Progress: p.stderr, Version: version,
	}
	command := "make bench-peers"
	if flags.ghostunnel != "" {
		command += " GHOSTUNNEL=PATH"
	}
	if flags.quick {
		config.Plan, command = benchpeers.Quick(), command+" QUICK=1"
	}
	report, err := benchpeers.Run(ctx, config)
	if err != nil {
		return err
	}
	if err := p.print([]byte(report.Text())); err != nil || flags.docs == "" {
		return err
	}
	return report.WriteDocs(flags.docs, command)
}

package main

import (
	"fmt"
	"slices"
	"strings"
	"text/tabwriter"

	"github.com/spf13/cobra"
	"google.golang.org/protobuf/proto"

	"securesocket/client"
	"securesocket/cmd/securesocket/internal/terminal"
	"securesocket/cmd/securesocket/internal/wording"
	pb "securesocket/gen/securesocket/v1"
)

// trustFlags name a level of certificates.
type trustFlags struct {
	scope   string
	session string
	output  outputFlag
}

func (f *trustFlags) register(cmd *cobra.Command) {
	cmd.Flags().StringVar(&f.scope, "scope", "", "`LEVEL`: session, defaults (this user's), service or system (default defaults, with --session session)")
	cmd.Flags().StringVar(&f.session, "session", "", "the session's `ID`, for the level session")
	f.output.register(cmd)
}

// level reads the flags.
func (f *trustFlags) level() (scope pb.TrustScope, asJSON bool, err error) {
	if asJSON, err = f.output.json(); err != nil {
		return 0, false, err
	}
	name := f.scope
	if name == "" {
		name = "defaults"
		if f.session != "" {
			name = "session"
		}
	}
	number, ok := pb.TrustScope_value["TRUST_SCOPE_"+strings.ToUpper(name)]
	scope = pb.TrustScope(number)
	switch {
	case !ok || scope == pb.TrustScope_TRUST_SCOPE_UNSPECIFIED:
		return 0, false, usagef("--scope: %q is none of session, defaults, service, system", f.scope)
	case (scope == pb.TrustScope_TRUST_SCOPE_SESSION) != (f.session != ""):
		return 0, false, usagef("--session and --scope session belong together")
	}
	return scope, asJSON, nil
}

func (p *program) trustCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "trust",
		Short: "Show and change whom the service trusts",
		Long: `trust shows and changes the certificates of a level. A session follows its user's defaults, these follow the
service's, and these the system's. add extends what a level follows; set replaces its anchors, so that it follows no
more; reset follows again. A file, PEM or DER, may have up to 2,000 certificates. What is changed lasts as long as the
service, or longer if it keeps its data; with --embedded it is gone with the command.`,
		RunE: func(*cobra.Command, []string) error { return usagef("want list, add, set or reset") },
	}
	cmd.AddCommand(p.trustListCommand(), p.trustAddCommand(), p.trustSetCommand(), p.trustResetCommand())
	return cmd
}

func (p *program) trustListCommand() *cobra.Command {
	var flags trustFlags
	cmd := &cobra.Command{Use: "list", Short: "List what a level has in effect", Args: noArguments}
	flags.register(cmd)
	cmd.RunE = p.withService(func(cmd *cobra.Command, _ []string, c *client.Client) error {
		scope, asJSON, err := flags.level()
		if err != nil {
			return err
		}
		all := &pb.ListCertificatesResponse{}
		for certificate, err := range c.Certificates(cmd.Context(), &pb.ListCertificatesRequest{Scope: scope, SessionId: flags.session}) {
			if err != nil {
				return err
			}
			all.Certificates = append(all.Certificates, certificate)
		}
		return p.tell(asJSON, all, trustTable(all.GetCertificates()))
	})
	return cmd
}

func (p *program) trustAddCommand() *cobra.Command {
	var flags trustFlags
	var chainOnly bool
	cmd := &cobra.Command{Use: "add FILE", Short: "Trust the certificates in a file too, PEM or DER", Args: oneFile}
	flags.register(cmd)
	cmd.Flags().BoolVar(&chainOnly, "chain-only", false, "use them to build chains, without trusting them")
	cmd.RunE = p.withService(func(cmd *cobra.Command, args []string, c *client.Client) error {
		scope, asJSON, err := flags.level()
		if err != nil {
			return err
		}
		bundle, err := readBundle(args[0])
		if err != nil {
			return err
		}
		answer, err := c.AddCertificates(cmd.Context(), &pb.AddCertificatesRequest{
			Scope: scope, SessionId: flags.session, Bundle: bundle, Trusted: !chainOnly})
		if err != nil {
			return err
		}
		return p.tell(asJSON, answer, sentence("%d of %d are new", answer.GetAddedCount(), answer.GetCount()))
	})
	return cmd
}

func (p *program) trustSetCommand() *cobra.Command {
	var flags trustFlags
	var none bool
	cmd := &cobra.Command{
		Use: "set FILE", Short: "Trust the certificates in a file and no others, PEM or DER",
		Args: func(cmd *cobra.Command, args []string) error {
			if none && len(args) == 0 {
				return nil
			}
			if none {
				return usagef("--none and a file contradict each other")
			}
			return oneFile(cmd, args)
		},
	}
	flags.register(cmd)
	cmd.Flags().BoolVar(&none, "none", false, "trust nobody, instead of a file")
	cmd.RunE = p.withService(func(cmd *cobra.Command, args []string, c *client.Client) error {
		scope, asJSON, err := flags.level()
		if err != nil {
			return err
		}
		request := &pb.SetCertificatesRequest{Scope: scope, SessionId: flags.session}
		if !none {
			if request.Bundle, err = readBundle(args[0]); err != nil {
				return err
			}
		}
		answer, err := c.SetCertificates(cmd.Context(), request)
		if err != nil {
			return err
		}
		return p.tell(asJSON, answer, sentence("%s now", wording.Count(answer.GetCount(), "trust anchor")))
	})
	return cmd
}

func (p *program) trustResetCommand() *cobra.Command {
	var flags trustFlags
	cmd := &cobra.Command{Use: "reset", Short: "Follow the level above again, and drop what was added", Args: noArguments}
	flags.register(cmd)
	cmd.RunE = p.withService(func(cmd *cobra.Command, _ []string, c *client.Client) error {
		scope, asJSON, err := flags.level()
		if err != nil {
			return err
		}
		if err := c.ResetCertificates(cmd.Context(), &pb.ResetCertificatesRequest{Scope: scope, SessionId: flags.session}); err != nil {
			return err
		}
		return p.tell(asJSON, &pb.ResetCertificatesResponse{}, sentence("it follows the level above again"))
	})
	return cmd
}

func oneFile(_ *cobra.Command, args []string) error {
	if len(args) != 1 {
		return usagef("want one file of certificates, not %d arguments", len(args))
	}
	return nil
}

// readBundle reads the certificates of a file, PEM or DER, that has nothing else, least of all a key, as concatenated DER.
func readBundle(file string) ([]byte, error) {
	content, err := readBounded(file)
	if err != nil {
		return nil, usagef("%q cannot be read: %w", file, err)
	}
	certificates, err := parseAnchors(content)
	if err != nil {
		return nil, usagef("%q %w", file, err)
	}
	return slices.Concat(certificates...), nil // what stands between them is nobody's business
}

// tell prints a message, or what there is to say about it.
func (p *program) tell(asJSON bool, m proto.Message, content []byte) error {
	if asJSON {
		var err error
		if content, err = toJSON(m); err != nil {
			return err
		}
	}
	return p.print(content)
}

func sentence(format string, args ...any) []byte {
	var out terminal.Text
	out.Line(format, args...)
	return out.Bytes()
}

func trustTable(all []*pb.TrustedCertificate) []byte {
	var out terminal.Text
	table := tabwriter.NewWriter(&out, 0, 0, 2, ' ', 0)
	_, _ = fmt.Fprintln(table, "LEVEL\tUSE\tEXPIRES\tSHA256\tSUBJECT")
	for _, t := range all {
		use := "chain"
		if t.GetTrusted() {
			use = "trust"
		}
		c := t.GetCertificate()
		_, _ = fmt.Fprintf(table, "%s\t%s\t%s\t%s\t%s\n", wording.Word(t.GetScope().String(), "TRUST_SCOPE_"), use,
			wording.Time(c.GetNotAfterTime()), wording.Fingerprint(c.GetSha256()), terminal.Escape(c.GetSubject().GetText()))
	}
	_ = table.Flush() // into memory
	return out.Bytes()
}

package main

import (
	"cmp"
	"errors"
	"fmt"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"securesocket/client"
	"securesocket/cmd/securesocket/internal/terminal"
	"securesocket/cmd/securesocket/internal/wording"
	pb "securesocket/gen/securesocket/v1"
	"securesocket/server/callers"
)

// errDenied ends policy explain where the policy denies the target. It is an answer, and already on stdout.
var errDenied = errors.New("denied by the egress policy")

func (p *program) policyCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "policy",
		Short: "Ask the service where it would let a caller connect to",
		RunE:  func(*cobra.Command, []string) error { return usagef("want explain") },
	}
	cmd.AddCommand(p.policyExplainCommand())
	return cmd
}

func (p *program) policyExplainCommand() *cobra.Command {
	var output outputFlag
	var asJSON bool
	var principal string
	cmd := &cobra.Command{
		Use:   "explain HOST:PORT",
		Short: "Say what the egress policy makes of a target, rule by rule",
		Long: `explain lists the rules of the egress policy in the order in which they are asked about a target, and which of them
decides. The name is resolved; nothing is connected. Where a rule is written, and the addresses of a name, administrators
alone are told. The exit code is 0 if the target is allowed, and 8 if it is denied.`,
		Args: onePeer,
	}
	output.register(cmd)
	cmd.Flags().BoolVar(&asJSON, "json", false, "short for -o json")
	cmd.Flags().StringVar(&principal, "principal", "", "ask about the caller `NAME` instead of oneself; for administrators")
	cmd.RunE = p.withService(func(cmd *cobra.Command, args []string, c *client.Client) error {
		if chosen, err := output.json(); err != nil {
			return err
		} else if chosen {
			asJSON = true
		}
		to, err := parseTarget(args[0])
		if err != nil {
			return err
		}
		if cmd.Flags().Changed("principal") {
			if bad, ok := errors.AsType[*callers.PatternError](callers.CheckPrincipal(principal)); ok {
				return usagef("--principal: %w", bad)
			}
		}
		answer, err := c.ExplainPolicy(cmd.Context(), &pb.ExplainPolicyRequest{Host: to.host, Port: to.port, Principal: principal})
		if err != nil {
			return err
		}
		if err := p.tell(asJSON, answer, policyText(to, answer)); err != nil {
			return err
		}
		if !answer.GetAllowed() {
			return errDenied
		}
		return nil
	})
	return cmd
}

func policyText(to target, answer *pb.ExplainPolicyResponse) []byte {
	var out terminal.Text
	table := tabwriter.NewWriter(&out, 0, 0, 2, ' ', 0)
	row := func(format string, args ...any) { _, _ = fmt.Fprintf(table, format+"\n", args...) }
	row("MATCHED\tVERDICT\tRULE\tWRITTEN\tABOUT\tTEXT")
	for _, step := range answer.GetSteps() {
		matched := "no"
		if step.GetMatched() {
			matched = "yes"
		}
		row("%s\t%s\t%s\t%s\t%s\t%s", matched, verdict(step.GetAllowed()), terminal.Escape(step.GetRuleId()),
			cmp.Or(terminal.Escape(step.GetSource()), "-"), cmp.Or(terminal.Escape(step.GetSubject()), "-"), terminal.Escape(step.GetText()))
	}
	_ = table.Flush() // into memory
	if failure := answer.GetUnresolved(); failure != nil {
		out.Line("addresses not judged: %s (%s)", failure.GetMessage(), wording.Reason(failure.GetReason()))
	}
	decided := "by " + answer.GetRuleId()
	if answer.GetRuleId() == "" {
		decided = "as no rule applies"
	}
	word := "denied"
	if answer.GetAllowed() {
		word = "allowed"
		if answer.GetUnresolved() != nil {
			word = "not denied so far"
		}
	}
	out.Line("%s %s %s, policy %s", to, word, decided, cmp.Or(answer.GetRevision(), "without a revision"))
	return out.Bytes()
}

// verdict is what a rule says where it applies.
func verdict(allowed bool) string {
	if allowed {
		return "allow"
	}
	return "deny"
}

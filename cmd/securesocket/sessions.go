package main

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"securesocket/client"
	"securesocket/cmd/securesocket/internal/terminal"
	"securesocket/cmd/securesocket/internal/wording"
	pb "securesocket/gen/securesocket/v1"
)

func (p *program) sessionsCommand() *cobra.Command {
	var output outputFlag
	var allCallers bool
	cmd := &cobra.Command{
		Use:   "sessions",
		Short: "List this user's sessions in the service, oldest first, or close some",
		Args:  noArguments,
	}
	output.register(cmd)
	cmd.Flags().BoolVar(&allCallers, "all-callers", false, "list everybody's sessions; for administrators")
	cmd.RunE = p.withService(func(cmd *cobra.Command, _ []string, c *client.Client) error {
		asJSON, err := output.json()
		if err != nil {
			return err
		}
		list, err := listSessions(cmd.Context(), c.Service(), allCallers)
		if err != nil {
			return err
		}
		return p.tell(asJSON, list, sessionTable(list.GetSessions(), allCallers, time.Now()))
	})
	cmd.AddCommand(p.sessionsCloseCommand())
	return cmd
}

func (p *program) sessionsCloseCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "close ID...",
		Short: "End sessions and their connections; an administrator, those of others too",
		Long: `close deletes sessions: the connection, if there is one, is reset, and what the service holds of the session is gone.
All of them are tried; what became of each is told, and the exit code is that of the first that could not be closed.`,
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) == 0 {
				return usagef("want the IDs of sessions, as the list of sessions has them")
			}
			return nil
		},
	}
	cmd.RunE = p.withService(func(cmd *cobra.Command, args []string, c *client.Client) error {
		var out terminal.Text
		var first error
		for _, id := range args {
			_, err := c.Service().DeleteSession(cmd.Context(), &pb.DeleteSessionRequest{SessionId: id})
			if err == nil {
				out.Line("%s  closed", id)
				continue
			}
			e := client.FromError(err)
			out.Line("%s  not closed: %s", id, wording.Reason(e.Reason))
			if first == nil {
				first = e
			}
		}
		if err := p.print(out.Bytes()); err != nil {
			return err
		}
		return first
	})
	return cmd
}

// listSessions puts all pages into one.
func listSessions(ctx context.Context, service pb.SecureSocketServiceClient, allCallers bool) (*pb.ListSessionsResponse, error) {
	all := &pb.ListSessionsResponse{}
	for request := (&pb.ListSessionsRequest{AllCallers: allCallers}); ; {
		page, err := service.ListSessions(ctx, request)
		if err != nil {
			return nil, client.FromError(err)
		}
		all.Sessions = append(all.Sessions, page.GetSessions()...)
		if request.PageToken = page.GetNextPageToken(); request.PageToken == "" {
			return all, nil
		}
	}
}

// sessionTable has a column for the owners, where these are several.
func sessionTable(sessions []*pb.Session, owners bool, now time.Time) []byte {
	var out terminal.Text
	table := tabwriter.NewWriter(&out, 0, 0, 2, ' ', 0)
	row := func(owner, format string, args ...any) {
		if owners {
			format = "%s\t" + format
			args = slices.Insert(args, 0, any(owner))
		}
		_, _ = fmt.Fprintf(table, format+"\n", args...)
	}
	row("OWNER", "ID\tSTATE\tGENERATION\tHOST:PORT\tLABEL\tRECEIVED\tSENT\tAGE")
	for _, s := range sessions {
		host := "-"
		if s.GetHost() != "" {
			host = target{s.GetHost(), s.GetPort()}.String()
		}
		age := now.Sub(s.GetCreateTime().AsTime()).Truncate(time.Second)
		row(terminal.Escape(s.GetOwner()), "%s\t%s\t%d\t%s\t%s\t%d\t%d\t%v", s.GetSessionId(), wording.State(s.GetState()), s.GetGeneration(), terminal.Escape(host),
			cmp.Or(terminal.Escape(s.GetSettings().GetLabel()), "-"), s.GetReceivedBytes(), s.GetSentBytes(), max(age, 0))
	}
	_ = table.Flush() // into memory
	return out.Bytes()
}

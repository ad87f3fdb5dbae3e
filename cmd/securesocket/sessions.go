package main

import (
	"cmp"
	"context"
	"fmt"
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
	cmd := &cobra.Command{
		Use:   "sessions",
		Short: "List this user's sessions in the service, oldest first",
		Args:  cobra.NoArgs,
	}
	output.register(cmd)
	cmd.RunE = p.withService(func(cmd *cobra.Command, _ []string, c *client.Client) error {
		asJSON, err := output.json()
		if err != nil {
			return err
		}
		list, err := listSessions(cmd.Context(), c.Service())
		if err != nil {
			return err
		}
		content := sessionTable(list.GetSessions(), time.Now())
		if asJSON {
			if content, err = toJSON(list); err != nil {
				return err
			}
		}
		return p.print(content)
	})
	return cmd
}

// listSessions puts all pages into one.
func listSessions(ctx context.Context, service pb.SecureSocketServiceClient) (*pb.ListSessionsResponse, error) {
	all := &pb.ListSessionsResponse{}
	for request := (&pb.ListSessionsRequest{}); ; {
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

func sessionTable(sessions []*pb.Session, now time.Time) []byte {
	var out terminal.Text
	table := tabwriter.NewWriter(&out, 0, 0, 2, ' ', 0)
	row := func(format string, args ...any) { _, _ = fmt.Fprintf(table, format+"\n", args...) }
	row("ID\tSTATE\tGENERATION\tHOST:PORT\tLABEL\tRECEIVED\tSENT\tAGE")
	for _, s := range sessions {
		host := "-"
		if s.GetHost() != "" {
			host = target{s.GetHost(), s.GetPort()}.String()
		}
		age := now.Sub(s.GetCreateTime().AsTime()).Truncate(time.Second)
		row("%s\t%s\t%d\t%s\t%s\t%d\t%d\t%v", s.GetSessionId(), wording.State(s.GetState()), s.GetGeneration(), terminal.Escape(host),
			cmp.Or(terminal.Escape(s.GetSettings().GetLabel()), "-"), s.GetReceivedBytes(), s.GetSentBytes(), max(age, 0))
	}
	_ = table.Flush() // into memory
	return out.Bytes()
}

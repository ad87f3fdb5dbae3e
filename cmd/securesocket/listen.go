package main

import (
	"net"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"google.golang.org/protobuf/types/known/durationpb"

	"securesocket/client"
	"securesocket/cmd/securesocket/internal/terminal"
	pb "securesocket/gen/securesocket/v1"
)

// listenGrace is how long the service listens on when this program was killed.
const listenGrace = 5 * time.Second

// defaultMaxSessions is how many sessions are carried at once.
const defaultMaxSessions = 256

func (p *program) listenCommand() *cobra.Command {
	var flags listenFlags
	var command, to string
	var most int
	var verbose, noHalfClose, resumable bool
	cmd := &cobra.Command{
		Use:   "listen ADDRESS",
		Short: "Take connections at an address of the service's machine",
		Long: `listen has the service listen at ADDRESS, IP:PORT or [IPv6]:PORT of the service's own machine, and take TLS
connections with the certificates that --cert and --key name: the first pair that fits the name that a client asks for.
Port 0 is any that is free; the line "listening ADDRESS" on stderr tells which. Where callers may listen is up to the
service's operator: without his word, at loopback addresses.

Without --exec and --to it pipes the first session to stdin and stdout and lets no other in. As with connect the end of
stdin is a half-close; listen ends when the client and stdin have both ended, with the exit codes of connect.

--exec runs a command by sh for every session, with the session as its stdin and stdout, and these variables:
  SECURESOCKET_REMOTE, SECURESOCKET_LOCAL       the client's address, and the service's
  SECURESOCKET_SERVER_NAME, SECURESOCKET_ALPN   the name that the client asked for, the protocol that was chosen
  SECURESOCKET_TLS_VERSION                      as in TLS 1.3; empty without TLS
  SECURESOCKET_CLIENT_CERTIFICATE_STATUS        the verdict, such as TRUSTED; empty if the client showed none
  SECURESOCKET_CLIENT_CERTIFICATE_SHA256        of the client's certificate, in hex
A command that ends with 0 ends the session in order, one that fails resets it. One whose session breaks gets SIGTERM,
and SIGKILL 2 s later, and so does all that it has left running.

--to pipes every session to HOST:PORT, which this process connects to, in clear.

What other commands call --cert and --key, for the service itself, is --api-cert and --api-key here.`,
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) != 1 {
				return usagef("want one ADDRESS, not %d arguments", len(args))
			}
			return nil
		},
	}
	flags.register(cmd)
	p.service.access.registerForListen(cmd)
	cmd.PreRun = func(*cobra.Command, []string) { p.service.access.listen = true }
	cmd.Flags().StringVar(&command, "exec", "", "run `COMMAND` for every session")
	cmd.Flags().StringVar(&to, "to", "", "pipe every session to `HOST:PORT`")
	cmd.Flags().IntVar(&most, "max-sessions", defaultMaxSessions, "carry at most `N` sessions at once, with --exec or --to; more have to wait")
	cmd.Flags().BoolVar(&noHalfClose, "no-half-close", false, "without --exec and --to: keep the direction to the client open when stdin ends, until the client ends")
	cmd.Flags().BoolVar(&resumable, "resumable", false, "go on after the way to the service was broken, without a loss")
	cmd.Flags().BoolVarP(&verbose, "verbose", "v", false, "tell every event on stderr, with the time since the start")
	cmd.RunE = p.withService(func(cmd *cobra.Command, args []string, c *client.Client) error {
		address, err := parseListenAddress(args[0])
		if err != nil {
			return err
		}
		changed := cmd.Flags().Changed
		switch {
		case changed("exec") && changed("to"):
			return usagef("--exec and --to contradict each other; give one")
		case changed("exec") && strings.TrimSpace(command) == "":
			return usagef("--exec: there is no command")
		case changed("max-sessions") && !changed("exec") && !changed("to"):
			return usagef("--max-sessions needs --exec or --to: without them there is one session")
		case most < 1:
			return usagef("--max-sessions: %d is not 1 or more", most)
		case noHalfClose && (changed("exec") || changed("to")):
			return usagef("--no-half-close is about stdin, which --exec and --to leave alone")
		}
		if changed("to") {
			t, err := parseTarget(to)
			if err != nil {
				return usagef("--to: %w", err)
			}
			to = t.String()
		}
		config, err := flags.config()
		if err != nil {
			return err
		}
		config.Resumable = resumable
		if !resumable { // who starts this program again does not have to wait for the port
			if config.Settings == nil {
				config.Settings = &pb.SessionSettings{}
			}
			config.Settings.DetachGrace = durationpb.New(listenGrace)
		}
		if verbose {
			config.OnEvent = tellEvents(p.stderr, time.Now())
		}
		l, err := c.Listen(cmd.Context(), address, config)
		if err != nil {
			return err
		}
		defer l.Close()
		var out terminal.Text
		out.Line("listening %v", l.Addr())
		_, _ = p.stderr.Write(out.Bytes())
		switch {
		case changed("exec"):
			return p.serveAll(cmd.Context(), l, most, p.execute(command))
		case changed("to"):
			return p.serveAll(cmd.Context(), l, most, forward(to))
		}
		conn, err := l.AcceptConn(cmd.Context())
		if err != nil {
			return err
		}
		_ = l.Close() // at once: whoever comes now would wait for nobody
		p.halfClose = !noHalfClose
		return p.pipe(cmd.Context(), conn, true)
	})
	return cmd
}

// parseListenAddress reads IP:PORT or [IPv6]:PORT; what is no IP address the service refuses. Port 0 is any that is free.
func parseListenAddress(s string) (string, error) {
	host, port, err := net.SplitHostPort(s)
	if err != nil {
		return "", usagef("%q is not IP:PORT; an IPv6 address goes in brackets, as in [::1]:8443", s)
	}
	if strings.HasPrefix(s, "[") && !strings.Contains(host, ":") {
		return "", usagef("%q has brackets around something that is no IPv6 address", s)
	}
	if host == "" {
		return "", usagef("%q has no address; 0.0.0.0 is every IPv4 address of the service's machine, [::] every IPv6 one", s)
	}
	if _, err := strconv.ParseUint(port, 10, 16); err != nil {
		return "", usagef("the port %q in %q is not a number from 0 to 65535", port, s)
	}
	return net.JoinHostPort(host, port), nil
}

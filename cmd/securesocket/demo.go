package main

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"sync"
	"time"

	"github.com/spf13/cobra"

	"securesocket/client"
	"securesocket/cmd/securesocket/internal/terminal"
	"securesocket/cmd/securesocket/internal/wording"
	pb "securesocket/gen/securesocket/v1"
)

// demoTimeout bounds the whole demo, which takes a fraction of a second.
const demoTimeout = 15 * time.Second

func (p *program) demoCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "demo",
		Short: "Show the main job, with no service and no network",
		Long: `demo runs TLS peers, the service and a caller in this process, on 127.0.0.1 alone, with certificates that it
makes for itself and throws away. It shows a session with a trusted peer and four verdicts about others, and checks
that each step comes out as it must: otherwise the exit code is 1.`,
		Args: noArguments,
		RunE: func(cmd *cobra.Command, _ []string) error {
			p.started = true
			if p.service.server != "" || len(p.service.egressAllow) > 0 || p.service.legacyTLS {
				return usagef("demo brings its own service; --server, --egress-allow and --legacy-tls do not apply")
			}
			ctx, cancel := context.WithTimeout(cmd.Context(), demoTimeout)
			defer cancel()
			return p.demo(ctx)
		},
	}
}

// demoHost is the name that every peer of the demo is connected to by.
const demoHost = "localhost"

// demoResolver is name resolution without a network. It fits session.Resolver.
type demoResolver struct{}

func (demoResolver) LookupNetIP(_ context.Context, _, host string) ([]netip.Addr, error) {
	if host != demoHost {
		return nil, &net.DNSError{Err: "the demo knows one name alone", Name: host, IsNotFound: true}
	}
	return []netip.Addr{netip.AddrFrom4([4]byte{127, 0, 0, 1})}, nil
}

// demo shows every step and says at the end how many came out as they must.
func (p *program) demo(ctx context.Context) error {
	began := time.Now()
	known, err := newDemoCA("Demo CA", began)
	if err != nil {
		return err
	}
	unknown, err := newDemoCA("Unknown CA", began)
	if err != nil {
		return err
	}
	config, err := embeddedConfig([]string{"127.0.0.0/8"}, nil, false)
	if err != nil {
		return err
	}
	config.Resolver = demoResolver{}
	c, end, err := openEmbedded(config)
	if err != nil {
		return err
	}
	defer end()

	own := []string{demoHost, "127.0.0.1"}
	trusting := client.Dialer{Client: c, NoSystemRoots: true, RootCAs: [][]byte{known.certificate.Raw}}
	alsoUnknown := trusting
	alsoUnknown.RootCAs = append(alsoUnknown.RootCAs, unknown.certificate.Raw)
	steps := []struct {
		title string
		ca    *demoCA
		leaf  demoLeaf
		show  func(context.Context, *terminal.Text, string) error
	}{
		{"A trusted peer: one line there and back, then close_notify from either side", known, demoLeaf{names: own},
			func(ctx context.Context, out *terminal.Text, peer string) error {
				return demoEcho(ctx, out, trusting, peer, true)
			}},
		{"A peer whose certificate has expired", known, demoLeaf{names: own, expired: true},
			demoRefused(trusting, pb.ErrorReason_ERROR_REASON_CERTIFICATE_EXPIRED, pb.CertificateStatus_CERTIFICATE_STATUS_EXPIRED)},
		{"A peer whose certificate is for another name", known, demoLeaf{names: []string{"other.example"}},
			demoRefused(trusting, pb.ErrorReason_ERROR_REASON_CERTIFICATE_PRINCIPAL_MISMATCH, pb.CertificateStatus_CERTIFICATE_STATUS_PRINCIPAL_MISMATCH)},
		{"A peer whose certificate is from an authority that nobody here trusts", unknown, demoLeaf{names: own},
			demoRefused(trusting, pb.ErrorReason_ERROR_REASON_CERTIFICATE_UNTRUSTED_SIGNERS, pb.CertificateStatus_CERTIFICATE_STATUS_UNTRUSTED_SIGNERS)},
		{"The same peer, after the caller has added that authority", nil, demoLeaf{},
			func(ctx context.Context, out *terminal.Text, peer string) error {
				return demoEcho(ctx, out, alsoUnknown, peer, false)
			}},
	}

	var out terminal.Text
	out.Line("securesocket demo: peers, the service and a caller in this process, on 127.0.0.1 alone")
	failed := 0
	var peer *demoPeer
	defer func() {
		if peer != nil {
			peer.close()
		}
	}()
	for i, step := range steps {
		if step.ca != nil { // otherwise the peer of the step before
			if peer != nil {
				peer.close()
			}
			if peer, err = newPeer(step.ca, step.leaf); err != nil {
				return err
			}
		}
		out.Line("")
		out.Line("%d. %s", i+1, step.title)
		if err := step.show(ctx, &out, target{demoHost, peer.port()}.String()); err != nil {
			failed++
			out.Line("   WRONG     %v", err)
		}
		if err := p.print(out.Bytes()); err != nil {
			return err
		}
		out.Reset()
	}
	out.Line("")
	out.Line("demo: %d of %d steps came out as they must, in %s", len(steps)-failed, len(steps), wording.Milliseconds(time.Since(began)))
	if err := p.print(out.Bytes()); err != nil {
		return err
	}
	if failed > 0 {
		return fmt.Errorf("demo: %d of %d steps came out wrong", failed, len(steps))
	}
	return nil
}

func newPeer(ca *demoCA, wanted demoLeaf) (*demoPeer, error) {
	certificate, err := ca.leaf(wanted)
	if err != nil {
		return nil, err
	}
	return startDemoPeer(certificate)
}

// demoEcho connects, sends a line, half-closes, and wants the line and a close_notify back.
func demoEcho(ctx context.Context, out *terminal.Text, dialer client.Dialer, peer string, showEvents bool) error {
	const line = "hello through the service"
	var mu sync.Mutex
	var events []string
	seen := map[string]bool{}
	began := time.Now()
	dialer.OnEvent = func(e client.Event) {
		mu.Lock()
		defer mu.Unlock()
		events, seen[e.Name()] = append(events, eventLine(time.Since(began), e)), true
	}
	conn, err := dialer.Dial(ctx, "tcp", peer)
	if err != nil {
		return err
	}
	defer conn.Abort() // nothing, after Close
	if deadline, ok := ctx.Deadline(); ok {
		if err := conn.SetDeadline(deadline); err != nil {
			return err
		}
	}
	if _, err := io.WriteString(conn, line+"\n"); err != nil {
		return err
	}
	if err := conn.CloseWrite(); err != nil {
		return err
	}
	answer, err := io.ReadAll(conn)
	if err != nil {
		return err
	}
	if err := conn.Close(); err != nil {
		return err
	}
	mu.Lock()
	defer mu.Unlock()
	if showEvents {
		for _, event := range events {
			out.Line(" %s", event)
		}
	}
	state := conn.ConnectionState()
	out.Line("   peer      %s (%v)", peer, conn.RemoteAddr())
	out.Line("   verdict   %s, %s, %s", wording.Status(conn.CertificateStatus()), tls.VersionName(state.Version), tls.CipherSuiteName(state.CipherSuite))
	out.Line("   sent      %q", line+"\n")
	out.Line("   received  %q", answer)
	switch {
	case string(answer) != line+"\n":
		return errors.New("the echo is not what was sent")
	case conn.CertificateStatus() != pb.CertificateStatus_CERTIFICATE_STATUS_TRUSTED:
		return errors.New("the peer is not trusted")
	}
	for _, name := range []string{"host_found", "tcp_connected", "secure_connected", "remote_closed", "closed"} {
		if !seen[name] {
			return fmt.Errorf("the event %s did not come", name)
		}
	}
	return nil
}

// demoRefused wants the peer refused for a reason.
func demoRefused(dialer client.Dialer, reason pb.ErrorReason, status pb.CertificateStatus) func(context.Context, *terminal.Text, string) error {
	return func(ctx context.Context, out *terminal.Text, peer string) error {
		conn, err := dialer.Dial(ctx, "tcp", peer)
		if err == nil {
			conn.Abort()
			return errors.New("it was accepted")
		}
		e, ok := errors.AsType[*client.Error](err)
		if !ok || e.Report == nil {
			return fmt.Errorf("it was refused without a report: %w", err)
		}
		out.Line("   refused   %s", wording.Status(e.Report.GetStatus()))
		problem := decidingProblem(e)
		out.Line("   problem   %s: %s", wording.Problem(problem.GetCode()), problem.GetMessage())
		out.Line("   remedy    %s", problem.GetHint())
		switch {
		case e.Reason != reason:
			return fmt.Errorf("the reason is not %s but %s", wording.Reason(reason), wording.Reason(e.Reason))
		case e.Report.GetStatus() != status:
			return fmt.Errorf("the status is not %s", wording.Status(status))
		case problem == nil || problem.GetHint() == "":
			return errors.New("the deciding problem is not named")
		}
		return nil
	}
}

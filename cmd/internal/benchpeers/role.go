package benchpeers

import (
	"context"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"

	"securesocket/cmd/internal/benchpeers/load"
	"securesocket/cmd/internal/gcpace"
	"securesocket/server"
	"securesocket/server/egress"
	"securesocket/session"
)

// The roles that this program plays in processes of their own, and what each says when it can be used.
const (
	rolePeer         = "peer"
	roleResumingPeer = "resuming-peer"
	roleService      = "service"

	readyWord = "ready "
)

// sessionsOfOneCaller is more than any crowd.
const sessionsOfOneCaller = 40_000

// RunRole is one of the processes that Run starts out of this program. args are what Run has put behind Config.Self; the
// role ends with stdin or ctx. The error says why it could not begin.
func RunRole(ctx context.Context, args []string, stdin io.Reader, stdout, stderr io.Writer) error {
	if len(args) != 2 {
		return errors.New("a role has a name and a file")
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	go func() { // ends with the process, if not before
		_, _ = io.Copy(io.Discard, stdin)
		cancel()
	}()
	switch args[0] {
	case rolePeer:
		return playPeer(ctx, args[1], false, stdout, stderr)
	case roleResumingPeer:
		return playPeer(ctx, args[1], true, stdout, stderr)
	case roleService:
		return playService(ctx, args[1], stdout, stderr)
	}
	return fmt.Errorf("there is no role %q", args[0])
}

// playPeer serves as the TLS peer, and writes the certificate of its authority into the file before it says where it is.
func playPeer(ctx context.Context, caFile string, resuming bool, stdout, stderr io.Writer) error {
	identity, err := load.NewIdentity()
	if err != nil {
		return err
	}
	ca := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: identity.CA})
	if err := os.WriteFile(caFile, ca, 0o600); err != nil {
		return err
	}
	peer, err := load.StartPeer(identity, resuming)
	if err != nil {
		return err
	}
	defer peer.Close()
	_, _ = fmt.Fprintln(stdout, readyWord+peer.Address())
	<-ctx.Done()
	if err := peer.Err(); err != nil {
		_, _ = fmt.Fprintln(stderr, "refused a connection:", err)
	}
	return nil
}

// playService is the service as the daemon has it, on a Unix socket.
func playService(ctx context.Context, socket string, stdout, stderr io.Writer) error {
	policy, err := egress.New(egress.Config{Allow: []string{"127.0.0.0/8"}, HasAllowList: true})
	if err != nil {
		return err
	}
	listener, err := net.Listen("unix", socket)
	if err != nil {
		return err
	}
	stopPace := gcpace.Start()
	defer stopPace()
	log := slog.New(slog.NewTextHandler(stderr, nil))
	service := server.New(server.Config{Logger: log, Registry: session.NewRegistry(session.Config{
		Egress: server.FixedEgress(policy), Logger: log,
		MaxSessions: sessionsOfOneCaller, MaxSessionsPerOwner: sessionsOfOneCaller,
	})})
	end := context.AfterFunc(ctx, service.Close)
	defer end()
	_, _ = fmt.Fprintln(stdout, readyWord+"unix://"+socket)
	return service.Serve(listener)
}

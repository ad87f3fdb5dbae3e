package server_test

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/sync/errgroup"
	"google.golang.org/protobuf/proto"

	pb "securesocket/gen/securesocket/v1"
	"securesocket/server"
	"securesocket/server/egress"
	"securesocket/session"
)

// budgetedSocket names the socket on which a process serves that has a small budget.
const budgetedSocket = "SECURESOCKET_TEST_BUDGETED_SOCKET"

// smallBudget is what its sessions may buffer together.
const smallBudget = 32 << 20

func init() {
	path := os.Getenv(budgetedSocket)
	if path == "" {
		return
	}
	time.AfterFunc(stalledLife, func() { os.Exit(3) })
	if err := serveBudgeted(path); err != nil {
		_, _ = fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	os.Exit(0)
}

// serveBudgeted serves until stdin ends, and answers each line of it by what memory
// the process holds.
func serveBudgeted(path string) error {
	policy, err := egress.New(egress.Config{Allow: []string{"127.0.0.0/8"}, HasAllowList: true})
	if err != nil {
		return err
	}
	s := server.New(server.Config{
		Registry: session.NewRegistry(session.Config{
			Egress: server.FixedEgress(policy), MaxBuffered: smallBudget,
			Dial: func(ctx context.Context, d *net.Dialer, addr string) (net.Conn, error) {
				conn, err := d.DialContext(ctx, "tcp", addr)
				if err == nil {
					narrow(conn)
				}
				return conn, err
			},
		}),
		Authenticate: func(context.Context) (string, error) { return "tester", nil },
	})
	defer s.Close()
	l, err := net.Listen("unix", path)
	if err != nil {
		return err
	}
	go func() { _ = s.Serve(l) }()
	lines := bufio.NewScanner(os.Stdin)
	for {
		if _, err := fmt.Println("ready"); err != nil || !lines.Scan() {
			return err
		}
		if err := json.NewEncoder(os.Stdout).Encode(memoryNow()); err != nil {
			return err
		}
	}
}

// startBudgetedService starts such a process.
func startBudgetedService(tb testing.TB) *stalledService {
	tb.Helper()
	dir, err := os.MkdirTemp("", "budget") // not tb.TempDir: the path of a socket has to be short
	require.NoError(tb, err)
	s := &stalledService{tb: tb, socket: filepath.Join(dir, "s")}
	exe, err := os.Executable()
	require.NoError(tb, err)
	cmd := exec.Command(exe)
	cmd.Env, cmd.Stderr = append(os.Environ(), budgetedSocket+"="+s.socket), os.Stderr
	in, err := cmd.StdinPipe()
	require.NoError(tb, err)
	out, err := cmd.StdoutPipe()
	require.NoError(tb, err)
	require.NoError(tb, cmd.Start())
	tb.Cleanup(func() {
		_ = in.Close()
		kill := time.AfterFunc(5*time.Second, func() { _ = cmd.Process.Kill() })
		_ = cmd.Wait()
		kill.Stop()
		_ = os.RemoveAll(dir)
	})
	s.in, s.out = in, bufio.NewReader(out)
	s.ready()
	return s
}

// drain receives all there is, as receiveAll does, and acks every frame: where memory is
// scarce what is not acked leaves room for nothing else.
func (k *stalledCaller) drain() error {
	for {
		m, err := k.stream.Recv()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return fmt.Errorf("caller %d at %d: %w", k.number, k.in.offset, err)
		}
		if d := m.GetSocketData(); d != nil && (d.GetOffset() != k.in.offset || !k.in.continues(d.GetPayload())) {
			return fmt.Errorf("caller %d at %d: %w", k.number, k.in.offset, errPattern)
		}
		e := m.GetEvent()
		k.lastEvent = max(k.lastEvent, e.GetSeq())
		if e.GetRemoteClosed() != nil {
			if err := k.finish(numberBytes); err != nil {
				return err
			}
		}
		if err := k.ack(); err != nil && !errors.Is(err, io.EOF) {
			return err
		}
	}
}

// TestThreat36SlowConsumers has many callers that do not receive, against peers that
// send as fast as they can: the service holds its budget, what a session costs without
// buffers, a chunk for each, and a tenth; and then every byte comes, over what there is.
func TestThreat36SlowConsumers(t *testing.T) {
	for _, s := range []stall{
		{name: "resumable", sessions: 400, resumable: true, size: 16 << 10},
		{name: "not resumable", sessions: 300, size: 16 << 10, held: heldReferenced},
	} {
		t.Run(s.name, func(t *testing.T) {
			s.fewer()
			service := startBudgetedService(t)
			var stop atomic.Bool
			more := func() bool { return !stop.Load() }
			peers := stalledPeersOf(t, s.sessions, func(p *stalledPeer) error {
				if err := p.await(); err != nil {
					return err
				}
				if err := p.send(s.size, more); err != nil {
					return err
				}
				return p.finish()
			})
			empty := service.memory()
			callers := callAll(t, service, peers, &pb.SessionSettings{
				Resumable: proto.Bool(s.resumable), ReceiveBufferBytes: 1 << 20,
				Tls: &pb.TlsSettings{Trust: &pb.TrustSettings{Base: pb.TrustSettings_BASE_NONE}},
			})
			close(peers.begin)
			settled(t, peers.moved.Load)
			full := service.memory()

			stop.Store(true)
			var g errgroup.Group
			for _, k := range callers {
				g.Go(k.drain)
			}
			require.NoError(t, g.Wait())
			peers.ended(t)
			for i, k := range callers {
				require.Equal(t, peers.known[i].offset, k.in.offset, "every byte came")
			}
			n := int64(s.sessions)
			used, may := full.used()-empty.used(), smallBudget+n*(heldIdle+heldReading+64<<10+s.held)+heldProcess+stalledConnections*heldConnection
			t.Logf("%d sessions hold %d MiB of %d; their rings alone might have %d; resident %d MiB", n, used>>20, may>>20, n, full.Resident>>20)
			require.LessOrEqual(t, used, may*11/10)
			if n > 100 {
				require.Less(t, used, n<<20, "the budget was what bounded it")
			}
		})
	}
}

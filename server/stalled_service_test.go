package server_test

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"runtime/pprof"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"

	"securesocket/server"
	"securesocket/server/egress"
	"securesocket/session"
)

// The service runs in a process of its own, so that its memory is measured and
// not that of callers and peers, which are in the test's.

// stalledSocket names the socket that such a process serves on, stalledBudget what its
// sessions may buffer together, in bytes; 0: the default.
const (
	stalledSocket = "SECURESOCKET_TEST_STALLED_SOCKET"
	stalledBudget = "SECURESOCKET_TEST_STALLED_BUDGET"
)

// stalledLife ends a process whose test does not.
const stalledLife = 3 * time.Minute

// stalledKernelBuffer is asked for on all sockets beside the service, so that
// little has to be sent until somebody waits.
const stalledKernelBuffer = 128 << 10

func init() {
	path := os.Getenv(stalledSocket)
	if path == "" {
		return
	}
	time.AfterFunc(stalledLife, func() { os.Exit(3) })
	if err := serveStalled(path, os.Stdin, os.Stdout); err != nil {
		_, _ = fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	os.Exit(0)
}

// serveStalled serves until questions ends. It answers each line of it by one.
func serveStalled(path string, questions io.Reader, answers io.Writer) error {
	budget, err := strconv.ParseInt(os.Getenv(stalledBudget), 10, 64)
	if err != nil {
		return err
	}
	policy, err := egress.New(egress.Config{Allow: []string{"127.0.0.0/8"}, HasAllowList: true})
	if err != nil {
		return err
	}
	const owner = "tester"
	registry := session.NewRegistry(session.Config{
		Egress:              server.FixedEgress(policy),
		MaxSessionsPerOwner: 20_000,
		MaxBuffered:         budget,
		Dial: func(ctx context.Context, d *net.Dialer, addr string) (net.Conn, error) {
			conn, err := d.DialContext(ctx, "tcp", addr)
			if err == nil {
				narrow(conn)
			}
			return conn, err
		},
	})
	s := server.New(server.Config{
		Registry:     registry,
		Authenticate: func(context.Context) (string, error) { return owner, nil },
	})
	defer s.Close()
	l, err := net.Listen("unix", path)
	if err != nil {
		return err
	}
	go func() { _ = s.Serve(l) }()
	lines := bufio.NewScanner(questions)
	for {
		if _, err := fmt.Fprintln(answers, "ready"); err != nil || !lines.Scan() {
			return err
		}
		question, argument, _ := strings.Cut(lines.Text(), " ")
		var answer any
		switch question {
		case "memory":
			answer = memoryNow()
		case "buffered":
			answer = registry.Stats().Buffered
		case "delivered":
			answer = delivered(registry, owner)
		case "profile":
			answer = writeHeapProfile(argument)
		}
		if err := json.NewEncoder(answers).Encode(answer); err != nil {
			return err
		}
	}
}

// narrow keeps the kernel from taking much of what is sent.
func narrow(conn net.Conn) {
	if tc, ok := conn.(*net.TCPConn); ok {
		_ = tc.SetReadBuffer(stalledKernelBuffer)
		_ = tc.SetWriteBuffer(stalledKernelBuffer)
	}
}

// stalledMemory is what a process holds once what is only pooled is gone.
type stalledMemory struct {
	Heap, Stacks, Objects int64
	Resident              int64 // before the collection; 0: not known here
}

func (m stalledMemory) used() int64 { return m.Heap + m.Stacks }

func memoryNow() stalledMemory {
	var resident int64
	if f, err := os.ReadFile("/proc/self/statm"); err == nil {
		var size int64
		_, _ = fmt.Sscan(string(f), &size, &resident)
	}
	for range 3 { // pools are emptied by two; what a finalizer held, by another
		runtime.GC()
	}
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return stalledMemory{int64(m.HeapAlloc), int64(m.StackInuse), int64(m.HeapObjects), resident * int64(os.Getpagesize())}
}

// delivered is how many bytes from peers were handed to streams, in all.
func delivered(registry *session.Registry, owner string) (sum int64) {
	all, _ := registry.List(owner, "", 20_000)
	for _, s := range all {
		sum += s.Snapshot().Delivered
	}
	return sum
}

func writeHeapProfile(path string) string {
	runtime.GC()
	f, err := os.Create(path)
	if err != nil {
		return err.Error()
	}
	defer f.Close()
	if err := pprof.Lookup("heap").WriteTo(f, 0); err != nil {
		return err.Error()
	}
	return ""
}

// stalledService is such a process, seen from the test.
type stalledService struct {
	tb     testing.TB
	socket string
	in     io.Writer
	out    *bufio.Reader
}

// startStalledService starts a process that ends with the test, with a budget of so
// many bytes; 0: the default.
func startStalledService(tb testing.TB, budget int64) *stalledService {
	tb.Helper()
	dir, err := os.MkdirTemp("", "stalled") // not tb.TempDir: the path of a socket has to be short
	require.NoError(tb, err)
	s := &stalledService{tb: tb, socket: filepath.Join(dir, "s")}
	exe, err := os.Executable()
	require.NoError(tb, err)
	cmd := exec.Command(exe)
	cmd.Env = append(os.Environ(), stalledSocket+"="+s.socket, stalledBudget+"="+strconv.FormatInt(budget, 10))
	cmd.Stderr = os.Stderr
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

func (s *stalledService) ready() {
	s.tb.Helper()
	line, err := s.out.ReadString('\n')
	require.NoError(s.tb, err)
	require.Equal(s.tb, "ready\n", line)
}

func (s *stalledService) ask(question string, answer any) {
	s.tb.Helper()
	_, err := fmt.Fprintln(s.in, question)
	require.NoError(s.tb, err)
	line, err := s.out.ReadBytes('\n')
	require.NoError(s.tb, err)
	require.NoError(s.tb, json.Unmarshal(line, answer))
	s.ready()
}

func (s *stalledService) memory() (m stalledMemory) {
	s.tb.Helper()
	s.ask("memory", &m)
	return m
}

func (s *stalledService) buffered() (sum int64) {
	s.tb.Helper()
	s.ask("buffered", &sum)
	return sum
}

func (s *stalledService) delivered() (sum int64) {
	s.tb.Helper()
	s.ask("delivered", &sum)
	return sum
}

// dial returns an HTTP/2 connection. A stream's window is the smallest that
// grpc-go has.
func (s *stalledService) dial() *grpc.ClientConn {
	s.tb.Helper()
	cc, err := grpc.NewClient("unix:"+s.socket, grpc.WithTransportCredentials(insecure.NewCredentials()),
		grpc.WithStaticStreamWindowSize(64<<10), grpc.WithStaticConnWindowSize(1<<20))
	require.NoError(s.tb, err)
	s.tb.Cleanup(func() { _ = cc.Close() })
	return cc
}

// profile writes what the process holds where somebody asks for it.
func (s *stalledService) profile(tb testing.TB) {
	tb.Helper()
	dir := os.Getenv("SECURESOCKET_TEST_STALLED_PROFILES")
	if dir == "" {
		return
	}
	var failed string
	s.ask("profile "+filepath.Join(dir, filepath.Base(tb.Name())+".pprof"), &failed)
	require.Empty(tb, failed)
}

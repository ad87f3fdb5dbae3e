//go:build unix

package realserver

import (
	"context"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"
)

// eximConfig is for callers that need not be root: those that Exim trusts may say
// who the client is.
const eximConfig = `
primary_hostname = mail.example
smtp_banner = mail.example ESMTP Exim
spool_directory = ${dir}/spool
log_file_path = ${dir}/%slog
trusted_users = ${user}
keep_environment =
acl_smtp_rcpt = deny
`

const eximTLS = `
tls_advertise_hosts = *
tls_certificate = ${dir}/cert.pem
tls_privatekey = ${dir}/key.pem
`

const eximWithoutTLS = `
tls_advertise_hosts =
`

// Exim speaks SMTP. Its daemon insists on being root at first, so it is run as by
// inetd, a process for each client; and since that too is for root alone, unless
// the client comes over something else than TCP, the bytes go through a pair of
// sockets.
func Exim(tb testing.TB, c Config) (addr string) {
	tb.Helper()
	program := c.Find(tb, "exim4", "/usr/sbin/exim4", "exim", "/usr/sbin/exim")
	f := newFolder(tb, c)
	text := eximConfig + eximWithoutTLS
	if c.hasTLS() {
		text = eximConfig + eximTLS
	}
	config := f.configure("exim.conf", text, nil)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(tb, err)
	ctx, cancel := context.WithCancel(context.Background())
	var wg sync.WaitGroup
	tb.Cleanup(func() {
		cancel()
		_ = l.Close()
		wg.Wait()
		if logs, _ := filepath.Glob(filepath.Join(f.path, "*log")); tb.Failed() {
			for _, name := range logs {
				text, _ := os.ReadFile(name)
				tb.Logf("%s: %s", program, text)
			}
		}
	})
	wg.Go(func() {
		for {
			client, err := l.Accept()
			if err != nil {
				return
			}
			wg.Go(func() {
				defer client.Close()
				from := strings.ReplaceAll(client.RemoteAddr().String(), ":", ".") // as Exim writes ports
				cmd := exec.CommandContext(ctx, program, "-C", config, "-bs", "-oMa", from)
				cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Credential: f.credential}
				if err := between(client.(*net.TCPConn), cmd); err != nil && ctx.Err() == nil {
					tb.Errorf("exim: %v", err)
				}
			})
		}
	})
	return l.Addr().String()
}

// between runs a program with a socket as its standard input and output, and
// carries bytes between that and a client until the program has ended.
func between(client *net.TCPConn, cmd *exec.Cmd) error {
	near, far, err := socketPair()
	if err != nil {
		return err
	}
	defer near.Close()
	cmd.Stdin, cmd.Stdout = far, far
	err = cmd.Start()
	_ = far.Close()
	if err != nil {
		return err
	}
	var wg sync.WaitGroup
	wg.Go(func() {
		_, _ = io.Copy(near, client)
		_ = near.CloseWrite()
	})
	_, _ = io.Copy(client, near)
	_ = client.Close()
	_ = cmd.Wait() // how it ended is between it and the client
	wg.Wait()
	return nil
}

func socketPair() (near *net.UnixConn, far *os.File, err error) {
	syscall.ForkLock.RLock()
	fds, err := syscall.Socketpair(syscall.AF_UNIX, syscall.SOCK_STREAM, 0)
	if err == nil {
		syscall.CloseOnExec(fds[0])
		syscall.CloseOnExec(fds[1])
	}
	syscall.ForkLock.RUnlock()
	if err != nil {
		return nil, nil, os.NewSyscallError("socketpair", err)
	}
	file := os.NewFile(uintptr(fds[0]), "near")
	defer file.Close()
	far = os.NewFile(uintptr(fds[1]), "far")
	conn, err := net.FileConn(file)
	if err != nil {
		_ = far.Close()
		return nil, nil, err
	}
	return conn.(*net.UnixConn), far, nil
}

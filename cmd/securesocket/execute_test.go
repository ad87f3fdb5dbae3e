package main

import (
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"securesocket/tlsengine/tlstest"
)

// askAll has clients come at once, each of which says something of its own and must get it back.
func askAll(t *testing.T, l *listenRun, clients int) {
	t.Helper()
	answers := make([]string, clients)
	var all sync.WaitGroup
	for i := range answers {
		all.Go(func() {
			conn, err := l.dial(t, nil)
			if err != nil {
				answers[i] = err.Error()
				return
			}
			text := strings.Repeat(strconv.Itoa(i)+" ", 20_000)
			got, err := converse(conn, text)
			if answers[i] = "equal"; err != nil || got != text {
				answers[i] = fmt.Sprintf("%d of %d bytes, %v", len(got), len(text), err)
			}
		})
	}
	all.Wait()
	for _, answer := range answers {
		require.Equal(t, "equal", answer, l.said())
	}
}

func TestExecManyAtOnce(t *testing.T) {
	t.Parallel()
	for _, more := range [][]string{nil, {"--resumable"}} {
		l := startListen(t, strings.NewReader(""), append(more, "--exec", "cat")...)
		askAll(t, l, 20)
		require.Equal(t, "listening "+l.address+"\n", l.said(), "nothing to complain about")
		l.cancel()
		require.Equal(t, exitInterrupted, l.exit(t), l.said())
	}
}

// More than there is room for wait.
func TestMaxSessions(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	// It fails if another one is there.
	l := startListen(t, strings.NewReader(""), "--max-sessions", "1", "--exec", "mkdir "+dir+"/there && cat && rmdir "+dir+"/there")
	askAll(t, l, 5)
}

func TestExecVariables(t *testing.T) {
	t.Parallel()
	clients := tlstest.NewCA(t)
	shown := clients.Leaf(tlstest.ExtKeyUsage(x509.ExtKeyUsageClientAuth)).Certificate()
	l := startListen(t, strings.NewReader(""), "--alpn", "demo/1", "--client-ca", writeFile(t, clients.PEM()), "--exec", "env | grep -E '^SECURESOCKET_(ALPN|CLIENT|LOCAL|REMOTE|SERVER|TLS)' | sort")
	conn, err := l.dial(t, &tls.Config{ServerName: "localhost", NextProtos: []string{"demo/1"}, Certificates: []tls.Certificate{shown}})
	require.NoError(t, err)
	got, err := io.ReadAll(conn)
	require.NoError(t, err)
	sum := sha256.Sum256(shown.Certificate[0])
	require.Equal(t, []string{
		"SECURESOCKET_ALPN=demo/1",
		"SECURESOCKET_CLIENT_CERTIFICATE_SHA256=" + hex.EncodeToString(sum[:]),
		"SECURESOCKET_CLIENT_CERTIFICATE_STATUS=TRUSTED",
		"SECURESOCKET_LOCAL=" + l.address,
		"SECURESOCKET_REMOTE=" + conn.LocalAddr().String(),
		"SECURESOCKET_SERVER_NAME=localhost",
		"SECURESOCKET_TLS_VERSION=TLS 1.3",
	}, strings.Split(strings.TrimSpace(string(got)), "\n"))

	l = startListen(t, strings.NewReader(""), "--plain", "--exec", "env | grep ^SECURESOCKET_T")
	plain, err := net.Dial("tcp", l.address)
	require.NoError(t, err)
	defer plain.Close()
	got, err = io.ReadAll(plain)
	require.NoError(t, err)
	require.Equal(t, "SECURESOCKET_TLS_VERSION=\n", string(got))
}

// The client of a command that fails sees no end in order, whatever came before; the next one is served all the same.
func TestExecThatFails(t *testing.T) {
	t.Parallel()
	l := startListen(t, strings.NewReader(""), "--exec", `read line; echo "complaint about $line" >&2; echo some; test "$line" = good`)
	conn, err := l.dial(t, nil)
	require.NoError(t, err)
	got, err := converse(conn, "bad\n")
	require.Error(t, err, got)
	require.Eventually(t, func() bool { return strings.Contains(l.said(), "exit status 1") }, patience, time.Millisecond)
	require.Contains(t, l.said(), "complaint about bad\n")
	require.Contains(t, l.said(), conn.LocalAddr().String())

	conn, err = l.dial(t, nil)
	require.NoError(t, err)
	got, err = converse(conn, "good\n")
	require.NoError(t, err)
	require.Equal(t, "some\n", got)

	l = startListen(t, strings.NewReader(""), "--exec", "/nonexistent/command")
	conn, err = l.dial(t, nil)
	require.NoError(t, err)
	_, err = io.ReadAll(conn)
	require.Error(t, err)
}

// The command's end is the session's, even if the client goes on.
func TestExecEndsTheSession(t *testing.T) {
	t.Parallel()
	l := startListen(t, strings.NewReader(""), "--exec", "head -n 1")
	conn, err := l.dial(t, nil)
	require.NoError(t, err)
	_, err = conn.Write([]byte("one\ntwo\n"))
	require.NoError(t, err)
	got, err := io.ReadAll(conn)
	require.NoError(t, err)
	require.Equal(t, "one\n", string(got))
}

// What a command does not want is dropped, and no failure.
func TestExecDropsWhatIsUnwanted(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "all written")
	l := startListen(t, strings.NewReader(""), "--exec", "exec <&-; until test -e '"+file+"'; do sleep 0.01; done; echo bye")
	conn, err := l.dial(t, nil)
	require.NoError(t, err)
	_, err = conn.Write(make([]byte, 16<<20)) // more than any buffer has room for
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(file, nil, 0o600))
	got, err := io.ReadAll(conn)
	require.NoError(t, err)
	require.Equal(t, "bye\n", string(got))
}

// pids waits until the command has written n process IDs, and returns them.
func pids(t *testing.T, file string, n int) (all []int) {
	t.Helper()
	require.Eventually(t, func() bool {
		content, _ := os.ReadFile(file)
		all = nil
		for _, line := range strings.Fields(string(content)) {
			pid, err := strconv.Atoi(line)
			if err != nil {
				return false
			}
			all = append(all, pid)
		}
		return len(all) == n
	}, patience, time.Millisecond)
	return all
}

// gone requires that processes end.
func gone(t *testing.T, all ...int) {
	t.Helper()
	for _, pid := range all {
		require.Eventually(t, func() bool {
			if err := syscall.Kill(pid, 0); errors.Is(err, syscall.ESRCH) {
				return true
			}
			// Dead, and its new parent does not care.
			stat, _ := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
			return strings.Contains(string(stat), ") Z ")
		}, patience, time.Millisecond, "process %d", pid)
	}
}

// A session that breaks ends its command, which never takes what it got for everything; so does the end of the program.
func TestExecEndsWithTheSession(t *testing.T) {
	t.Parallel()
	for name, command := range map[string]string{
		"content with SIGTERM": `echo $$ >>%[1]s; cat >/dev/null; echo complete >%[1]s.complete`,
		"with children":        `sleep 1000 & echo $! >>%[1]s; echo $$ >>%[1]s; wait; echo complete >%[1]s.complete`,
		"deaf":                 `trap "" TERM; echo $$ >>%[1]s; cat >/dev/null; sleep 1000; echo complete >%[1]s.complete`,
	} {
		for how, end := range map[string]func(*listenRun, *tls.Conn){
			"truncated": func(_ *listenRun, conn *tls.Conn) { _ = conn.NetConn().Close() },
			"reset": func(_ *listenRun, conn *tls.Conn) {
				_ = conn.NetConn().(*net.TCPConn).SetLinger(0)
				_ = conn.NetConn().Close()
			},
			"interrupted": func(l *listenRun, _ *tls.Conn) { l.cancel() },
		} {
			if how == "reset" && name != "content with SIGTERM" {
				continue // as good as truncated, and each takes a while
			}
			t.Run(name+" "+how, func(t *testing.T) {
				t.Parallel()
				file := filepath.Join(t.TempDir(), "pids")
				l := startListen(t, strings.NewReader(""), "--exec", fmt.Sprintf(command, file))
				conn, err := l.dial(t, nil)
				require.NoError(t, err)
				_, err = conn.Write([]byte("half of it"))
				require.NoError(t, err)
				processes := pids(t, file, 1+strings.Count(command, "&"))
				end(l, conn)
				gone(t, processes...)
				if how == "interrupted" {
					require.Equal(t, exitInterrupted, l.exit(t), l.said())
					_, err = io.ReadAll(conn)
					require.Error(t, err)
				}
				require.NoFileExists(t, file+".complete")
			})
		}
	}
}

// What a command leaves running does not hold its session, and ends.
func TestExecLeavesNothing(t *testing.T) {
	t.Parallel()
	for name, leave := range map[string]string{"": "sleep 1000 &", "deaf": `(trap "" TERM; sleep 1000) &`} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			file := filepath.Join(t.TempDir(), "pids")
			l := startListen(t, strings.NewReader(""), "--exec", leave+" echo $! >"+file+"; echo bye")
			conn, err := l.dial(t, nil)
			require.NoError(t, err)
			got, err := io.ReadAll(conn)
			require.NoError(t, err)
			require.Equal(t, "bye\n", string(got))
			gone(t, pids(t, file, 1)...)
		})
	}
}

package client_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"crypto/tls"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"securesocket/client"
	"securesocket/server/servertest"
	"securesocket/server/servertest/cutproxy"
	"securesocket/tlsengine/tlstest"
)

// talk is what a program that is killed in the middle has to go on with, in a
// file of its own.
type talk struct {
	Service, Peer string
	CA            []byte
	Bookmark      client.Bookmark // zero: it has not begun
}

// talkEnv names the file, and has this test's binary be the program.
const talkEnv = "SECURESOCKET_TEST_TALK"

// talkBytes is how much is sent, and echoed.
const talkBytes = 8 << 20

// said is a byte of the conversation.
func said(offset int64) byte { return byte(offset ^ offset>>8 ^ offset>>16) }

// runTalk sends all of it and reads the echo, on from where the program before
// it was killed. What it has dealt with it writes down, and then acks.
func runTalk(path string) error {
	var t talk
	if err := readJSON(path, &t); err != nil {
		return err
	}
	c, err := client.Dial(t.Service)
	if err != nil {
		return err
	}
	defer func() { _ = c.Close() }()
	d := &client.Dialer{Client: c, RootCAs: [][]byte{t.CA}, Resumable: true, ManualAck: true}
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	var conn *client.Conn
	if t.Bookmark.SessionID == "" {
		conn, err = d.Dial(ctx, "tcp", t.Peer)
	} else {
		conn, err = d.Resume(ctx, t.Bookmark)
	}
	if err != nil {
		return err
	}
	sent := make(chan error, 1)
	go func() { sent <- say(conn) }()
	heard := t.Bookmark.ReceivedOffset
	for chunk := make([]byte, 40_000); ; {
		n, err := conn.Read(chunk)
		for i, b := range chunk[:n] {
			if b != said(heard+int64(i)) {
				return fmt.Errorf("byte %d is not what was sent", heard+int64(i))
			}
		}
		heard += int64(n)
		t.Bookmark = conn.Bookmark()
		t.Bookmark.ReceivedOffset = heard
		if err := writeJSON(path, t); err != nil {
			return err
		}
		conn.Ack(heard)
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return err
		}
	}
	if heard != talkBytes {
		return fmt.Errorf("%d bytes were echoed", heard)
	}
	return errors.Join(<-sent, conn.Close())
}

func say(conn *client.Conn) error {
	for at := conn.SentOffset(); at < talkBytes; {
		chunk := make([]byte, min(30_000, talkBytes-at))
		for i := range chunk {
			chunk[i] = said(at + int64(i))
		}
		n, err := conn.Write(chunk)
		if at += int64(n); err != nil {
			return err
		}
	}
	return conn.CloseWrite()
}

func readJSON(path string, v any) error {
	b, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	return json.Unmarshal(b, v)
}

// writeJSON replaces the file: who is killed leaves the old one or the new one.
func writeJSON(path string, v any) error {
	b, err := json.Marshal(v)
	if err != nil {
		return err
	}
	if err := os.WriteFile(path+".new", b, 0o600); err != nil {
		return err
	}
	return os.Rename(path+".new", path)
}

func TestProgramIsKilledAndGoesOn(t *testing.T) {
	t.Parallel()
	heard := make(chan string, 1)
	ca := tlstest.NewCA(t)
	config := &tls.Config{Certificates: []tls.Certificate{ca.Leaf(tlstest.Names("127.0.0.1")).Certificate()}}
	peer := tlstest.Serve(t, config, func(conn *tls.Conn) {
		sum := sha256.New()
		if _, err := io.Copy(io.MultiWriter(conn, sum), conn); err != nil {
			heard <- err.Error()
			return
		}
		heard <- hex.EncodeToString(sum.Sum(nil))
		_ = conn.CloseWrite()
		_, _ = io.Copy(io.Discard, conn)
	})
	socket := filepath.Join(t.TempDir(), "s")
	listener, err := net.Listen("unix", socket)
	require.NoError(t, err)
	svc := servertest.Start(t)
	cutproxy.Serve(t, listener, svc.DialContext)
	path := filepath.Join(t.TempDir(), "talk")
	require.NoError(t, writeJSON(path, talk{Service: "unix://" + socket, Peer: peer, CA: ca.DER()}))

	var output bytes.Buffer
	begin := func() *exec.Cmd {
		output.Reset()
		cmd := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^$")
		cmd.Env = append(os.Environ(), talkEnv+"="+path)
		cmd.Stdout, cmd.Stderr = &output, &output
		require.NoError(t, cmd.Start())
		return cmd
	}
	kills := 0
	for done := false; !done; {
		var before, now talk
		require.NoError(t, readJSON(path, &before))
		cmd := begin()
		ended := make(chan error, 1)
		go func() { ended <- cmd.Wait() }()
		// Killed once it has come a good way on, three times; then it is let go on to the end.
		for alive := true; alive; {
			select {
			case err := <-ended:
				require.NoError(t, err, output.String())
				alive, done = false, true
			case <-time.After(5 * time.Millisecond):
				require.NoError(t, readJSON(path, &now))
				if kills < 3 && now.Bookmark.ReceivedOffset > before.Bookmark.ReceivedOffset+talkBytes/8 {
					require.NoError(t, cmd.Process.Signal(syscall.SIGKILL))
					require.Error(t, <-ended)
					kills++
					alive = false
				}
			}
		}
	}
	require.Equal(t, 3, kills)
	whole := make([]byte, talkBytes)
	for i := range whole {
		whole[i] = said(int64(i))
	}
	sum := sha256.Sum256(whole)
	require.Equal(t, hex.EncodeToString(sum[:]), <-heard)
}

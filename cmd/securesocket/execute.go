package main

import (
	"context"
	"crypto/sha256"
	"crypto/tls"
	"encoding/hex"
	"io"
	"sync"
	"time"

	"securesocket/client"
	"securesocket/cmd/securesocket/internal/terminal"
	"securesocket/cmd/securesocket/internal/wording"
)

// execute runs a shell command for each session, with the session as its stdin and stdout.
func (p *program) execute(command string) handler {
	return func(ctx context.Context, conn *client.Conn) error {
		c, err := startChild(command, sessionVariables(conn))
		if err != nil {
			conn.Abort()
			return err
		}
		return p.attend(ctx, conn, c)
	}
}

// attend moves bytes between a session and a command until the command has ended. That is the session's end too: in
// order if the command was content, once its output is delivered; otherwise a reset, so that the client does not take what
// it has for everything. A session that breaks ends the command. It closes conn.
func (p *program) attend(ctx context.Context, conn *client.Conn, c *child) error {
	var once sync.Once
	var failure error // the first, which has the others follow
	fail := func(err error) {
		once.Do(func() {
			failure = err
			conn.Abort()
			c.stop()
			_ = c.stdout.Close()
		})
	}
	defer context.AfterFunc(ctx, func() {
		fail(errInterrupted)
		conn.Abort() // also one that is being closed in order
	})()
	var output, rest sync.WaitGroup
	output.Go(func() {
		if _, err := io.Copy(conn, c.stdout); err != nil {
			fail(err)
		}
	})
	rest.Go(func() { feed(c, conn, fail) })
	rest.Go(func() { _, _ = io.Copy(p.stderr, c.stderr) })
	err := c.wait()
	output.Wait()
	once.Do(func() {}) // waits for a failure that is being dealt with, and lets none come: what follows is the end
	if failure != nil {
		err = failure
	}
	if err != nil {
		conn.Abort()
	} else {
		err = conn.Close()
	}
	_ = c.stdin.Close()
	// What is left in the pipe is there at once; the deadline is for somebody who has taken the other end away with him.
	_ = c.stderr.SetReadDeadline(time.Now().Add(killAfter))
	rest.Wait()
	_ = c.stdout.Close()
	_ = c.stderr.Close()
	return err
}

// feed copies what the client sends to the command, and ends its stdin at the client's end in order; at any other the
// command must not take what it has for everything. What it does not want is dropped: the end is still to be seen.
func feed(c *child, conn *client.Conn, fail func(error)) {
	chunk := make([]byte, chunkBytes)
	unwanted := false
	for {
		n, err := conn.Read(chunk)
		if n > 0 && !unwanted {
			_, failed := c.stdin.Write(chunk[:n])
			unwanted = failed != nil
		}
		switch {
		case err == io.EOF: //nolint:errorlint // only io.EOF itself is the client's orderly end
			_ = c.stdin.Close()
			return
		case err != nil:
			fail(err)
			return
		}
	}
}

// sessionVariables say to a command with whom it has to do. What the client has chosen is escaped.
func sessionVariables(conn *client.Conn) []string {
	var version, status, fingerprint string
	var state tls.ConnectionState
	if conn.Encrypted() {
		state = conn.ConnectionState()
		version = tls.VersionName(state.Version)
	}
	if len(state.PeerCertificates) > 0 {
		status = wording.Status(conn.CertificateStatus())
		sum := sha256.Sum256(state.PeerCertificates[0].Raw)
		fingerprint = hex.EncodeToString(sum[:])
	}
	const prefix = "SECURESOCKET_"
	return []string{
		prefix + "REMOTE=" + conn.RemoteAddr().String(),
		prefix + "LOCAL=" + conn.LocalAddr().String(),
		prefix + "SERVER_NAME=" + terminal.Escape(state.ServerName),
		prefix + "ALPN=" + terminal.Escape(state.NegotiatedProtocol),
		prefix + "TLS_VERSION=" + version,
		prefix + "CLIENT_CERTIFICATE_STATUS=" + status,
		prefix + "CLIENT_CERTIFICATE_SHA256=" + fingerprint,
	}
}

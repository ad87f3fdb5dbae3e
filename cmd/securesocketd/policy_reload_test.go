package main

import (
	"os"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	pb "securesocket/gen/securesocket/v1"
)

const (
	loadedLine = "egress policy loaded"
	brokenLine = "the egress policy cannot be loaded; the one before stays in force"
	loopback   = "allow: [{to: 127.0.0.0/8}]\n"
)

// denying denies one address of the loopback, and says so in its third line.
func denying(addr string) string {
	return "# a policy\ndeny:\n- {to: \"" + addr + "\", why: no longer}\n" + loopback
}

// The file is read again when it changes, and on SIGHUP. What cannot be used leaves
// what was in force, and the log has the file and the line.
func TestThreat51PolicyReload(t *testing.T) {
	t.Parallel()
	addr, _ := echo(t)
	r := startRuled(t, loopback)
	requireReached := func(want bool) (revision string) {
		t.Helper()
		reason, rule, revision := r.connect(r.anyone, addr)
		if want {
			require.Empty(t, reason)
			return ""
		}
		require.Equal(t, []string{"EGRESS_DENIED", "deny[0]"}, []string{reason, rule})
		require.NotEmpty(t, revision)
		return revision
	}
	requireReached(true)

	r.write(denying(addr))
	loaded := r.line(loadedLine, 1)
	first := requireReached(false)
	require.Equal(t, first, loaded["policy"])
	require.Equal(t, "policy", loaded["audit"])
	require.NotEqual(t, loaded["policy"], loaded["before"])

	// Three files that cannot be used: by what is in them, and by what they are.
	for i, broken := range []string{"deny:\n- {to: [\"127.0.0.1\"], prots: 443}\n", "allow: []\nmode: [\n", "{}\n---\n{}\n"} {
		r.write(broken)
		line := r.line(brokenLine, i+1)
		require.Contains(t, line["error"], r.file+":", "the file and the line")
		require.Equal(t, "ERROR", line["level"])
		require.Equal(t, first, line["policy"])
		require.Equal(t, first, requireReached(false), "what was in force")
	}
	require.NoError(t, os.Remove(r.file))
	r.line(brokenLine, 4)
	require.Equal(t, first, requireReached(false), "a file that is gone allows nothing more")

	// It comes back, by a link as from a volume that is swapped.
	dir := t.TempDir()
	for name, policy := range map[string]string{"a": loopback, "b": denying(addr)} {
		require.NoError(t, os.WriteFile(filepath.Join(dir, name), []byte(policy), 0o600))
	}
	require.NoError(t, os.Symlink(filepath.Join(dir, "a"), r.file))
	r.line(loadedLine, 2)
	requireReached(true)
	require.NoError(t, os.Symlink(filepath.Join(dir, "b"), r.file+".next"))
	require.NoError(t, os.Rename(r.file+".next", r.file))
	require.Equal(t, first, r.line(loadedLine, 3)["policy"], "the same rules have the same revision")
	require.Equal(t, first, requireReached(false))

	require.NoError(t, r.cmd.Process.Signal(syscall.SIGHUP))
	require.Equal(t, "asked for", r.line(loadedLine, 4)["why"])
	require.Equal(t, first, requireReached(false))
	require.Len(t, r.lines(brokenLine), 4, "each is said once")
}

// SIGHUP again and again, with a file that is good, broken, or half written, while
// callers connect: every decision is that of a policy that was loaded whole.
func TestThreat52ReloadStorm(t *testing.T) {
	t.Parallel()
	addr, _ := echo(t)
	r := startRuled(t, denying(addr))
	done := make(chan struct{})
	go func() {
		defer close(done)
		for i := range 60 {
			text := []byte(denying(addr) + "# edition " + itoa(i) + "\n")
			_ = os.WriteFile(r.file, text[:len(text)*(i%3+1)/3], 0o600) // not in one step
			_ = r.cmd.Process.Signal(syscall.SIGHUP)
			time.Sleep(5 * time.Millisecond)
		}
	}()
	for reloading := true; reloading; {
		select {
		case <-done:
			reloading = false
		default:
			_, _, revision := r.connect(r.anyone, addr)
			require.NotEqual(t, "", revision, "no policy allowed it for a moment")
		}
	}
	r.write(loopback)
	require.Eventually(t, func() bool { reason, _, _ := r.connect(r.anyone, addr); return reason == "" }, patience, 5*time.Millisecond)
}

// Threat 53. A session is live when the file changes: it ends, its peer sees a reset,
// and the one beside it goes on.
func TestThreat53DaemonEndsWhatIsRevoked(t *testing.T) {
	t.Parallel()
	gone, ends := echo(t)
	other, _ := echo(t)
	r := startRuled(t, loopback)
	streams := make(map[string]pb.SecureSocketService_AttachClient)
	for _, addr := range []string{gone, other} {
		stream, err := r.anyone.Attach(t.Context())
		require.NoError(t, err)
		require.NoError(t, stream.Send(&pb.AttachRequest{Frame: &pb.AttachRequest_Open{Open: &pb.Open{
			Host: "127.0.0.1", Port: atoi32(t, addr[len("127.0.0.1:"):]), AttachSeq: 1, Plain: true,
		}}}))
		await(t, stream, func(e *pb.Event) bool { return e.GetTcpConnected() != nil })
		streams[addr] = stream
	}
	r.write(denying(gone))
	told := await(t, streams[gone], func(e *pb.Event) bool { return e.GetSecurityError() != nil }).GetSecurityError()
	require.Equal(t, "deny[0]", told.GetRuleId())
	require.Equal(t, "no longer", told.GetFailure().GetMetadata()["why"])
	closed := await(t, streams[gone], func(e *pb.Event) bool { return e.GetClosed() != nil }).GetClosed()
	require.Equal(t, pb.CloseCause_CLOSE_CAUSE_POLICY, closed.GetCause())
	require.ErrorIs(t, <-ends, syscall.ECONNRESET)
	loaded := r.line(loadedLine, 1)
	require.EqualValues(t, 1, loaded["ended"])
	require.Equal(t, told.GetFailure().GetMetadata()["policy_revision"], loaded["policy"])

	require.NoError(t, streams[other].Send(&pb.AttachRequest{Frame: &pb.AttachRequest_Data{Data: &pb.Data{Generation: 1, Payload: []byte("still here")}}}))
	for {
		m, err := streams[other].Recv()
		require.NoError(t, err)
		if string(m.GetSocketData().GetPayload()) == "still here" {
			break
		}
		require.Nil(t, m.GetEvent().GetSecurityError())
	}
	line := r.line("connection closed", 1)
	require.Equal(t, []any{"EGRESS_DENIED", "deny[0]", r.file + ":3", loaded["policy"]}, []any{line["reason"], line["rule"], line["rule_source"], line["policy"]})
}

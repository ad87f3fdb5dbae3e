package server_test

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	pb "securesocket/gen/securesocket/v1"
	"securesocket/tlsengine/tlstest"
)

func writePEM(path string, der []byte) error {
	return os.WriteFile(path, pemOf("CERTIFICATE", der), 0o600)
}

// answerHTTP answers one request by hand, and returns it.
func (k *caller) answerHTTP(body string) string {
	k.tb.Helper()
	k.until(func() bool { return bytes.Contains(k.data, []byte("\r\n\r\n")) })
	k.write([]byte("HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nConnection: close\r\n\r\n" + body))
	k.finish() // and that is the end of the body
	return string(k.data)
}

// curlSays is what a curl is told by a caller that answers by hand.
func TestCurl(t *testing.T) {
	t.Parallel()
	curl := program(t, "curl")
	dir := t.TempDir()
	clients := tlstest.NewCA(t)
	certFile, keyFile := clientLeaf(clients).WriteFiles(dir)
	w := secureListener(t, nil, trusted(clients), level(pb.ClientAuth_CLIENT_AUTH_VERIFY_IF_GIVEN), settling(fromNobody),
		settling(func(s *pb.SessionSettings) { s.Tls.AlpnProtocols = []string{"http/1.1"} }))
	caFile := filepath.Join(dir, "ca.pem")
	require.NoError(t, writePEM(caFile, w.ca.Root().DER()))
	host, port := hostPort(t, localAddr(w.l))
	named := "https://" + listenerName + localAddr(w.l)[len(host):] + "/a?b"
	to := listenerName + localAddr(w.l)[len(host):] + ":" + host
	a := w.accept(0)
	for name, tc := range map[string]struct {
		args   []string
		server string
		status pb.CertificateStatus
	}{
		"-k, by address": {[]string{"-k", "https://" + localAddr(w.l) + "/a?b"}, "", pb.CertificateStatus_CERTIFICATE_STATUS_UNKNOWN},
		"--cacert":       {[]string{"--cacert", caFile, "--resolve", to, named}, listenerName, pb.CertificateStatus_CERTIFICATE_STATUS_UNKNOWN},
		"--cert": {[]string{"--cacert", caFile, "--cert", certFile, "--key", keyFile, "--resolve", to, named},
			listenerName, pb.CertificateStatus_CERTIFICATE_STATUS_TRUSTED},
		"TLS 1.2": {[]string{"--cacert", caFile, "--tls-max", "1.2", "--cert", certFile, "--key", keyFile, "--resolve", to, named},
			listenerName, pb.CertificateStatus_CERTIFICATE_STATUS_TRUSTED},
	} {
		cmd := exec.CommandContext(t.Context(), curl, append([]string{"-q", "--silent", "--show-error", "--noproxy", "*", "--http1.1"}, tc.args...)...)
		var out, complaint bytes.Buffer
		cmd.Stdout, cmd.Stderr = &out, &complaint
		require.NoError(t, cmd.Start())
		got := a.next()
		k := w.attach(got)
		asked := k.answerHTTP("said to " + name)
		require.NoError(t, cmd.Wait(), "%s: %s", name, complaint.String())
		require.Equal(t, "said to "+name, out.String())
		require.True(t, strings.HasPrefix(asked, "GET /a?b HTTP/1.1\r\n"), name)
		require.Equal(t, "http/1.1", got.GetSession().GetTls().GetAlpnProtocol(), name)
		require.Equal(t, tc.server, got.GetSession().GetTls().GetServerName(), name)
		require.Equal(t, tc.status, got.GetSession().GetCertificateStatus(), name)
		require.NoError(t, k.end())
	}
	require.NotZero(t, port)

	// Who trusts somebody else does not go on.
	cmd := exec.CommandContext(t.Context(), curl, "-q", "--silent", "--noproxy", "*", "--cacert", certFile, "--resolve", to, named)
	var ee *exec.ExitError
	require.ErrorAs(t, cmd.Run(), &ee)
	require.Equal(t, 60, ee.ExitCode(), "curl: the peer's certificate cannot be authenticated")
	w.close()
	_, err := a.rest() // under TLS 1.3 it may have been up when curl said so
	require.NoError(t, err)
	w.empty()
}

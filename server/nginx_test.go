package server_test

import (
	"crypto/rand"
	"crypto/sha256"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	pb "securesocket/gen/securesocket/v1"
	"securesocket/server/servertest"
	"securesocket/tlsengine/tlstest"
)

// nginxConfig takes the directory, the address, the certificate, its key, the
// protocol, the user if there is a choice, and what the server does. The master
// process stays: nginx without one crashes on sockets that it is handed.
const nginxConfig = `
daemon off;
worker_processes 1;
%[6]s
pid %[1]s/nginx.pid;
error_log %[1]s/error.log;
events {}
http {
	access_log off;
	client_body_temp_path %[1]s/body;
	proxy_temp_path %[1]s/proxy;
	fastcgi_temp_path %[1]s/fastcgi;
	uwsgi_temp_path %[1]s/uwsgi;
	scgi_temp_path %[1]s/scgi;
	client_max_body_size 0;
	server {
		listen %[2]s ssl;
		ssl_certificate %[3]s;
		ssl_certificate_key %[4]s;
		ssl_protocols %[5]s;
		%[7]s
	}
}
`

// serveNginx runs nginx with files to fetch and a place to put some.
func serveNginx(tb testing.TB, version uint16) (addr, www string, ca *tlstest.CA) {
	tb.Helper()
	www = filepath.Join(tb.TempDir(), "www")
	require.NoError(tb, os.MkdirAll(filepath.Join(www, "upload"), 0o700))
	addr, ca = runNginx(tb, version, "root "+www+"; location /upload/ { dav_methods PUT; }")
	return addr, www, ca
}

// runNginx runs nginx as a child process. It is handed a socket that listens
// already, so that no port can be lost and nobody has to wait for it.
func runNginx(tb testing.TB, version uint16, does string) (addr string, ca *tlstest.CA) {
	tb.Helper()
	path := program(tb, "nginx", "/usr/sbin/nginx")
	dir := tb.TempDir()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(tb, err)
	defer func() { _ = l.Close() }()
	socket, err := l.(*net.TCPListener).File()
	require.NoError(tb, err)
	defer func() { _ = socket.Close() }()
	ca = tlstest.NewCA(tb)
	cert, key := ca.Leaf().WriteFiles(dir)
	conf := filepath.Join(dir, "nginx.conf")
	protocol := map[uint16]string{tls.VersionTLS12: "TLSv1.2", tls.VersionTLS13: "TLSv1.3"}[version]
	user := ""
	if os.Getuid() == 0 {
		user = "user root;" // nobody could not read the directory
	}
	require.NoError(tb, os.WriteFile(conf, fmt.Appendf(nil, nginxConfig, dir, l.Addr(), cert, key, protocol, user, does), 0o600))
	cmd := exec.Command(path, "-p", dir, "-c", conf, "-e", filepath.Join(dir, "error.log"))
	cmd.Env = append(os.Environ(), "NGINX=3;")
	cmd.ExtraFiles = []*os.File{socket}
	run(tb, cmd)
	tb.Cleanup(func() {
		if log, err := os.ReadFile(filepath.Join(dir, "error.log")); tb.Failed() && err == nil {
			tb.Logf("nginx: %s", log)
		}
	})
	return l.Addr().String(), ca
}

func TestNginxDownload(t *testing.T) {
	t.Parallel()
	bothVersions(t, func(t *testing.T, version uint16) {
		const size = 64 << 20
		addr, www, ca := serveNginx(t, version)
		want := randomFile(t, filepath.Join(www, "file"), size)
		k := open(t, servertest.Start(t).Client(t), addr, ca)
		k.write([]byte("GET /file HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"))
		resp := k.response()
		require.Equal(t, http.StatusOK, resp.StatusCode)
		require.EqualValues(t, size, resp.ContentLength)
		require.Equal(t, want, digestOf(t, resp.Body))
		require.Equal(t, version == tls.VersionTLS13, k.event("secure_connected").GetSecureConnected().GetTls().GetVersion() == pb.ProtocolVersion_PROTOCOL_VERSION_TLS1_3)
		require.Equal(t, pb.CloseCause_CLOSE_CAUSE_PEER_CLOSE_NOTIFY, k.event("remote_closed").GetRemoteClosed().GetCause())
		k.finish()
		require.Nil(t, k.closed().GetFailure())
	})
}

func TestNginxUpload(t *testing.T) {
	t.Parallel()
	bothVersions(t, func(t *testing.T, version uint16) {
		const size = 64 << 20
		addr, www, ca := serveNginx(t, version)
		k := open(t, servertest.Start(t).Client(t), addr, ca)
		sent := make([]byte, size)
		_, _ = rand.Read(sent)
		for i, name := range []string{"one", "two"} { // on one connection
			k.write(fmt.Appendf(nil, "PUT /upload/%s HTTP/1.1\r\nHost: localhost\r\nContent-Length: %d\r\n\r\n", name, size))
			k.write(sent)
			resp := k.response()
			_, err := io.Copy(io.Discard, resp.Body)
			require.NoError(t, err)
			require.Equal(t, http.StatusCreated, resp.StatusCode)
			got, err := os.ReadFile(filepath.Join(www, "upload", name))
			require.NoError(t, err)
			require.Equal(t, sha256.Sum256(sent), sha256.Sum256(got))
			require.Greater(t, k.sent, int64((i+1)*size))
		}
		k.send(closeFrame(pb.CloseSocket_HOW_GRACEFUL))
		closed := k.closed()
		require.Equal(t, pb.CloseCause_CLOSE_CAUSE_LOCAL, closed.GetCause())
		require.Equal(t, k.sent, closed.GetSentBytes())
	})
}

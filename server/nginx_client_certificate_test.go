package server_test

import (
	"crypto"
	"crypto/tls"
	"encoding/pem"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	pb "securesocket/gen/securesocket/v1"
	"securesocket/server/servertest"
	"securesocket/tlsengine/tlstest"
)

// nginxClientsConfig takes the directory, the address, the certificate, its key,
// the protocol, the user if there is a choice, and the authority of the clients.
const nginxClientsConfig = `
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
	server {
		listen %[2]s ssl;
		ssl_certificate %[3]s;
		ssl_certificate_key %[4]s;
		ssl_protocols %[5]s;
		ssl_client_certificate %[7]s;
		ssl_verify_client on;
		add_header X-Verify $ssl_client_verify always;
		add_header X-Client $ssl_client_escaped_cert always;
		return 200 "welcome";
	}
}
`

// serveDemandingNginx is nginx that wants a certificate of an authority.
func serveDemandingNginx(tb testing.TB, version uint16, clients *tlstest.CA) (addr string, ca *tlstest.CA) {
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
	protocol := map[uint16]string{tls.VersionTLS12: "TLSv1.2", tls.VersionTLS13: "TLSv1.3"}[version]
	user := ""
	if os.Getuid() == 0 {
		user = "user root;" // nobody could not read the directory
	}
	conf := filepath.Join(dir, "nginx.conf")
	require.NoError(tb, os.WriteFile(conf,
		fmt.Appendf(nil, nginxClientsConfig, dir, l.Addr(), cert, key, protocol, user, authorityFile(tb, clients)), 0o600))
	cmd := exec.Command(path, "-p", dir, "-c", conf, "-e", filepath.Join(dir, "error.log"))
	cmd.Env = append(os.Environ(), "NGINX=3;")
	cmd.ExtraFiles = []*os.File{socket}
	run(tb, cmd)
	return l.Addr().String(), ca
}

// visitNginx asks for a page, and says as whom nginx took the caller.
func visitNginx(k *caller) (resp *http.Response, shown []byte) {
	k.tb.Helper()
	k.write([]byte("GET / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"))
	resp = k.response()
	_, err := io.Copy(io.Discard, resp.Body)
	require.NoError(k.tb, err)
	text, err := url.QueryUnescape(resp.Header.Get("X-Client"))
	require.NoError(k.tb, err)
	if block, _ := pem.Decode([]byte(text)); block != nil {
		shown = block.Bytes
	}
	return resp, shown
}

func TestNginxTakesAClientCertificate(t *testing.T) {
	t.Parallel()
	bothVersions(t, func(t *testing.T, version uint16) {
		eachKey(t, func(t *testing.T, key crypto.Signer) {
			clients := tlstest.NewCA(t)
			id := clientLeaf(clients, tlstest.Key(key))
			addr, ca := serveDemandingNginx(t, version, clients)
			c := servertest.Start(t).Client(t)

			k := open(t, c, addr, ca, func(m *pb.Open) {
				m.Settings = having(keyPair(&pb.KeyPair{CertificateChain: id.Chain, PrivateKey: id.KeyPEM()}))
			})
			resp, shown := visitNginx(k)
			require.Equal(t, http.StatusOK, resp.StatusCode)
			require.Equal(t, "SUCCESS", resp.Header.Get("X-Verify"))
			require.Equal(t, id.Chain[0], shown)

			a := asked(open(t, c, addr, ca, func(m *pb.Open) { m.Settings = having(callerSigner(id)) }))
			r := a.signRequest(1)
			require.Contains(t, fitting(key, version), tls.SignatureScheme(r.GetSignatureScheme()))
			a.send(signatureFrame(sign(t, key, r)))
			resp, shown = visitNginx(a.caller)
			require.Equal(t, "SUCCESS", resp.Header.Get("X-Verify"))
			require.Equal(t, id.Chain[0], shown)
		})
	})
}

// nginx refuses clients by an answer, not by an alert.
func TestNginxRefusesAClientCertificate(t *testing.T) {
	t.Parallel()
	bothVersions(t, func(t *testing.T, version uint16) {
		clients := tlstest.NewCA(t)
		addr, ca := serveDemandingNginx(t, version, clients)
		c := servertest.Start(t).Client(t)
		for name, id := range map[string]*tlstest.Identity{"none": nil, "expired": clientLeaf(clients, tlstest.Expired()), "a stranger": clientLeaf(tlstest.NewCA(t))} {
			settings := having()
			if id != nil {
				settings = having(keyPair(&pb.KeyPair{CertificateChain: id.Chain, PrivateKey: id.KeyPEM()}))
			}
			resp, _ := visitNginx(open(t, c, addr, ca, func(m *pb.Open) { m.Settings = settings }))
			require.Equal(t, http.StatusBadRequest, resp.StatusCode, name)
			require.Equal(t, id == nil, resp.Header.Get("X-Verify") == "NONE", name)
		}
	})
}

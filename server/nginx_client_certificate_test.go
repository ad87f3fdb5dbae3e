package server_test

import (
	"crypto"
	"crypto/tls"
	"encoding/pem"
	"io"
	"net/http"
	"net/url"
	"testing"

	"github.com/stretchr/testify/require"

	pb "securesocket/gen/securesocket/v1"
	"securesocket/server/servertest"
	"securesocket/tlsengine/tlstest"
)

// serveDemandingNginx is nginx that wants a certificate of an authority.
func serveDemandingNginx(tb testing.TB, version uint16, clients *tlstest.CA) (addr string, ca *tlstest.CA) {
	tb.Helper()
	return runNginx(tb, version, "ssl_client_certificate "+authorityFile(tb, clients)+`; ssl_verify_client on;
		add_header X-Verify $ssl_client_verify always;
		add_header X-Client $ssl_client_escaped_cert always;
		return 200 "welcome";`)
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

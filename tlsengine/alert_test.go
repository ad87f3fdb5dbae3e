package tlsengine_test

import (
	"crypto/tls"
	"testing"

	"securesocket/tlsengine"
	"securesocket/tlsengine/tlstest"

	"github.com/stretchr/testify/require"
)

// Fails when crypto/tls changes how it hides its alerts: every other alert in this package rests on it.
func TestAlertIsRecoveredFromCryptoTLS(t *testing.T) {
	t.Parallel()
	ca := tlstest.NewCA(t)
	// A client certificate that is missing is the alert 116 under TLS 1.3, on the first read; 40 or 42 under TLS 1.2, in
	// the handshake.
	conf := serverConfig(ca.Leaf(), tls.VersionTLS13)
	conf.ClientAuth = tls.RequireAnyClientCert
	conn, err := client(t, tlstest.Serve(t, conf, tlstest.Echo), trusting(ca))
	require.NoError(t, err)
	_, err = conn.Read(make([]byte, 1))
	var alert *tlsengine.AlertError
	require.ErrorAs(t, err, &alert)
	require.Equal(t, tlsengine.AlertError{Alert: 116, Remote: true, ClientCertificate: tlsengine.NoneShown}, *alert)
	require.Equal(t, "certificate_required", alert.Name())
}

func TestAlertNames(t *testing.T) {
	t.Parallel()
	require.Equal(t, "close_notify", (&tlsengine.AlertError{}).Name())
	require.Equal(t, "unknown_ca", (&tlsengine.AlertError{Alert: 48}).Name())
	require.Equal(t, "alert_199", (&tlsengine.AlertError{Alert: 199}).Name())
}

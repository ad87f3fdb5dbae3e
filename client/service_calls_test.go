package client_test

import (
	"crypto/tls"
	"io"
	"testing"

	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/types/known/durationpb"

	"securesocket/client"
	pb "securesocket/gen/securesocket/v1"
	"securesocket/tlsengine/tlstest"
)

// TestServiceProbes: what a dial would find, with its settings and without its questions.
func TestServiceProbes(t *testing.T) {
	t.Parallel()
	ca := tlstest.NewCA(t)
	d := dialer(t, ca)
	identity, err := client.CallerHeldIdentity(ca.Leaf().Certificate())
	require.NoError(t, err)
	d.Identities = []*client.Identity{identity}
	good, err := d.Probe(t.Context(), "tcp", tlstest.Serve(t, serverConfig(ca), tlstest.Echo))
	require.NoError(t, err)
	require.Nil(t, good.GetFailure())
	require.Equal(t, pb.CertificateStatus_CERTIFICATE_STATUS_TRUSTED, good.GetReport().GetStatus())
	require.Equal(t, "127.0.0.1", good.GetRemote().GetAddress())
	require.NotNil(t, good.GetTimeline().GetHandshake())

	bad, err := d.Probe(t.Context(), "tcp", flawed(t, ca))
	require.NoError(t, err)
	require.Equal(t, pb.ErrorReason_ERROR_REASON_CERTIFICATE_PRINCIPAL_MISMATCH, bad.GetFailure().GetReason())
	require.Equal(t, pb.Phase_PHASE_CERTIFICATE, bad.GetFailedPhase())
	require.Len(t, bad.GetReport().GetProblems(), 2)

	_, err = d.Probe(t.Context(), "tcp", "127.0.0.1:0")
	requireError(t, err, pb.ErrorReason_ERROR_REASON_PORT_OUT_OF_RANGE)
	_, err = (&client.Dialer{}).Probe(t.Context(), "tcp", "127.0.0.1:443")
	requireError(t, err, pb.ErrorReason_ERROR_REASON_INVALID_FIELD)
}

func TestServiceValidatesChains(t *testing.T) {
	t.Parallel()
	ca := tlstest.NewCA(t)
	c := dialer(t, ca).Client
	request := &pb.ValidateChainRequest{
		Chain:        ca.Leaf(tlstest.Names("example.com")).Certificate().Certificate,
		VerifyNames:  []string{"example.com"},
		Trust:        &pb.TrustSettings{Base: pb.TrustSettings_BASE_NONE},
		Certificates: []*pb.ExtraCertificate{{Certificate: ca.DER(), Trusted: true}},
	}
	report, err := c.ValidateChain(t.Context(), request)
	require.NoError(t, err)
	require.Equal(t, pb.CertificateStatus_CERTIFICATE_STATUS_TRUSTED, report.GetStatus())
	request.VerifyNames = []string{"other.example"}
	report, err = c.ValidateChain(t.Context(), request)
	require.NoError(t, err, "a refused chain is an answer")
	require.Equal(t, pb.CertificateStatus_CERTIFICATE_STATUS_PRINCIPAL_MISMATCH, report.GetStatus())
	_, err = c.ValidateChain(t.Context(), &pb.ValidateChainRequest{})
	requireError(t, err, pb.ErrorReason_ERROR_REASON_INVALID_FIELD)
}

// TestServiceKeepsTrust: the caller's anchors and defaults hold for the dials that follow.
func TestServiceKeepsTrust(t *testing.T) {
	t.Parallel()
	ca := tlstest.NewCA(t)
	d := &client.Dialer{Client: dialer(t, ca).Client}
	c := d.Client
	address := tlstest.Serve(t, serverConfig(ca), tlstest.Echo)
	const level = pb.TrustScope_TRUST_SCOPE_DEFAULTS
	own := func(pageSize int32) (count int) {
		for certificate, err := range c.Certificates(t.Context(), &pb.ListCertificatesRequest{Scope: level, PageSize: pageSize}) {
			require.NoError(t, err)
			if certificate.GetScope() == level {
				count++
			}
		}
		return count
	}
	require.Zero(t, own(0))
	var bundle []byte
	for range 2 {
		bundle = append(bundle, tlstest.NewCA(t).PEM()...)
	}
	added, err := c.AddCertificates(t.Context(), &pb.AddCertificatesRequest{Scope: level, Bundle: append(bundle, ca.PEM()...), Trusted: true})
	require.NoError(t, err)
	require.EqualValues(t, 3, added.GetAddedCount())
	require.Equal(t, 3, own(1), "page by page")
	conn, err := d.Dial(t.Context(), "tcp", address)
	require.NoError(t, err)
	require.NoError(t, conn.Close())
	set, err := c.SetCertificates(t.Context(), &pb.SetCertificatesRequest{Scope: level, Bundle: bundle})
	require.NoError(t, err)
	require.EqualValues(t, 2, set.GetCount())
	_, err = d.Dial(t.Context(), "tcp", address)
	requireError(t, err, pb.ErrorReason_ERROR_REASON_CERTIFICATE_UNTRUSTED_SIGNERS)
	require.NoError(t, c.ResetCertificates(t.Context(), &pb.ResetCertificatesRequest{Scope: level}))
	require.Zero(t, own(0))
	for _, err := range c.Certificates(t.Context(), &pb.ListCertificatesRequest{}) {
		requireError(t, err, pb.ErrorReason_ERROR_REASON_INVALID_FIELD)
	}

	updated, err := c.UpdateDefaults(t.Context(), &pb.UpdateDefaultsRequest{Settings: &pb.SessionSettings{IdleTimeout: durationpb.New(0)}})
	require.NoError(t, err)
	require.NotNil(t, updated.GetSettings().GetIdleTimeout())
	defaults, err := c.Defaults(t.Context())
	require.NoError(t, err)
	require.NotNil(t, defaults.GetIdleTimeout())
	raw, err := pb.NewTrustServiceClient(c.Raw()).GetDefaults(t.Context(), &pb.GetDefaultsRequest{})
	require.NoError(t, err)
	require.NotNil(t, raw.GetSettings().GetIdleTimeout())
}

// TestServiceTakesLargeBundles: the contract's bound is the service's to keep, not this package's.
func TestServiceTakesLargeBundles(t *testing.T) {
	t.Parallel()
	c := dialer(t, tlstest.NewCA(t)).Client
	ca := tlstest.NewCA(t, tlstest.Padding(20_000))
	bundle := ca.PEM()
	for len(bundle) < 1<<20 {
		bundle = append(bundle, ca.PEM()...)
	}
	added, err := c.AddCertificates(t.Context(), &pb.AddCertificatesRequest{
		Scope: pb.TrustScope_TRUST_SCOPE_DEFAULTS, Bundle: bundle, Trusted: true,
	})
	require.NoError(t, err)
	require.EqualValues(t, 1, added.GetAddedCount())
}

// TestServiceExportsKeyingMaterial: both sides of the connection have the same.
func TestServiceExportsKeyingMaterial(t *testing.T) {
	t.Parallel()
	ca := tlstest.NewCA(t)
	d := dialer(t, ca)
	states := make(chan tls.ConnectionState, 1)
	address := tlstest.Serve(t, serverConfig(ca), func(conn *tls.Conn) {
		states <- conn.ConnectionState()
		tlstest.Echo(conn)
	})
	for _, version := range tlsVersions {
		d.MinVersion, d.MaxVersion = version, version
		conn, err := d.Dial(t.Context(), "tcp", address)
		require.NoError(t, err)
		peer := <-states
		for _, context := range [][]byte{nil, {}, []byte("context")} {
			want, err := peer.ExportKeyingMaterial("EXPERIMENTAL test", context, 40)
			require.NoError(t, err)
			got, err := conn.ExportKeyingMaterial(t.Context(), "EXPERIMENTAL test", context, 40)
			require.NoError(t, err)
			require.Equal(t, want, got)
		}
		want, err := peer.ExportKeyingMaterial("EXPORTER-Channel-Binding", []byte{}, 32)
		require.NoError(t, err)
		got, err := conn.ChannelBinding(t.Context(), client.TLSExporter)
		require.NoError(t, err)
		require.Equal(t, want, got)
		got, err = conn.ChannelBinding(t.Context(), client.TLSServerEndPoint)
		require.NoError(t, err)
		require.Len(t, got, 32)
		unique, err := conn.ChannelBinding(t.Context(), client.TLSUnique)
		if version == tls.VersionTLS13 {
			requireError(t, err, pb.ErrorReason_ERROR_REASON_UNSUPPORTED)
		} else {
			require.NoError(t, err)
			require.Equal(t, peer.TLSUnique, unique)
		}
		for _, length := range []int{-1, 0, 1025, 1 << 40} {
			_, err = conn.ExportKeyingMaterial(t.Context(), "EXPERIMENTAL test", nil, length)
			requireError(t, err, pb.ErrorReason_ERROR_REASON_INVALID_FIELD)
		}
		_, err = conn.ChannelBinding(t.Context(), 0)
		requireError(t, err, pb.ErrorReason_ERROR_REASON_INVALID_FIELD)
		_, err = io.WriteString(conn, greeting)
		require.NoError(t, err)
		require.NoError(t, conn.Close())
	}
}

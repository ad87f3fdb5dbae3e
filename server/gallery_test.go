package server_test

import (
	"context"
	"net"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/types/known/durationpb"

	pb "securesocket/gen/securesocket/v1"
	"securesocket/server/servertest"
	"securesocket/tlsengine"
	"securesocket/tlsengine/gallery"
)

// TestGallery visits every host through the wire: its status, its list of problems and the order of its events are
// what the gallery's own list says.
func TestGallery(t *testing.T) {
	t.Parallel()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	g, err := gallery.New(gallery.Config{Address: l.Addr().String()})
	require.NoError(t, err)
	ctx, cancel := context.WithCancel(t.Context())
	served := make(chan error, 1)
	go func() { served <- g.Serve(ctx, l) }()
	t.Cleanup(func() { cancel(); <-served })

	hosts := g.Hosts()
	require.GreaterOrEqual(t, len(hosts), 40)
	c := servertest.Start(t).Client(t)
	// Not one by one as subtests of the parallel kind: the gallery ends with the test.
	t.Run("hosts", func(t *testing.T) {
		for _, h := range hosts {
			t.Run(h.Name, func(t *testing.T) {
				t.Parallel()
				visit(t, c, g, l.Addr().String(), h)
			})
		}
	})
}

func visit(t *testing.T, c pb.SecureSocketServiceClient, g *gallery.Gallery, address string, h gallery.Host) {
	k := open(t, c, address, nil, func(m *pb.Open) {
		m.KeepSession = true
		m.Certificates = []*pb.ExtraCertificate{{Certificate: g.Root().Raw, Trusted: true}}
		m.Settings = &pb.SessionSettings{Tls: &pb.TlsSettings{
			ServerName: &h.Name, VerifyNames: []string{h.VerifyName}, AlpnProtocols: h.ALPN, RequireAlpn: &h.RequireALPN,
			Revocation: pb.RevocationMode(h.Revocation), Trust: &pb.TrustSettings{Base: pb.TrustSettings_BASE_NONE},
		}}
		if h.Silent {
			m.Settings.Tls.HandshakeTimeout = durationpb.New(300 * time.Millisecond)
		}
	})
	if h.Secure() {
		k.secure()
		k.write([]byte("GET / HTTP/1.1\r\n\r\n"))
		k.until(func() bool {
			return slices.Contains(k.kinds(), "remote_closed") || slices.Contains(k.kinds(), "io_error") || slices.Contains(k.kinds(), "closed")
		})
		if !slices.Contains(k.kinds(), "closed") {
			k.finish()
		}
	}
	closed := k.closed()
	id := k.attached.GetSession().GetSessionId()

	var events []string
	up := false
	for _, e := range k.events {
		kind := kindOf(e)
		if up && strings.ToLower(kind) == kind && kind != "mode_changed" {
			events = append(events, kind)
		}
		up = up || kind == "tcp_connected"
	}
	require.Equal(t, h.Events, events)

	if h.Reason == "" {
		require.Nil(t, closed.GetFailure())
		require.Contains(t, string(k.data), "HTTP/1.1")
	} else {
		require.Equal(t, h.Reason, nameOf(closed.GetFailure().GetReason()), "%v", closed.GetFailure())
	}
	if h.Cause != "" {
		require.Equal(t, h.Cause, strings.TrimPrefix(closed.GetCause().String(), "CLOSE_CAUSE_"))
	}
	status, err := c.GetCertificateStatus(t.Context(), &pb.GetCertificateStatusRequest{SessionId: id})
	require.NoError(t, err)
	require.EqualValues(t, h.Status, status.GetStatus())
	var problems []gallery.Expect
	for _, p := range status.GetReport().GetProblems() {
		problems = append(problems, gallery.Expect{Code: tlsengine.ProblemCode(p.GetCode()), Depth: int(p.GetDepth())})
		require.NotEmpty(t, p.GetMessage())
		require.NotEmpty(t, p.GetHint())
	}
	require.Equal(t, h.Problems, problems)
	if status.GetReport() != nil {
		require.EqualValues(t, h.Basis, status.GetReport().GetTrustBasis())
	}
}

package wording

import (
	"testing"

	"github.com/stretchr/testify/require"

	pb "securesocket/gen/securesocket/v1"
)

func TestClientCertificate(t *testing.T) {
	t.Parallel()
	const tls12, tls13 = pb.ProtocolVersion_PROTOCOL_VERSION_TLS1_2, pb.ProtocolVersion_PROTOCOL_VERSION_TLS1_3
	for _, c := range []struct {
		state *pb.TlsState
		want  string
		hint  bool
	}{
		{&pb.TlsState{Version: tls13}, "not asked for in the handshake", false},
		{&pb.TlsState{Version: tls13, ClientCertificateRequested: true}, "asked for, none shown", true},
		{&pb.TlsState{Version: tls12, ClientCertificateRequested: true}, "asked for, none shown", false},
		{&pb.TlsState{Version: tls13, ClientCertificateRequested: true, ClientCertificateShown: true}, "asked for, and one shown", false},
		{nil, "not asked for in the handshake", false},
	} {
		require.Equal(t, c.want, ClientCertificate(c.state))
		require.Equal(t, c.hint, ClientCertificateHint(c.state) != "")
	}
}

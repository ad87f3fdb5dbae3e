package client_test

import (
	"bytes"
	"crypto/ed25519"
	"crypto/tls"
	"testing"

	"github.com/stretchr/testify/require"
	"google.golang.org/grpc/codes"

	"securesocket/client"
	pb "securesocket/gen/securesocket/v1"
	"securesocket/tlsengine/tlstest"
)

// TestCallerHeldKeySignsAsServer: in the server's role, what a TLS server signs, and nothing else.
func TestCallerHeldKeySignsAsServer(t *testing.T) {
	t.Parallel()
	cert := tlstest.NewCA(t).Leaf(tlstest.Ed25519()).Certificate()
	held, err := client.CallerHeldIdentity(cert)
	require.NoError(t, err)
	serverVerify := bytes.Replace(clientVerify, []byte("client"), []byte("server"), 1)
	keyExchange := append(make([]byte, 64), 3, 0, 29, 32) // TLS 1.2: two random numbers, X25519 and a point
	keyExchange = append(keyExchange, make([]byte, 32)...)
	for name, tc := range map[string]struct {
		input  []byte
		signed bool
	}{
		"TLS 1.3":          {serverVerify, true},
		"TLS 1.2":          {keyExchange, true},
		"TLS 1.3, client":  {clientVerify, false},
		"TLS 1.2, client":  {append([]byte{1}, keyExchange...), false},
		"another curve":    {append(make([]byte, 64), 1, 0, 29, 0), false},
		"too long a point": {append(keyExchange[:len(keyExchange):len(keyExchange)], 0), false},
		"no point":         {make([]byte, 64), false},
		"a document":       {[]byte("I owe you"), false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			answers := make(chan *pb.Signature, 1)
			c, _ := startFake(t, func(s *fakeStream) error {
				s.plain()
				c := &caller{fakeStream: s}
				if c.next().GetStartTls() == nil {
					return nil
				}
				s.frame(&pb.AttachResponse{Frame: &pb.AttachResponse_SignRequest{SignRequest: &pb.SignRequest{
					SignId: 1, SignatureScheme: int32(tls.Ed25519), Input: tc.input, SpkiSha256: spki(t, cert),
				}}})
				answer := c.next().GetSignature()
				answers <- answer
				if len(answer.GetSignature()) == 0 {
					s.failed(pb.Phase_PHASE_HANDSHAKE, codes.FailedPrecondition, pb.ErrorReason_ERROR_REASON_SIGNATURE_FAILED)
					return nil
				}
				s.enters(pb.Mode_MODE_TLS_SERVER)
				c.next()
				return nil
			})
			conn, err := (&client.Dialer{Client: c, Identities: []*client.Identity{held}}).DialPlain(t.Context(), "tcp", "example.com:25")
			require.NoError(t, err)
			t.Cleanup(conn.Abort)
			err = conn.StartTLSServer(t.Context())
			answer := <-answers
			if !tc.signed {
				requireError(t, err, pb.ErrorReason_ERROR_REASON_SIGNATURE_FAILED)
				require.Empty(t, answer.GetSignature())
				return
			}
			require.NoError(t, err)
			public := cert.PrivateKey.(ed25519.PrivateKey).Public().(ed25519.PublicKey)
			require.True(t, ed25519.Verify(public, tc.input, answer.GetSignature()))
		})
	}
}

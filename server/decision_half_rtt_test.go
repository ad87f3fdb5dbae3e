package server_test

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/sha256"
	"crypto/tls"
	"encoding/binary"
	"encoding/hex"
	"io"
	"net"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	pb "securesocket/gen/securesocket/v1"
	"securesocket/server/servertest"
	"securesocket/tlsengine/tlstest"
)

// hasty is a server's connection that lets a record of application data follow
// its first flight (RFC 8446, section 4.4.4), before the client has answered:
// crypto/tls itself never does.
type hasty struct {
	net.Conn

	record func() []byte // nil: it was sent
}

func (c *hasty) Write(p []byte) (int, error) {
	flight := p
	if c.record != nil {
		flight = append(p[:len(p):len(p)], c.record()...)
		c.record = nil
	}
	if _, err := c.Conn.Write(flight); err != nil {
		return 0, err
	}
	return len(p), nil
}

// serverSecret finds the secret of the server's application data in a key log.
func serverSecret(tb testing.TB, log string) []byte {
	tb.Helper()
	for line := range strings.Lines(log) {
		if f := strings.Fields(line); len(f) == 3 && f[0] == "SERVER_TRAFFIC_SECRET_0" {
			secret, err := hex.DecodeString(f[2])
			require.NoError(tb, err)
			return secret
		}
	}
	require.Fail(tb, "the key log has no secret")
	return nil
}

// firstRecord protects the first record of application data (RFC 8446, sections
// 5.2 and 7.3) for TLS_AES_128_GCM_SHA256.
func firstRecord(tb testing.TB, secret []byte, payload string) []byte {
	tb.Helper()
	expand := func(label string, length int) []byte {
		label = "tls13 " + label
		info := binary.BigEndian.AppendUint16(nil, uint16(length))
		info = append(append(append(info, byte(len(label))), label...), 0)
		out, err := hkdf.Expand(sha256.New, secret, string(info), length)
		require.NoError(tb, err)
		return out
	}
	block, err := aes.NewCipher(expand("key", 16))
	require.NoError(tb, err)
	aead, err := cipher.NewGCM(block)
	require.NoError(tb, err)
	plain := append([]byte(payload), 23)
	header := []byte{23, 3, 3, 0, byte(len(plain) + aead.Overhead())}
	return aead.Seal(header, expand("iv", 12), plain, header) // number 0 leaves the IV as it is
}

// What a peer says before it has been accepted waits until it has.
func TestBytesThatComeBeforeTheAnswer(t *testing.T) {
	t.Parallel()
	const early = "before the answer"
	for name, accept := range map[string]bool{"accepted": true, "refused": false} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			ca := tlstest.NewCA(t)
			ends, ctx := make(handshakes, 1), t.Context()
			certificate := ca.Leaf(tlstest.Expired()).Certificate()
			addr := tlstest.ServeRaw(t, func(raw net.Conn) {
				var log strings.Builder
				conn := tls.Server(&hasty{raw, func() []byte { return firstRecord(t, serverSecret(t, log.String()), early) }}, &tls.Config{
					Certificates: []tls.Certificate{certificate}, MinVersion: tls.VersionTLS13, KeyLogWriter: &log,
					SessionTicketsDisabled: true, CurvePreferences: []tls.CurveID{tls.X25519}, // no second flight
				})
				ends <- conn.HandshakeContext(ctx)
				_, _ = io.Copy(io.Discard, conn) // it has used the first number, and may not write
			})
			c := servertest.Start(t).Client(t)
			k := asked(open(t, c, addr, ca, askingOpen(), func(m *pb.Open) {
				m.Settings.Tls.Groups = []string{"x25519"}
			}))
			q := k.question(1)
			require.Zero(t, getSession(t.Context(), t, c, idle{id: k.attached.GetSession().GetSessionId()}).GetReceivedBytes())
			if accept {
				k.send(decisionFrame(exactly(q)))
				require.Equal(t, pb.ProtocolVersion_PROTOCOL_VERSION_TLS1_3, k.secure().GetTls().GetVersion())
				require.Empty(t, k.data)
				k.until(func() bool { return len(k.data) > 0 })
				require.Equal(t, early, string(k.data))
				require.NoError(t, ends.next(t))
				return
			}
			k.send(decisionFrame(&pb.CertificateDecision{DecisionId: q.GetDecisionId()}))
			require.Zero(t, k.closed().GetReceivedBytes())
			require.NotContains(t, k.story(1), "socket_data")
			requireAlert(t, alertBadCertificate, ends.next(t))
		})
	}
}

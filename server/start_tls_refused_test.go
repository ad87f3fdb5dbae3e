package server_test

import (
	"crypto/tls"
	"io"
	"net"
	"testing"

	"github.com/stretchr/testify/require"

	pb "securesocket/gen/securesocket/v1"
	"securesocket/server/servertest"
	"securesocket/tlsengine/tlstest"
)

// What a caller sends behind a start_tls that is refused was meant to leave under TLS.
func TestNothingLeavesInClearBehindARefusedStartTLS(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		frame  *pb.AttachRequest
		ends   bool // the peer, before
		reason pb.ErrorReason
	}{
		"the peer has closed":    {startTLSFrame(pb.TlsRole_TLS_ROLE_CLIENT, 3, 5), true, pb.ErrorReason_ERROR_REASON_SESSION_STATE},
		"more has left":          {startTLSFrame(pb.TlsRole_TLS_ROLE_CLIENT, 3, 1), false, pb.ErrorReason_ERROR_REASON_OFFSET_MISMATCH},
		"no identity":            {startTLSFrame(pb.TlsRole_TLS_ROLE_SERVER, 3, 5), false, pb.ErrorReason_ERROR_REASON_INVALID_FIELD},
		"no role":                {startTLSFrame(pb.TlsRole_TLS_ROLE_UNSPECIFIED, 3, 5), false, pb.ErrorReason_ERROR_REASON_INVALID_FIELD},
		"no generation":          {&pb.AttachRequest{Frame: &pb.AttachRequest_StartTls{StartTls: &pb.StartTls{Role: 1, Generation: 9}}}, false, pb.ErrorReason_ERROR_REASON_SESSION_STATE},
		"an offset that is none": {startTLSFrame(pb.TlsRole_TLS_ROLE_CLIENT, 3, -1), false, pb.ErrorReason_ERROR_REASON_INVALID_FIELD},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			heard := make(chan []byte, 1)
			addr := tlstest.ServeRaw(t, func(conn net.Conn) {
				_, _ = conn.Write([]byte("hi\n"))
				if tc.ends {
					_ = conn.(*net.TCPConn).CloseWrite()
				}
				all, _ := io.ReadAll(conn)
				heard <- all
			})
			c := servertest.Start(t).Client(t)
			k := open(t, c, addr, nil, plainly)
			k.until(func() bool { return string(k.data) == "hi\n" })
			if tc.ends {
				k.event("remote_closed")
			}
			k.write([]byte("start"))
			k.until(func() bool { return k.progress.GetWrittenOffset() == 5 })
			k.send(tc.frame)
			k.write([]byte("secret"))
			k.until(func() bool { return len(k.refused) == 2 })
			require.Equal(t, tc.reason, k.refused[0].GetFailure().GetReason())
			require.Equal(t, pb.ErrorReason_ERROR_REASON_SESSION_STATE, k.refused[1].GetFailure().GetReason())

			s := k.attached.GetSession()
			again := start(t.Context(), t, c, attachFrame(&pb.AttachSession{
				SessionId: s.GetSessionId(), ResumeToken: k.attached.GetResumeToken(), AttachSeq: 2, ReceivedOffset: 3,
			}))
			again.until(func() bool { return again.attached != nil })
			require.EqualValues(t, 5, again.attached.GetAcceptedOffset())
			again.sent = 5
			again.write([]byte(" in clear"))
			again.finish()
			require.Equal(t, "start in clear", string(<-heard))
		})
	}
}

func TestAnotherStartTLSAfterARefusedOne(t *testing.T) {
	t.Parallel()
	ca := tlstest.NewCA(t)
	heard := make(chan string, 1)
	addr := tlstest.ServeRaw(t, func(conn net.Conn) {
		secured := tls.Server(conn, &tls.Config{Certificates: []tls.Certificate{ca.Leaf(tlstest.Names("127.0.0.1")).Certificate()}})
		b := make([]byte, 6)
		_, _ = io.ReadFull(secured, b)
		heard <- string(b)
	})
	k := open(t, servertest.Start(t).Client(t), addr, ca, plainly)
	k.event("tcp_connected")
	k.until(func() bool { return k.kinds()[len(k.kinds())-1] == "CONNECTED" })
	k.send(startTLSFrame(pb.TlsRole_TLS_ROLE_SERVER, 0, 0))
	k.until(func() bool { return len(k.refused) == 1 })
	k.send(startTLSFrame(pb.TlsRole_TLS_ROLE_CLIENT, 0, 0))
	k.write([]byte("secret"))
	k.secure()
	require.Equal(t, "secret", <-heard)
}

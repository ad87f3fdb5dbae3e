package server_test

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"crypto/x509/pkix"
	"fmt"
	"math/big"
	"net"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/fieldmaskpb"

	pb "securesocket/gen/securesocket/v1"
	"securesocket/server"
	"securesocket/server/servertest"
	"securesocket/session"
	"securesocket/tlsengine/tlstest"
)

// certificateWithKey makes a certificate about any key, signed by another.
func certificateWithKey(tb testing.TB, key any, padding int) []byte {
	tb.Helper()
	signer, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(tb, err)
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), NotAfter: time.Now().Add(time.Hour), IsCA: true, BasicConstraintsValid: true,
		Subject: pkix.Name{CommonName: "x", Organization: []string{strings.Repeat("x", padding)}},
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key, signer)
	require.NoError(tb, err)
	return der
}

func TestCertificatesOfACallerAreBounded(t *testing.T) {
	t.Parallel()
	c := servertest.Start(t).Client(t)
	id := create(t, c)
	add := func(der []byte) error {
		_, err := c.AddCertificate(t.Context(), &pb.AddCertificateRequest{SessionId: id, Certificate: der, Trusted: true})
		return err
	}
	// Verifying with it would take minutes.
	huge := &rsa.PublicKey{N: new(big.Int).SetBit(big.NewInt(1), 100_000, 1), E: 1<<31 - 1}
	require.Equal(t, nameOf(pb.ErrorReason_ERROR_REASON_INVALID_CERTIFICATE), reasonOf(t, add(certificateWithKey(t, huge, 0))))
	signer, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(t, err)
	require.Equal(t, nameOf(pb.ErrorReason_ERROR_REASON_INVALID_CERTIFICATE), reasonOf(t, add(certificateWithKey(t, signer.Public(), 40<<10))))
	for i := 0; ; i++ {
		require.Less(t, i, 100, "the bytes of a session end before the number")
		if err := add(certificateWithKey(t, signer.Public(), 14<<10)); err != nil {
			require.Equal(t, nameOf(pb.ErrorReason_ERROR_REASON_LIMIT), reasonOf(t, err))
			break
		}
	}
}

func TestMasksNamesAndPagesAreBounded(t *testing.T) {
	t.Parallel()
	c := servertest.Start(t).Client(t)
	id := create(t, c)
	for _, paths := range [][]string{slicesRepeat("label", 65), {"*", "label"}} {
		_, err := c.UpdateSession(t.Context(), &pb.UpdateSessionRequest{
			SessionId: id, Settings: &pb.SessionSettings{}, UpdateMask: &fieldmaskpb.FieldMask{Paths: paths},
		})
		require.Equal(t, nameOf(pb.ErrorReason_ERROR_REASON_INVALID_FIELD), reasonOf(t, err))
	}
	names := func(n int) *pb.CreateSessionRequest {
		return &pb.CreateSessionRequest{Settings: &pb.SessionSettings{Tls: &pb.TlsSettings{
			VerifyNames: slicesRepeat("uri:"+strings.Repeat("x", n-4), 16),
		}}}
	}
	_, err := c.CreateSession(t.Context(), names(1025))
	require.Equal(t, nameOf(pb.ErrorReason_ERROR_REASON_INVALID_FIELD), reasonOf(t, err))
	const sessions = 100
	for range sessions {
		_, err := c.CreateSession(t.Context(), names(1024))
		require.NoError(t, err)
	}
	// Every session comes once, though no page is large.
	seen := map[string]bool{}
	for token := ""; ; {
		page, err := c.ListSessions(t.Context(), &pb.ListSessionsRequest{PageSize: 1000, PageToken: token})
		require.NoError(t, err)
		require.Less(t, proto.Size(page), 1<<20+64<<10)
		for _, s := range page.GetSessions() {
			require.False(t, seen[s.GetSessionId()])
			seen[s.GetSessionId()] = true
		}
		if token = page.GetNextPageToken(); token == "" {
			break
		}
	}
	require.Len(t, seen, sessions+1)
}

func slicesRepeat(s string, n int) []string {
	out := make([]string, n)
	for i := range out {
		out[i] = s
	}
	return out
}

func TestManyRequestIDsLockNobodyOut(t *testing.T) {
	t.Parallel()
	c := servertest.Start(t).Client(t)
	for i := range 4200 {
		resp, err := c.CreateSession(t.Context(), &pb.CreateSessionRequest{RequestId: fmt.Sprint(i)})
		require.NoError(t, err)
		_, err = c.DeleteSession(t.Context(), &pb.DeleteSessionRequest{SessionId: resp.GetSession().GetSessionId()})
		require.NoError(t, err)
	}
	// The newest are remembered: their sessions are gone.
	_, err := c.CreateSession(t.Context(), &pb.CreateSessionRequest{RequestId: "4199"})
	require.Equal(t, nameOf(pb.ErrorReason_ERROR_REASON_SESSION_NOT_FOUND), reasonOf(t, err))
}

func TestSmallFramesArriveInOrder(t *testing.T) {
	t.Parallel()
	addr, ca := echoServer(t)
	k := open(t, servertest.Start(t).Client(t), addr, ca)
	var want []byte
	for i := range 20_000 { // some before, some after the handshake
		b := []byte{byte(i), byte(i >> 8)}[:1+i%2]
		want = append(want, b...)
		k.write(b)
	}
	k.until(func() bool { return len(k.data) == len(want) })
	require.True(t, bytes.Equal(want, k.data))
}

func TestOversizedFrameEndsTheStreamAlone(t *testing.T) {
	t.Parallel()
	addr, ca := echoServer(t)
	c := servertest.Start(t).Client(t)
	k := open(t, c, addr, ca)
	k.secure()
	k.send(&pb.AttachRequest{Frame: &pb.AttachRequest_Data{Data: &pb.Data{Generation: 1, Payload: make([]byte, 5<<20)}}})
	require.Error(t, k.end())
	again := start(t.Context(), t, c, attachFrame(&pb.AttachSession{
		SessionId: k.attached.GetSession().GetSessionId(), ResumeToken: k.attached.GetResumeToken(), AttachSeq: 2,
	}))
	again.until(func() bool { return again.attached != nil })
	again.write([]byte("still here"))
	again.until(func() bool { return string(again.data) == "still here" })
}

func TestFailedOpenCanBeMadeAgain(t *testing.T) {
	t.Parallel()
	addr, ca := echoServer(t)
	c := servertest.Start(t, func(sc *session.Config, _ *server.Config) { sc.MaxSessionsPerOwner = 1 }).Client(t)
	host, port := hostPort(t, addr)
	m := &pb.Open{
		Host: host, Port: port, RequestId: "again", AttachSeq: 1 << 21,
		Certificates: []*pb.ExtraCertificate{{Certificate: ca.DER(), Trusted: true}},
	}
	k := start(t.Context(), t, c, openFrame(m))
	require.Equal(t, nameOf(pb.ErrorReason_ERROR_REASON_OFFSET_MISMATCH), reasonOf(t, k.end()))
	m.AttachSeq = 2
	start(t.Context(), t, c, openFrame(m)).secure()
}

// noting is a resolver that notes what it is asked for.
type noting struct{ asked chan string }

func (n noting) LookupNetIP(_ context.Context, _, host string) ([]netip.Addr, error) {
	n.asked <- host
	return nil, &net.DNSError{Err: "read udp 10.1.1.1:9->10.2.2.2:53: i/o timeout", Server: "10.2.2.2:53", Name: host, IsTemporary: true}
}

func TestNamesAreFullyQualifiedAndNameServersAreNotTold(t *testing.T) {
	t.Parallel()
	asked := make(chan string, 1)
	c := servertest.Start(t, func(sc *session.Config, _ *server.Config) { sc.Resolver = noting{asked} },
		servertest.AllowEgress(t)).Client(t)
	k := start(t.Context(), t, c, openFrame(&pb.Open{Host: "db.example", Port: 443}))
	require.NoError(t, k.end())
	require.Equal(t, "db.example.", <-asked, "no search list applies")
	failure := k.closed().GetFailure()
	require.Equal(t, pb.ErrorReason_ERROR_REASON_DNS_FAILURE, failure.GetReason())
	require.NotContains(t, failure.String(), "10.2.2.2")
	require.NotContains(t, failure.String(), "10.1.1.1")
}

func TestHostileNamesDoNotSwellAStatus(t *testing.T) {
	t.Parallel()
	ca := tlstest.NewCA(t)
	var names []string
	for i := range 50 {
		names = append(names, fmt.Sprintf("%s%d.%s.example", strings.Repeat("a", 60), i, strings.Repeat("b", 60)))
	}
	addr := tlstest.Serve(t, serverConfig(ca.Leaf(tlstest.Names(names...))), tlstest.Echo)
	host, port := hostPort(t, addr)
	c := servertest.Start(t).Client(t)
	id := trusting(t, c, ca.DER()).GetSession().GetSessionId()
	_, err := c.Connect(t.Context(), &pb.ConnectRequest{SessionId: id, Host: host, Port: port})
	reason, metadata := infoOf(t, err)
	require.Equal(t, nameOf(pb.ErrorReason_ERROR_REASON_CERTIFICATE_PRINCIPAL_MISMATCH), reason)
	require.Less(t, len(err.Error())+len(fmt.Sprint(metadata)), 4<<10)
}

package server_test

import (
	"errors"
	"io"
	"testing"

	"github.com/stretchr/testify/require"
	"google.golang.org/grpc"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/emptypb"

	pb "securesocket/gen/securesocket/v1"
	"securesocket/server"
	"securesocket/server/servertest"
	"securesocket/session"
	"securesocket/tlsengine/tlstest"
)

// What a request asks for beyond the caller's own is for administrators: the others are refused, whoever asks.
func TestAdministratorsAloneAskForAll(t *testing.T) {
	t.Parallel()
	w := newAccessWorld(t)
	o := w.own()
	anchor := tlstest.NewCA(t)
	for name, req := range map[string]proto.Message{
		pb.SecureSocketService_ListSessions_FullMethodName: &pb.ListSessionsRequest{AllCallers: true},
		pb.ListenerService_ListListeners_FullMethodName:    &pb.ListListenersRequest{AllCallers: true},
		pb.TrustService_AddCertificates_FullMethodName:     &pb.AddCertificatesRequest{Scope: ofService, Bundle: anchor.DER(), Trusted: true},
		pb.TrustService_SetCertificates_FullMethodName:     &pb.SetCertificatesRequest{Scope: ofService, Bundle: anchor.DER()},
		pb.TrustService_ResetCertificates_FullMethodName:   &pb.ResetCertificatesRequest{Scope: ofService},
		pb.DiagnosticService_ExplainPolicy_FullMethodName:  &pb.ExplainPolicyRequest{Host: "127.0.0.1", Port: 1, Principal: theOwner},
	} {
		m := methods()[name]
		for _, who := range []string{theOwner, theNeighbour} {
			if explain, ok := req.(*pb.ExplainPolicyRequest); ok && who == explain.GetPrincipal() {
				continue // about himself
			}
			a := w.call(w.as(who), name, m, req)
			require.Equal(t, "NOT_ALLOWED", reasonOf(t, a.err), "%s as %s", name, who)
			require.Empty(t, o.marks.find(a.text(t)), name)
		}
		a := w.call(w.as(theAdministrator), name, m, req)
		require.NoError(t, a.err, name)
		require.Empty(t, o.secrets.find(a.text(t)), name)
		switch m.Name() {
		case "ListSessions", "ListListeners":
			require.NotEmpty(t, o.marks.find(a.text(t)), "%s shows everybody's", name)
		}
	}
	require.Contains(t, w.logged(), "principal="+theAdministrator)

	// Without asking for all, an administrator is a caller as any other.
	list, err := w.c.ListSessions(w.as(theAdministrator), &pb.ListSessionsRequest{})
	require.NoError(t, err)
	require.Empty(t, list.GetSessions())
	listeners, err := w.lc.ListListeners(w.as(theAdministrator), &pb.ListListenersRequest{})
	require.NoError(t, err)
	require.Empty(t, listeners.GetListeners())
	for who, want := range map[string]bool{theOwner: false, theNeighbour: false, theAdministrator: true} {
		resp, err := w.c.GetCapabilities(w.as(who), &pb.GetCapabilitiesRequest{})
		require.NoError(t, err)
		require.Equal(t, who, resp.GetPrincipal())
		require.Equal(t, want, resp.GetAdministrator())
	}
}

// An administrator ends what is another's, and the owner's stream with it.
func TestAdministratorsEndWhatIsOthers(t *testing.T) {
	t.Parallel()
	w := newAccessWorld(t)
	o := w.own()
	k := attach(w.as(theOwner), t, w.c, o.session, 1)
	accepting, err := w.lc.Accept(w.as(theOwner), &pb.AcceptRequest{ListenerId: o.listener})
	require.NoError(t, err)
	_, err = w.c.DeleteSession(w.as(theAdministrator), &pb.DeleteSessionRequest{SessionId: o.session.id})
	require.NoError(t, err)
	require.NoError(t, k.end())
	require.Equal(t, "closed", last(k.kinds()), "the owner is told")
	_, err = w.lc.CloseListener(w.as(theAdministrator), &pb.CloseListenerRequest{ListenerId: o.listener})
	require.NoError(t, err)
	for err = nil; err == nil; {
		_, err = accepting.Recv()
	}
	require.True(t, errors.Is(err, io.EOF) || infoReason(err) == "LISTENER_NOT_FOUND", "%v", err)
}

// A page_token is a place and no key: with another's one goes on in one's own list.
func TestForeignPageTokens(t *testing.T) {
	t.Parallel()
	w := newAccessWorld(t)
	for _, who := range []string{theNeighbour, theOwner, theNeighbour, theOwner} {
		newIdle(w.as(who), t, w.c, nil)
		_, err := w.lc.Listen(w.as(who), &pb.ListenRequest{Address: "127.0.0.1"})
		require.NoError(t, err)
	}
	for _, giver := range []string{theOwner, theAdministrator} {
		all := giver == theAdministrator
		sessions, err := w.c.ListSessions(w.as(giver), &pb.ListSessionsRequest{PageSize: 1, AllCallers: all})
		require.NoError(t, err)
		require.NotEmpty(t, sessions.GetNextPageToken())
		listeners, err := w.lc.ListListeners(w.as(giver), &pb.ListListenersRequest{PageSize: 1, AllCallers: all})
		require.NoError(t, err)
		require.NotEmpty(t, listeners.GetNextPageToken())
		mine, err := w.c.ListSessions(w.as(theNeighbour), &pb.ListSessionsRequest{PageToken: sessions.GetNextPageToken()})
		require.NoError(t, err)
		require.NotEmpty(t, mine.GetSessions())
		for _, s := range mine.GetSessions() {
			require.Equal(t, theNeighbour, s.GetOwner())
		}
		his, err := w.lc.ListListeners(w.as(theNeighbour), &pb.ListListenersRequest{PageToken: listeners.GetNextPageToken()})
		require.NoError(t, err)
		require.NotEmpty(t, his.GetListeners())
		for _, l := range his.GetListeners() {
			require.Equal(t, theNeighbour, l.GetOwner())
		}
		_, err = w.c.ListSessions(w.as(theNeighbour), &pb.ListSessionsRequest{PageToken: sessions.GetNextPageToken(), AllCallers: true})
		require.Equal(t, "NOT_ALLOWED", reasonOf(t, err))
	}
}

// A method that is served, and of which the table says nothing, is refused before anything of it runs.
func TestMethodsWithoutARoleAreRefused(t *testing.T) {
	t.Parallel()
	reached := make(chan string, 1)
	svc := servertest.Start(t, func(_ *session.Config, sv *server.Config) {
		sv.Administrator = func(string) bool { return true }
		sv.Options = append(sv.Options, grpc.UnknownServiceHandler(func(_ any, stream grpc.ServerStream) error {
			method, _ := grpc.MethodFromServerStream(stream)
			reached <- method
			return nil
		}))
	})
	cc := svc.Dial(t)
	for _, method := range []string{"/another.Service/Method", "/securesocket.v1.SecureSocketService/ListEverybodysKeys", "/securesocket.v1.AdminService/GetSession", "/securesocket.v2.SecureSocketService/GetSession"} {
		err := cc.Invoke(t.Context(), method, &emptypb.Empty{}, &emptypb.Empty{})
		require.Equal(t, "NOT_ALLOWED", reasonOf(t, err), method)
	}
	require.Empty(t, reached)
	require.Error(t, cc.Invoke(t.Context(), "/grpc.reflection.another/Method", &emptypb.Empty{}, &emptypb.Empty{}))
	require.Equal(t, "/grpc.reflection.another/Method", <-reached, "the test of the test: it would have been reached")
}

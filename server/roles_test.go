package server

import (
	"context"
	"log/slog"
	"maps"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"

	pb "securesocket/gen/securesocket/v1"
	"securesocket/session"
)

// descriptions are the services as they are registered.
func descriptions(s *service) map[*grpc.ServiceDesc]any {
	return map[*grpc.ServiceDesc]any{
		&pb.SecureSocketService_ServiceDesc: s,
		&pb.ListenerService_ServiceDesc:     &listenerService{service: s},
		&pb.TrustService_ServiceDesc:        &trustService{service: s},
		&pb.DiagnosticService_ServiceDesc:   &diagnosticService{service: s},
	}
}

// HandlersFor returns what handles each unary method once the interceptors have let a principal in, so that a test sees
// what a handler costs and not what the wire does.
func HandlersFor(r *session.Registry, principal string) map[string]func(proto.Message) error {
	s := &service{registry: r, administrator: func(string) bool { return false }}
	ctx := context.WithValue(context.Background(), callerKey{}, caller{principal: principal})
	handlers := map[string]func(proto.Message) error{}
	for desc, impl := range descriptions(s) {
		for _, m := range desc.Methods {
			handlers["/"+desc.ServiceName+"/"+m.MethodName] = func(req proto.Message) error {
				_, err := m.Handler(impl, ctx, func(in any) error { proto.Merge(in.(proto.Message), req); return nil }, nil)
				return toStatus(err)
			}
		}
	}
	return handlers
}

// What is registered is in the table, and nothing else is.
func TestAccessHasEveryMethod(t *testing.T) {
	t.Parallel()
	var registered []string
	for desc := range descriptions(nil) {
		for _, m := range desc.Methods {
			registered = append(registered, "/"+desc.ServiceName+"/"+m.MethodName)
		}
		for _, m := range desc.Streams {
			registered = append(registered, "/"+desc.ServiceName+"/"+m.StreamName)
		}
	}
	require.Equal(t, slices.Sorted(slices.Values(registered)), slices.Sorted(maps.Keys(access)))
	s := New(Config{Registry: session.NewRegistry(session.Config{})})
	defer s.Close()
	var served []string
	for name, info := range s.grpc.GetServiceInfo() {
		for _, m := range info.Methods {
			if method := "/" + name + "/" + m.Name; isOurs(method) {
				served = append(served, method)
			}
		}
	}
	require.ElementsMatch(t, registered, served)
}

// Administrators have a word in these and in no other: to add one takes a second decision, here.
func TestWhatAdministratorsMay(t *testing.T) {
	t.Parallel()
	var theirs []string
	for method, who := range access {
		if who == orAdministrator {
			theirs = append(theirs, method)
		}
	}
	require.ElementsMatch(t, []string{
		pb.SecureSocketService_GetSession_FullMethodName, pb.SecureSocketService_ListSessions_FullMethodName, pb.SecureSocketService_DeleteSession_FullMethodName,
		pb.ListenerService_GetListener_FullMethodName, pb.ListenerService_ListListeners_FullMethodName, pb.ListenerService_CloseListener_FullMethodName,
		pb.TrustService_AddCertificates_FullMethodName, pb.TrustService_SetCertificates_FullMethodName, pb.TrustService_ResetCertificates_FullMethodName,
		pb.DiagnosticService_ExplainPolicy_FullMethodName,
	}, theirs)
}

// calling is the server's side of an RPC of a method.
type calling string

func (m calling) Method() string             { return string(m) }
func (calling) SetHeader(metadata.MD) error  { return nil }
func (calling) SendHeader(metadata.MD) error { return nil }
func (calling) SetTrailer(metadata.MD) error { return nil }
func (m calling) context() context.Context {
	return grpc.NewContextWithServerTransportStream(context.Background(), m)
}

// A method that is not in the table is refused to everybody, and a role counts for the methods that have one.
func TestGuard(t *testing.T) {
	t.Parallel()
	who := "token:a"
	g := &guard{
		authenticate:  func(context.Context) (string, error) { return who, nil },
		allowed:       func(p string) bool { return p != "token:outsider" },
		administrator: func(string) bool { return true },
		log:           slog.New(slog.DiscardHandler),
	}
	for _, method := range []string{
		"", "/", "/securesocket.v1.SecureSocketService/", "/securesocket.v1.SecureSocketService/Nothing", "securesocket.v1.SecureSocketService/GetSession",
		"//securesocket.v1.SecureSocketService/GetSession", "/securesocket.v1.SecureSocketService/getsession", "/securesocket.v1.SecureSocketService/GetSession/",
		"/securesocket.v2.SecureSocketService/GetSession",
	} {
		ctx, err := g.admit(calling(method).context())
		require.Nil(t, ctx, method)
		require.Equal(t, codes.PermissionDenied, status.Code(err), method)
	}
	_, err := g.admit(context.Background())
	require.Equal(t, codes.PermissionDenied, status.Code(err), "no RPC at all")
	for method, needs := range access {
		ctx, err := g.admit(calling(method).context())
		require.NoError(t, err, method)
		require.Equal(t, caller{principal: who, administrator: needs == orAdministrator}, callerOf(ctx), method)
	}
	for principal, want := range map[string]codes.Code{"": codes.Unauthenticated, "token:outsider": codes.PermissionDenied} {
		who = principal
		for method := range access {
			ctx, err := g.admit(calling(method).context())
			require.Nil(t, ctx, method)
			require.Equal(t, want, status.Code(err), method)
		}
	}
	require.Equal(t, caller{}, callerOf(context.Background()), "who was not let in is nobody, and no administrator")
}

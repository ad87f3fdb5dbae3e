package server_test

import (
	"bufio"
	"context"
	"crypto/rand"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"google.golang.org/grpc"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/reflect/protoregistry"

	pb "securesocket/gen/securesocket/v1"
	"securesocket/server"
	"securesocket/server/callers"
	"securesocket/server/servertest"
	"securesocket/session"
	"securesocket/session/proxy/proxytest"
	"securesocket/tlsengine/tlstest"
)

// Who calls in the matrix.
const (
	theOwner         = "token:owner"
	theNeighbour     = "token:neighbour"
	theAdministrator = "token:administrator"
	theOutsider      = "token:outsider" // authenticated, and not among those who may call
)

// accessWorld is a service with the callers of the matrix, and a peer whose every word is secret.
type accessWorld struct {
	t      *testing.T
	svc    *servertest.Service
	cc     *grpc.ClientConn
	c      pb.SecureSocketServiceClient
	lc     pb.ListenerServiceClient
	tc     pb.TrustServiceClient
	dc     pb.DiagnosticServiceClient
	audit  *transcript
	ca     *tlstest.CA
	peer   string
	proxy  string
	secret struct{ greeting, payload, password string } // each new, so that every spelling of it can be found
}

func newAccessWorld(t *testing.T) *accessWorld {
	t.Helper()
	who, err := callers.New(callers.Config{
		Insecure: true, Allow: []string{theOwner, theNeighbour, theAdministrator}, Administrators: []string{theAdministrator, theOutsider},
	})
	require.NoError(t, err)
	w := &accessWorld{t: t, audit: &transcript{}, ca: tlstest.NewCA(t)}
	log := slog.New(slog.NewTextHandler(w.audit, nil))
	w.svc = servertest.Start(t, func(sc *session.Config, sv *server.Config) {
		sc.Logger, sv.Logger, sv.Callers = log, log, who
	})
	w.cc = w.svc.Dial(t)
	w.c, w.lc = pb.NewSecureSocketServiceClient(w.cc), pb.NewListenerServiceClient(w.cc)
	w.tc, w.dc = pb.NewTrustServiceClient(w.cc), pb.NewDiagnosticServiceClient(w.cc)
	w.secret.greeting, w.secret.payload, w.secret.password = rand.Text(), rand.Text(), rand.Text()
	config := &tls.Config{Certificates: []tls.Certificate{w.ca.Leaf(tlstest.Names("127.0.0.1")).Certificate()}}
	w.peer = tlstest.ServeRaw(t, func(raw net.Conn) {
		if lines := bufio.NewReader(raw); w.asksForTLS(raw, lines) == nil {
			conn := tls.Server(raw, config)
			_, _ = io.WriteString(conn, w.secret.payload)
			tlstest.Echo(conn)
		}
	})
	w.proxy = proxytest.StartHTTP(t, proxytest.User("u"), proxytest.Password(w.secret.password)).Addr()
	return w
}

// asksForTLS is a mail server until TLS begins.
func (w *accessWorld) asksForTLS(raw net.Conn, lines *bufio.Reader) error {
	for _, say := range []string{"220 " + w.secret.greeting, "250-mail.test\r\n250 STARTTLS", "220 go ahead"} {
		if _, err := io.WriteString(raw, say+"\r\n"); err != nil {
			return err
		}
		if say == "220 go ahead" {
			return nil
		}
		if _, err := lines.ReadString('\n'); err != nil {
			return err
		}
	}
	return nil
}

// as are the calls of a principal.
func (w *accessWorld) as(principal string) context.Context {
	return servertest.As(w.t.Context(), principal)
}

// owned is what the owner has, and what of it nobody else may see.
type owned struct {
	session  idle
	listener string
	anchor   []byte
	peerPort int32
	secrets  sieve // of the world, and of this session
	marks    sieve // that it is there
}

// own makes a session that holds bytes of its peer, a greeting, a key and a password, and a listener with a key.
func (w *accessWorld) own() *owned {
	w.t.Helper()
	key := w.ca.Leaf(tlstest.Names(listenerName))
	label := rand.Text()
	settings := having(uploaded(w.t, key))
	settings.Label, settings.Resumable = label, proto.Bool(true)
	host, port := hostPort(w.t, w.proxy)
	settings.Proxy = &pb.ProxySettings{Kind: pb.ProxySettings_KIND_HTTP_CONNECT, Host: host, Port: port, Username: "u", Password: w.secret.password}
	o := &owned{session: newIdle(w.as(theOwner), w.t, w.c, w.ca, settings), anchor: w.ca.DER()}
	host, o.peerPort = hostPort(w.t, w.peer)
	_, err := w.c.Connect(w.as(theOwner), &pb.ConnectRequest{SessionId: o.session.id, Host: host, Port: o.peerPort, StartTlsProtocol: "smtp"})
	require.NoError(w.t, err)
	readyReadAs(w.as(theOwner), w.t, w.c, o.session)
	settings.Proxy = nil
	l, err := w.lc.Listen(w.as(theOwner), &pb.ListenRequest{Address: "127.0.0.1", StartTlsOnAccept: true, Settings: settings})
	require.NoError(w.t, err)
	o.listener = l.GetListener().GetListenerId()
	for what, secret := range map[string][]byte{
		"greeting": []byte(w.secret.greeting), "payload": []byte(w.secret.payload), "password": []byte(w.secret.password), "token": o.session.token,
	} {
		o.secrets.add(what, secret)
	}
	for _, part := range secretsOf(w.t, key.Key) {
		o.secrets.add("key", part)
	}
	for what, mark := range map[string]string{"session": o.session.id, "listener": o.listener, "label": label} {
		o.marks.add(what, []byte(mark))
	}
	return o
}

// visits is a peer of the owner's listener.
func (w *accessWorld) visits(o *owned) {
	w.t.Helper()
	resp, err := w.lc.GetListener(w.as(theOwner), &pb.GetListenerRequest{ListenerId: o.listener})
	require.NoError(w.t, err)
	conn, err := (&tls.Dialer{Config: &tls.Config{RootCAs: w.ca.Pool(), ServerName: listenerName}}).DialContext(w.t.Context(), "tcp", localAddr(resp.GetListener()))
	require.NoError(w.t, err)
	w.t.Cleanup(func() { _ = conn.Close() })
}

// id is what a row names of it.
func (o *owned) id(n named) string {
	switch n {
	case aSession:
		return o.session.id
	case aListener:
		return o.listener
	}
	return ""
}

// unknownID looks like an ID.
func unknownID() string { return strings.ToLower(rand.Text()) }

func readyReadAs(ctx context.Context, tb testing.TB, c pb.SecureSocketServiceClient, s idle) {
	tb.Helper()
	resp, err := c.Wait(ctx, &pb.WaitRequest{SessionId: s.id, Condition: pb.WaitRequest_CONDITION_READY_READ})
	require.NoError(tb, err)
	require.True(tb, resp.GetReached())
}

// methods are all RPCs of the contract, by their full names.
func methods() map[string]protoreflect.MethodDescriptor {
	found := map[string]protoreflect.MethodDescriptor{}
	protoregistry.GlobalFiles.RangeFilesByPackage("securesocket.v1", func(f protoreflect.FileDescriptor) bool {
		for i := range f.Services().Len() {
			s := f.Services().Get(i)
			for j := range s.Methods().Len() {
				m := s.Methods().Get(j)
				found[fmt.Sprintf("/%s/%s", s.FullName(), m.Name())] = m
			}
		}
		return true
	})
	return found
}

// answer is all that a caller is told: the first reply, or how the RPC failed.
type answer struct {
	reply   proto.Message
	err     error
	status  []byte // of google.rpc.Status
	trailer metadata.MD
}

func (a answer) reason() string { return infoReason(a.err) }

// text is what a sieve looks through.
func (a answer) text(tb testing.TB) []byte {
	tb.Helper()
	out := append([]byte(fmt.Sprintf("%v %v\n%v\n", a.err, a.trailer, a.reply)), a.status...)
	if a.reply != nil {
		wire, err := proto.Marshal(a.reply)
		require.NoError(tb, err)
		out = append(out, wire...)
		walk(a.reply.ProtoReflect(), func(leaf []byte) { out = append(append(out, '\n'), leaf...) })
	}
	return out
}

// walk visits every string and every bytes of a message, at any depth.
func walk(m protoreflect.Message, visit func(leaf []byte)) {
	one := func(fd protoreflect.FieldDescriptor, v protoreflect.Value) {
		switch fd.Kind() {
		case protoreflect.MessageKind, protoreflect.GroupKind:
			walk(v.Message(), visit)
		case protoreflect.StringKind:
			visit([]byte(v.String()))
		case protoreflect.BytesKind:
			visit(v.Bytes())
		}
	}
	m.Range(func(fd protoreflect.FieldDescriptor, v protoreflect.Value) bool {
		switch {
		case fd.IsMap():
			v.Map().Range(func(k protoreflect.MapKey, v protoreflect.Value) bool {
				one(fd.MapKey(), k.Value())
				one(fd.MapValue(), v)
				return true
			})
		case fd.IsList():
			for i := range v.List().Len() {
				one(fd, v.List().Get(i))
			}
		default:
			one(fd, v)
		}
		return true
	})
}

// call makes one RPC of any kind. A stream is left after its first message.
func (w *accessWorld) call(ctx context.Context, name string, m protoreflect.MethodDescriptor, req proto.Message) answer {
	w.t.Helper()
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	typ, err := protoregistry.GlobalTypes.FindMessageByName(m.Output().FullName())
	require.NoError(w.t, err)
	a := answer{reply: typ.New().Interface()}
	stream, err := w.cc.NewStream(ctx, &grpc.StreamDesc{ServerStreams: m.IsStreamingServer(), ClientStreams: m.IsStreamingClient()}, name)
	require.NoError(w.t, err)
	if err := stream.SendMsg(req); !errors.Is(err, io.EOF) { // refused already: RecvMsg has the status
		require.NoError(w.t, err)
	}
	if !m.IsStreamingClient() {
		require.NoError(w.t, stream.CloseSend())
	}
	if a.err = stream.RecvMsg(a.reply); a.err == nil {
		return a
	}
	a.reply, a.trailer = nil, stream.Trailer()
	a.status, err = proto.MarshalOptions{Deterministic: true}.Marshal(status.Convert(a.err).Proto())
	require.NoError(w.t, err)
	return a
}

// sameAnswer is byte for byte.
func (w *accessWorld) sameAnswer(want, got answer, what string) {
	w.t.Helper()
	require.Error(w.t, got.err, what)
	require.Equal(w.t, want.status, got.status, "%s: %v, not %v", what, got.err, want.err)
	require.Equal(w.t, want.trailer, got.trailer, what)
}

// logged is the service's log so far.
func (w *accessWorld) logged() string {
	w.audit.mu.Lock()
	defer w.audit.mu.Unlock()
	return w.audit.text.String()
}

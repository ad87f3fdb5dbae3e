package server

import (
	"context"
	"errors"
	"net/netip"

	"google.golang.org/grpc"
	"google.golang.org/protobuf/types/known/timestamppb"

	pb "securesocket/gen/securesocket/v1"
	"securesocket/server/egress"
	"securesocket/server/listening"
	"securesocket/session"
)

// Listening lets a policy judge where callers may listen.
func Listening(p *listening.Policy) session.Listening { return listenPolicy{p} }

type listenPolicy struct{ p *listening.Policy }

func (l listenPolicy) CheckListen(addr netip.AddrPort) error { return l.p.Check(addr) }

func (l listenPolicy) ListenPorts(addr netip.Addr) []session.PortRange {
	var out []session.PortRange
	for _, r := range l.p.Ports(addr) {
		out = append(out, session.PortRange(r))
	}
	return out
}

// listenerService implements ListenerService.
type listenerService struct {
	pb.UnimplementedListenerServiceServer

	*service
}

func (s *listenerService) Listen(ctx context.Context, req *pb.ListenRequest) (*pb.ListenResponse, error) {
	addr, err := listenAddr(req.GetAddress(), req.GetPort())
	if err != nil {
		return nil, err
	}
	settings, err := s.fromSettings(ctx, req.GetSettings(), nil)
	if err != nil {
		return nil, inSettings("settings.", err)
	}
	certs, err := extraCertificates("certificates", req.GetCertificates())
	if err != nil {
		return nil, err
	}
	r, err := requestOf(req.GetRequestId(), req, func(m *pb.ListenRequest) { m.RequestId = "" })
	if err != nil {
		return nil, err
	}
	args := session.ListenArgs{
		Addr: addr, StartTLS: req.GetStartTlsOnAccept(), Settings: settings, Certificates: certs, Backlog: int(req.GetBacklog()),
	}
	l, warnings, err := s.registry.Listen(ctx, principalOf(ctx), args, r)
	if err != nil {
		if fe, ok := errors.AsType[*session.FieldError](err); ok && fe.Field == "backlog" {
			return nil, err
		}
		return nil, inSettings("settings.", err)
	}
	return &pb.ListenResponse{Listener: toListener(l.Snapshot()), Warnings: warnings}, nil
}

// listenAddr reads an address of this machine; port 0 is one that is free.
func listenAddr(host string, port int32) (netip.AddrPort, error) {
	if port < 0 || port > 65535 {
		return netip.AddrPort{}, &portError{port: port}
	}
	t, err := egress.ParseHost(host)
	if err != nil {
		return netip.AddrPort{}, err
	}
	if t.Name != "" {
		return netip.AddrPort{}, &session.FieldError{Field: "address", Why: "is a name; an IP address of the service's machine is needed"}
	}
	return netip.AddrPortFrom(t.Addr, uint16(port)), nil
}

func (s *listenerService) Accept(req *pb.AcceptRequest, stream grpc.ServerStreamingServer[pb.AcceptResponse]) error {
	if err := checkKnown(req); err != nil {
		return err
	}
	credit := int(req.GetCredit())
	switch {
	case credit == 0:
		credit = session.DefaultCredit
	case credit < 0 || credit > session.MaxCredit:
		return &session.FieldError{Field: "credit", Why: "has to be between 1 and 1024"}
	}
	ctx := stream.Context()
	l, err := s.listener(ctx, req.GetListenerId())
	if err != nil {
		return err
	}
	return l.Accept(ctx, credit, func(sess *session.Session) error {
		return stream.Send(&pb.AcceptResponse{Session: toSession(sess.Snapshot()), ResumeToken: sess.Token()})
	})
}

func (s *listenerService) listener(ctx context.Context, id string) (*session.Listener, error) {
	if id == "" {
		return nil, &session.FieldError{Field: "listener_id", Why: "is required"}
	}
	return s.registry.Listener(principalOf(ctx), id)
}

// anyListener is listener, where an administrator finds what is another's too.
func (s *listenerService) anyListener(ctx context.Context, action, id string) (*session.Listener, error) {
	l, err := s.listener(ctx, id)
	if !errors.Is(err, session.ErrListenerNotFound) || !callerOf(ctx).administrator {
		return l, err
	}
	if l, err = s.registry.FindListener(id); err != nil {
		return nil, err
	}
	s.foreign(ctx, action, id, l.Snapshot().Owner)
	return l, nil
}

func (s *listenerService) GetListener(ctx context.Context, req *pb.GetListenerRequest) (*pb.GetListenerResponse, error) {
	l, err := s.anyListener(ctx, "get listener", req.GetListenerId())
	if err != nil {
		return nil, err
	}
	return &pb.GetListenerResponse{Listener: toListener(l.Snapshot())}, nil
}

func (s *listenerService) ListListeners(ctx context.Context, req *pb.ListListenersRequest) (*pb.ListListenersResponse, error) {
	owner, err := s.ownerInList(ctx, req.GetAllCallers(), "listeners")
	if err != nil {
		return nil, err
	}
	listeners, next, err := listPage(req, func(after string, limit int) ([]*session.Listener, bool) {
		return s.registry.Listeners(owner, after, limit)
	}, func(l *session.Listener) *pb.Listener { return toListener(l.Snapshot()) })
	return &pb.ListListenersResponse{Listeners: listeners, NextPageToken: next}, err
}

func (s *listenerService) CloseListener(ctx context.Context, req *pb.CloseListenerRequest) (*pb.CloseListenerResponse, error) {
	l, err := s.anyListener(ctx, "close listener", req.GetListenerId())
	if err != nil {
		return nil, err
	}
	if !l.Close() {
		return nil, session.ErrListenerNotFound
	}
	return &pb.CloseListenerResponse{}, nil
}

func toListener(v session.ListenerSnapshot) *pb.Listener {
	return &pb.Listener{
		ListenerId:       v.ID,
		Owner:            v.Owner,
		Local:            toEndpoint(v.Local),
		StartTlsOnAccept: v.StartTLS,
		Settings:         toSettings(v.Settings),
		Backlog:          toInt32(v.Backlog),
		AcceptedCount:    v.Accepted,
		CreateTime:       timestamppb.New(v.Created),
		PendingCount:     toInt32(v.Pending),
	}
}

package server

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"time"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/fieldmaskpb"

	pb "securesocket/gen/securesocket/v1"
	"securesocket/server/egress"
	"securesocket/session"
	"securesocket/session/starttls"
	"securesocket/tlsengine"
)

// service implements SecureSocketService. A handler reads its request, calls
// the session, and converts what comes back.
type service struct {
	pb.UnimplementedSecureSocketServiceServer

	registry   *session.Registry
	version    string
	maxStreams int
	audit      auditor
	// administrator says who is one, whatever the method.
	administrator func(principal string) bool
}

const (
	maxRequestIDBytes = 128
	maxOffset         = 1<<53 - 1 // what every JSON number can hold
	maxWait           = 10 * time.Minute
	defaultWait       = 30 * time.Second
	defaultPage       = 50
	maxPage           = 1000
	maxPageBytes      = 1 << 20 // beyond it a page ends early
)

func (s *service) session(ctx context.Context, id string) (*session.Session, error) {
	if id == "" {
		return nil, &session.FieldError{Field: "session_id", Why: "is required"}
	}
	return s.registry.Get(principalOf(ctx), id)
}

func (s *service) GetCapabilities(ctx context.Context, _ *pb.GetCapabilitiesRequest) (*pb.GetCapabilitiesResponse, error) {
	cfg := s.registry.Config()
	resp := &pb.GetCapabilitiesResponse{
		SecureSockets: true,
		Versions:      []pb.ProtocolVersion{pb.ProtocolVersion_PROTOCOL_VERSION_TLS1_2, pb.ProtocolVersion_PROTOCOL_VERSION_TLS1_3},
		Limits: &pb.Limits{
			MaxSessionsPerCaller: toInt32(cfg.MaxSessionsPerOwner),
			MaxMessageBytes:      maxRequestBytes,
			MaxBufferBytes:       session.MaxBufferBytes,
			MaxDetachGrace:       durationpb.New(session.MaxDetachGrace),
			MaxConcurrentStreams: toInt32(s.maxStreams),
		},
		ServerVersion:     s.version,
		StartTlsProtocols: starttls.Protocols(),
		Principal:         principalOf(ctx),
		Administrator:     s.administrator(principalOf(ctx)),
	}
	if cfg.LegacyTLS {
		resp.Versions = append([]pb.ProtocolVersion{pb.ProtocolVersion_PROTOCOL_VERSION_TLS1_0, pb.ProtocolVersion_PROTOCOL_VERSION_TLS1_1}, resp.Versions...)
	}
	for _, suite := range tlsengine.Suites() {
		if !suite.Insecure || cfg.LegacyTLS {
			resp.CipherSuites = append(resp.CipherSuites, toCipher(suite))
		}
	}
	for _, g := range tlsengine.Groups() {
		resp.Groups = append(resp.Groups, g.Name)
	}
	return resp, nil
}

func (s *service) CreateSession(ctx context.Context, req *pb.CreateSessionRequest) (*pb.CreateSessionResponse, error) {
	settings, err := s.fromSettings(ctx, req.GetSettings(), nil)
	if err != nil {
		return nil, inSettings("settings.", err)
	}
	r, err := requestOf(req.GetRequestId(), req, func(m *pb.CreateSessionRequest) { m.RequestId = "" })
	if err != nil {
		return nil, err
	}
	sess, _, warnings, err := s.registry.Create(principalOf(ctx), settings, false, r)
	if err != nil {
		return nil, inSettings("settings.", err)
	}
	return &pb.CreateSessionResponse{Session: toSession(sess.Snapshot()), ResumeToken: sess.Token(), Warnings: warnings}, nil
}

func (s *service) GetSession(ctx context.Context, req *pb.GetSessionRequest) (*pb.GetSessionResponse, error) {
	sess, err := s.anySession(ctx, "get session", req.GetSessionId())
	if err != nil {
		return nil, err
	}
	return &pb.GetSessionResponse{Session: s.shown(ctx, sess)}, nil
}

// anySession is session, where an administrator finds what is another's too.
func (s *service) anySession(ctx context.Context, action, id string) (*session.Session, error) {
	sess, err := s.session(ctx, id)
	if !errors.Is(err, session.ErrNotFound) || !callerOf(ctx).administrator {
		return sess, err
	}
	if sess, err = s.registry.Find(id); err != nil {
		return nil, err
	}
	s.foreign(ctx, action, id, sess.Owner())
	return sess, nil
}

// shown is a session as the caller may see it: what a peer has said is its
// owner's alone.
func (s *service) shown(ctx context.Context, sess *session.Session) *pb.Session {
	m := toSession(sess.Snapshot())
	if m.GetOwner() != principalOf(ctx) {
		m.Greeting = nil
		if f := m.GetLastError(); f.GetMetadata()["reply"] != "" {
			delete(f.Metadata, "reply")
			f.Message = "the peer refused; what it said is the owner's"
		}
	}
	return m
}

func (s *service) ListSessions(ctx context.Context, req *pb.ListSessionsRequest) (*pb.ListSessionsResponse, error) {
	owner, err := s.ownerInList(ctx, req.GetAllCallers(), "sessions")
	if err != nil {
		return nil, err
	}
	sessions, next, err := listPage(req, func(after string, limit int) ([]*session.Session, bool) {
		return s.registry.List(owner, after, limit)
	}, func(sess *session.Session) *pb.Session { return s.shown(ctx, sess) })
	return &pb.ListSessionsResponse{Sessions: sessions, NextPageToken: next}, err
}

func (s *service) UpdateSession(ctx context.Context, req *pb.UpdateSessionRequest) (*pb.UpdateSessionResponse, error) {
	sess, err := s.session(ctx, req.GetSessionId())
	if err != nil {
		return nil, err
	}
	generation, warnings, err := sess.Update(s.merging(ctx, req.GetSettings(), req.GetUpdateMask()))
	if err != nil {
		return nil, inSettings("settings.", err)
	}
	return &pb.UpdateSessionResponse{Session: toSession(sess.Snapshot()), EffectiveGeneration: generation, Warnings: warnings}, nil
}

// merging returns what changes settings to what a request asks for.
func (s *service) merging(ctx context.Context, want *pb.SessionSettings, mask *fieldmaskpb.FieldMask) func(session.Settings) (session.Settings, error) {
	return func(have session.Settings) (session.Settings, error) {
		merged := proto.CloneOf(toSettings(have)) // setting a field writes through its pointer
		defer clearSecrets(merged)
		if err := mergeSettings(merged, want, mask); err != nil {
			return have, err
		}
		next, err := s.fromSettings(ctx, merged, have.Identities)
		keepPassword(have.Proxy, next.Proxy)
		return next, err
	}
}

func (s *service) DeleteSession(ctx context.Context, req *pb.DeleteSessionRequest) (*pb.DeleteSessionResponse, error) {
	sess, err := s.anySession(ctx, "delete session", req.GetSessionId())
	if err != nil {
		return nil, err
	}
	if !sess.Delete() {
		return nil, session.ErrNotFound
	}
	return &pb.DeleteSessionResponse{}, nil
}

func (s *service) Connect(ctx context.Context, req *pb.ConnectRequest) (*pb.ConnectResponse, error) {
	args, err := connectArgs(req)
	if err != nil {
		return nil, err
	}
	r, err := requestOf(req.GetRequestId(), req, func(m *pb.ConnectRequest) { m.RequestId, m.ReturnImmediately = "", false })
	if err != nil {
		return nil, err
	}
	sess, err := s.session(ctx, req.GetSessionId())
	if err != nil {
		return nil, err
	}
	attempt, err := sess.Begin(args, r, req.GetReturnImmediately())
	if err != nil {
		return nil, err
	}
	if !req.GetReturnImmediately() {
		if err := attempt.Wait(ctx); err != nil {
			return nil, err
		}
	}
	v := sess.Snapshot()
	return &pb.ConnectResponse{Session: toSession(v), EventSeq: v.EventSeq}, nil
}

func (s *service) Close(ctx context.Context, req *pb.CloseRequest) (*pb.CloseResponse, error) {
	sess, err := s.session(ctx, req.GetSessionId())
	if err != nil {
		return nil, err
	}
	how, offset, err := closeOf(req.GetClose())
	if err != nil {
		return nil, err
	}
	if err := sess.Close(ctx, how, offset, req.GetClose().GetGeneration()); err != nil {
		return nil, err
	}
	return &pb.CloseResponse{Session: toSession(sess.Snapshot())}, nil
}

func (s *service) Wait(ctx context.Context, req *pb.WaitRequest) (*pb.WaitResponse, error) {
	sess, err := s.session(ctx, req.GetSessionId())
	if err != nil {
		return nil, err
	}
	timeout := defaultWait
	if t := req.GetTimeout(); t != nil {
		timeout = t.AsDuration()
	}
	switch {
	case req.GetTimeout() != nil && req.GetTimeout().CheckValid() != nil, timeout < 0, timeout > maxWait:
		return nil, &session.FieldError{Field: "timeout", Why: "has to be between 0 and 10 minutes"}
	case req.GetCondition() == pb.WaitRequest_CONDITION_UNSPECIFIED:
		return nil, &session.FieldError{Field: "condition", Why: "is required"}
	}
	if err := checkPosition("", req.GetOffset(), req.GetGeneration()); err != nil {
		return nil, err
	}
	r, err := sess.Wait(ctx, session.Condition(req.GetCondition()), req.GetGeneration(), req.GetOffset(), timeout)
	if err != nil {
		return nil, err
	}
	return &pb.WaitResponse{Reached: r.Reached, TimedOut: r.TimedOut, Cause: toFailure(r.Cause), Session: toSession(r.Snapshot)}, nil
}

func (s *service) AddCertificate(ctx context.Context, req *pb.AddCertificateRequest) (*pb.AddCertificateResponse, error) {
	sess, err := s.session(ctx, req.GetSessionId())
	if err != nil {
		return nil, err
	}
	cert, err := session.ParseCertificate(req.GetCertificate())
	if err != nil {
		return nil, err
	}
	if err := sess.AddCertificate(cert, req.GetTrusted()); err != nil {
		return nil, err
	}
	return &pb.AddCertificateResponse{Certificate: toCertificate(cert)}, nil
}

func (s *service) GetCertificateStatus(ctx context.Context, req *pb.GetCertificateStatusRequest) (*pb.GetCertificateStatusResponse, error) {
	sess, err := s.session(ctx, req.GetSessionId())
	if err != nil {
		return nil, err
	}
	status, report, generation, err := sess.Report(req.GetGeneration())
	if err != nil {
		return nil, err
	}
	return &pb.GetCertificateStatusResponse{Status: pb.CertificateStatus(status), Report: toReport(report), Generation: generation}, nil
}

type portError struct{ port int32 }

func (e *portError) Error() string { return fmt.Sprintf("port %d is not in 1..65535", e.port) }

// connectArgs reads what a Connect, an Open and a Probe have in common.
func connectArgs(m interface {
	GetHost() string
	GetPort() int32
	GetPlain() bool
	GetStartTlsProtocol() string
}) (session.ConnectArgs, error) {
	target, err := targetOf(m.GetHost(), m.GetPort())
	args := session.ConnectArgs{Target: target, Plain: m.GetPlain(), StartTLS: m.GetStartTlsProtocol()}
	if err == nil {
		err = args.Validate()
	}
	return args, err
}

// targetOf reads a host and a port.
func targetOf(host string, port int32) (session.Target, error) {
	if port < 1 || port > 65535 {
		return session.Target{}, &portError{port}
	}
	t, err := egress.ParseHost(host)
	if err != nil {
		return session.Target{}, err
	}
	return session.Target{Name: t.Name, Addr: t.Addr, Port: int(port)}, nil
}

// requestOf identifies a request: its arguments without what reduce takes away.
func requestOf[M proto.Message](id string, req M, reduce func(M)) (session.Request, error) {
	if id == "" {
		return session.Request{}, nil
	}
	if len(id) > maxRequestIDBytes {
		return session.Request{}, &session.FieldError{Field: "request_id", Why: fmt.Sprintf("is longer than %d bytes", maxRequestIDBytes)}
	}
	m := proto.CloneOf(req)
	defer clearSecrets(m)
	reduce(m)
	b, err := proto.MarshalOptions{Deterministic: true}.Marshal(m)
	defer clear(b)
	if err != nil {
		return session.Request{}, err
	}
	digest := sha256.New()
	digest.Write(b)
	// The type keeps an Open from being taken for a CreateSession.
	digest.Write([]byte(req.ProtoReflect().Descriptor().FullName()))
	return session.Request{ID: id, Digest: [sha256.Size]byte(digest.Sum(nil))}, nil
}

func closeOf(m *pb.CloseSocket) (session.How, *int64, error) {
	how := session.How(m.GetHow())
	if how == 0 {
		how = session.CloseGraceful
	}
	if m == nil || m.SendOffset == nil {
		return how, nil, nil
	}
	if how == session.CloseAbort {
		return 0, nil, &session.FieldError{Field: "close.send_offset", Why: "has no meaning for an abort"}
	}
	return how, m.SendOffset, checkOffset("close.send_offset", m.GetSendOffset())
}

func checkOffset(field string, n int64) error {
	if n < 0 || n > maxOffset {
		return &session.FieldError{Field: field, Why: "has to be between 0 and 2^53 - 1"}
	}
	return nil
}

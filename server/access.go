package server

import (
	"context"
	"log/slog"

	"golang.org/x/time/rate"
	"google.golang.org/grpc"
	"google.golang.org/grpc/peer"

	pb "securesocket/gen/securesocket/v1"
	"securesocket/server/door"
	"securesocket/session"
)

// role is what a caller may be.
type role uint8

const (
	anyCaller role = iota + 1 // about what is his: another's is as if it were not there
	orAdministrator
)

// access says who may call which method, by its full name: one that is not in it
// nobody may call.
var access = map[string]role{
	pb.SecureSocketService_GetCapabilities_FullMethodName:      anyCaller,
	pb.SecureSocketService_CreateSession_FullMethodName:        anyCaller,
	pb.SecureSocketService_GetSession_FullMethodName:           orAdministrator,
	pb.SecureSocketService_ListSessions_FullMethodName:         orAdministrator,
	pb.SecureSocketService_UpdateSession_FullMethodName:        anyCaller,
	pb.SecureSocketService_DeleteSession_FullMethodName:        orAdministrator,
	pb.SecureSocketService_Connect_FullMethodName:              anyCaller,
	pb.SecureSocketService_StartTls_FullMethodName:             anyCaller,
	pb.SecureSocketService_Close_FullMethodName:                anyCaller,
	pb.SecureSocketService_Wait_FullMethodName:                 anyCaller,
	pb.SecureSocketService_AddCertificate_FullMethodName:       anyCaller,
	pb.SecureSocketService_GetCertificateStatus_FullMethodName: anyCaller,
	pb.SecureSocketService_ExportKeyingMaterial_FullMethodName: anyCaller,
	pb.SecureSocketService_Decide_FullMethodName:               anyCaller,
	pb.SecureSocketService_Attach_FullMethodName:               anyCaller,
	pb.SecureSocketService_Write_FullMethodName:                anyCaller,
	pb.SecureSocketService_Read_FullMethodName:                 anyCaller,

	pb.ListenerService_Listen_FullMethodName:        anyCaller,
	pb.ListenerService_Accept_FullMethodName:        anyCaller,
	pb.ListenerService_GetListener_FullMethodName:   orAdministrator,
	pb.ListenerService_ListListeners_FullMethodName: orAdministrator,
	pb.ListenerService_CloseListener_FullMethodName: orAdministrator,

	pb.TrustService_ListCertificates_FullMethodName:  anyCaller,
	pb.TrustService_AddCertificates_FullMethodName:   orAdministrator,
	pb.TrustService_SetCertificates_FullMethodName:   orAdministrator,
	pb.TrustService_ResetCertificates_FullMethodName: orAdministrator,
	pb.TrustService_GetDefaults_FullMethodName:       anyCaller,
	pb.TrustService_UpdateDefaults_FullMethodName:    anyCaller,

	pb.DiagnosticService_Probe_FullMethodName:         anyCaller,
	pb.DiagnosticService_ValidateChain_FullMethodName: anyCaller,
	pb.DiagnosticService_ExplainPolicy_FullMethodName: orAdministrator,
}

type callerKey struct{}

// caller is who makes an RPC.
type caller struct {
	principal     string
	administrator bool // and the method is one that administrators have a word in
}

func callerOf(ctx context.Context) caller {
	c, _ := ctx.Value(callerKey{}).(caller)
	return c
}

// principalOf returns the principal that the interceptor found.
func principalOf(ctx context.Context) string { return callerOf(ctx).principal }

// guard decides who may call what.
type guard struct {
	authenticate  Authenticator
	allowed       func(principal string) bool
	administrator func(principal string) bool
	metrics       Metrics // nil: nobody counts
	log           *slog.Logger
	refusals      rate.Sometimes // that are written down: strangers choose how many there are
}

// refuse tells a caller why he is not let in, and the operator, who may want to know
// that somebody tries.
func (g *guard) refuse(ctx context.Context, err error) error {
	g.refusals.Do(func() {
		from := "unknown"
		if p, ok := peer.FromContext(ctx); ok {
			from = door.Unwrap(p.Addr).String()
		}
		method, _ := grpc.Method(ctx)
		g.log.Info("caller refused", "audit", "refused", "from", bounded(from), "method", bounded(method), "why", bounded(err.Error()))
	})
	return toStatus(err)
}

// admit is the one way into a method of ours: it names the caller, or refuses
// him.
func (g *guard) admit(ctx context.Context) (context.Context, error) {
	principal, err := g.authenticate(ctx)
	if g.metrics != nil {
		g.metrics.Authenticated(principal, err)
	}
	if err != nil || principal == "" {
		return nil, g.refuse(ctx, &unauthenticatedError{err})
	}
	if !g.allowed(principal) {
		return nil, g.refuse(ctx, &session.NotAllowedError{What: "calling", Why: bounded(principal) + " is not among those whom the operator lets call"})
	}
	if err := door.FromContext(ctx).Claim(principal); err != nil {
		return nil, toStatus(err)
	}
	method, _ := grpc.Method(ctx)
	who, known := access[method]
	if !known {
		return nil, toStatus(&session.NotAllowedError{What: method, Why: "nobody may call it"})
	}
	c := caller{principal: principal, administrator: who == orAdministrator && g.administrator(principal)}
	return context.WithValue(ctx, callerKey{}, c), nil
}

// auditor writes down what administrators do, and what is done to the policy.
type auditor struct{ log *slog.Logger }

func (a auditor) note(ctx context.Context, action string, attrs ...any) {
	a.log.With("audit", action, "principal", bounded(callerOf(ctx).principal)).Info("audit", attrs...)
}

// foreign says whether an administrator looks at what is another's, and writes it
// down.
func (s *service) foreign(ctx context.Context, action, id, owner string) bool {
	if owner == principalOf(ctx) {
		return false
	}
	s.audit.note(ctx, action, "id", bounded(id), "owner", bounded(owner))
	return true
}

var errAllCallers = &session.NotAllowedError{What: "all_callers", Why: "only administrators see what is others'"}

// ownerInList is whose things a list shows.
func (s *service) ownerInList(ctx context.Context, all bool, what string) (string, error) {
	c := callerOf(ctx)
	switch {
	case !all:
		return c.principal, nil
	case !c.administrator:
		return "", errAllCallers
	}
	s.audit.note(ctx, "list", "what", what)
	return session.Anybody, nil
}

package server_test

import (
	"google.golang.org/protobuf/proto"

	pb "securesocket/gen/securesocket/v1"
)

// named is what a request names.
type named int

const (
	nothing named = iota
	aSession
	aListener
)

// matrixRow is one RPC of the matrix.
type matrixRow struct {
	names named
	// request makes a request that is good but for the ID, which may be anybody's.
	request func(o *owned, id string) proto.Message
	// administers: administrators may do it to what is another's.
	administers bool
	// destroys: the owner's call leaves nothing to call again about.
	destroys bool
	// refused is the reason that the owner's own call has in the state that the matrix is in; "": it succeeds.
	refused string
}

// matrix has every RPC of the contract: one that is not in it fails the test.
var matrix = map[string]matrixRow{
	pb.SecureSocketService_GetCapabilities_FullMethodName: {request: func(*owned, string) proto.Message { return &pb.GetCapabilitiesRequest{} }},
	pb.SecureSocketService_CreateSession_FullMethodName:   {request: func(*owned, string) proto.Message { return &pb.CreateSessionRequest{} }},
	pb.SecureSocketService_GetSession_FullMethodName: {names: aSession, administers: true, request: func(_ *owned, id string) proto.Message {
		return &pb.GetSessionRequest{SessionId: id}
	}},
	pb.SecureSocketService_ListSessions_FullMethodName: {request: func(*owned, string) proto.Message { return &pb.ListSessionsRequest{} }},
	pb.SecureSocketService_UpdateSession_FullMethodName: {names: aSession, request: func(_ *owned, id string) proto.Message {
		return &pb.UpdateSessionRequest{SessionId: id, Settings: &pb.SessionSettings{Label: "somebody was here"}, UpdateMask: mask("label")}
	}},
	pb.SecureSocketService_DeleteSession_FullMethodName: {names: aSession, administers: true, destroys: true, request: func(_ *owned, id string) proto.Message {
		return &pb.DeleteSessionRequest{SessionId: id}
	}},
	pb.SecureSocketService_Connect_FullMethodName: {names: aSession, destroys: true, request: func(o *owned, id string) proto.Message {
		return &pb.ConnectRequest{SessionId: id, Host: "127.0.0.1", Port: o.peerPort, StartTlsProtocol: "smtp", RequestId: "the same for all"}
	}},
	pb.SecureSocketService_StartTls_FullMethodName: {names: aSession, refused: "SESSION_STATE", request: func(_ *owned, id string) proto.Message {
		return &pb.StartTlsRequest{SessionId: id, StartTls: &pb.StartTls{Role: pb.TlsRole_TLS_ROLE_CLIENT}}
	}},
	pb.SecureSocketService_Close_FullMethodName: {names: aSession, destroys: true, request: func(_ *owned, id string) proto.Message {
		return &pb.CloseRequest{SessionId: id, Close: &pb.CloseSocket{How: pb.CloseSocket_HOW_ABORT}}
	}},
	pb.SecureSocketService_Wait_FullMethodName: {names: aSession, request: func(_ *owned, id string) proto.Message {
		return &pb.WaitRequest{SessionId: id, Condition: pb.WaitRequest_CONDITION_ENCRYPTED}
	}},
	pb.SecureSocketService_AddCertificate_FullMethodName: {names: aSession, request: func(o *owned, id string) proto.Message {
		return &pb.AddCertificateRequest{SessionId: id, Certificate: o.anchor, Trusted: true}
	}},
	pb.SecureSocketService_GetCertificateStatus_FullMethodName: {names: aSession, request: func(_ *owned, id string) proto.Message {
		return &pb.GetCertificateStatusRequest{SessionId: id}
	}},
	pb.SecureSocketService_ExportKeyingMaterial_FullMethodName: {names: aSession, request: func(_ *owned, id string) proto.Message {
		return &pb.ExportKeyingMaterialRequest{SessionId: id, Label: "EXPERIMENTAL matrix", Length: 32}
	}},
	pb.SecureSocketService_Decide_FullMethodName: {names: aSession, refused: "SESSION_STATE", request: func(_ *owned, id string) proto.Message {
		return &pb.DecideRequest{SessionId: id, Decision: &pb.CertificateDecision{DecisionId: 1, AcceptAll: true}}
	}},
	pb.SecureSocketService_Attach_FullMethodName: {names: aSession, destroys: true, request: func(o *owned, id string) proto.Message {
		return attachFrame(&pb.AttachSession{SessionId: id, ResumeToken: o.session.token, AttachSeq: 1000, Generation: 1})
	}},
	pb.SecureSocketService_Write_FullMethodName: {names: aSession, destroys: true, request: func(_ *owned, id string) proto.Message {
		return &pb.WriteRequest{SessionId: id, Generation: 1, Payload: []byte("whose bytes are these?")}
	}},
	pb.SecureSocketService_Read_FullMethodName: {names: aSession, request: func(_ *owned, id string) proto.Message {
		return &pb.ReadRequest{SessionId: id, Generation: 1, Wait: true}
	}},

	pb.ListenerService_Listen_FullMethodName: {request: func(*owned, string) proto.Message { return &pb.ListenRequest{Address: "127.0.0.1"} }},
	pb.ListenerService_Accept_FullMethodName: {names: aListener, destroys: true, request: func(_ *owned, id string) proto.Message {
		return &pb.AcceptRequest{ListenerId: id, Credit: 1}
	}},
	pb.ListenerService_GetListener_FullMethodName: {names: aListener, administers: true, request: func(_ *owned, id string) proto.Message {
		return &pb.GetListenerRequest{ListenerId: id}
	}},
	pb.ListenerService_ListListeners_FullMethodName: {request: func(*owned, string) proto.Message { return &pb.ListListenersRequest{} }},
	pb.ListenerService_CloseListener_FullMethodName: {names: aListener, administers: true, destroys: true, request: func(_ *owned, id string) proto.Message {
		return &pb.CloseListenerRequest{ListenerId: id}
	}},

	pb.TrustService_ListCertificates_FullMethodName: {names: aSession, request: func(_ *owned, id string) proto.Message {
		return &pb.ListCertificatesRequest{Scope: ofSession, SessionId: id}
	}},
	pb.TrustService_AddCertificates_FullMethodName: {names: aSession, request: func(o *owned, id string) proto.Message {
		return &pb.AddCertificatesRequest{Scope: ofSession, SessionId: id, Bundle: o.anchor, Trusted: true}
	}},
	pb.TrustService_SetCertificates_FullMethodName: {names: aSession, request: func(o *owned, id string) proto.Message {
		return &pb.SetCertificatesRequest{Scope: ofSession, SessionId: id, Bundle: o.anchor}
	}},
	pb.TrustService_ResetCertificates_FullMethodName: {names: aSession, destroys: true, request: func(_ *owned, id string) proto.Message {
		return &pb.ResetCertificatesRequest{Scope: ofSession, SessionId: id}
	}},
	pb.TrustService_GetDefaults_FullMethodName: {request: func(*owned, string) proto.Message { return &pb.GetDefaultsRequest{} }},
	pb.TrustService_UpdateDefaults_FullMethodName: {request: func(*owned, string) proto.Message {
		return &pb.UpdateDefaultsRequest{Settings: &pb.SessionSettings{Label: "mine"}, UpdateMask: mask("label")}
	}},

	pb.DiagnosticService_Probe_FullMethodName: {request: func(o *owned, _ string) proto.Message {
		return &pb.ProbeRequest{Host: "127.0.0.1", Port: o.peerPort, StartTlsProtocol: "smtp"}
	}},
	pb.DiagnosticService_ValidateChain_FullMethodName: {request: func(o *owned, _ string) proto.Message {
		return &pb.ValidateChainRequest{Chain: [][]byte{o.anchor}, VerifyNames: []string{"example.org"}}
	}},
	pb.DiagnosticService_ExplainPolicy_FullMethodName: {request: func(o *owned, _ string) proto.Message {
		return &pb.ExplainPolicyRequest{Host: "127.0.0.1", Port: o.peerPort}
	}},
}

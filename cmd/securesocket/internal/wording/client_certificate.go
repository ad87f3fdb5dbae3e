package wording

import pb "securesocket/gen/securesocket/v1"

// ClientCertificate says whether the handshake had to do with one.
func ClientCertificate(t *pb.TlsState) string {
	switch {
	case t.GetClientCertificateShown():
		return "asked for, and one shown"
	case t.GetClientCertificateRequested():
		return "asked for, none shown"
	}
	return "not asked for in the handshake"
}

// ClientCertificateHint is what to know of a handshake that succeeded without the client certificate that the peer asked
// for; empty where there is nothing to say. Under TLS 1.3 the client has finished before the peer judges its certificate
// (RFC 8446, section 4.4.2.4).
func ClientCertificateHint(t *pb.TlsState) string {
	if !t.GetClientCertificateRequested() || t.GetClientCertificateShown() || t.GetVersion() != pb.ProtocolVersion_PROTOCOL_VERSION_TLS1_3 {
		return ""
	}
	return "under TLS 1.3 a peer that insists on a client certificate says so only with the first bytes; connect would show it"
}

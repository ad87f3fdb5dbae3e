package session

// State is where the socket of a session is in its life. The numbers are the
// wire's.
type State int32

// The states. StateConnected is TCP without TLS.
const (
	StateUnconnected State = 1
	StateHostLookup  State = 2
	StateConnecting  State = 3
	StateConnected   State = 4
	StateHandshaking State = 5
	StateEncrypted   State = 6
	StateClosing     State = 7
)

func (s State) String() string {
	switch s {
	case StateUnconnected:
		return "unconnected"
	case StateHostLookup:
		return "host lookup"
	case StateConnecting:
		return "connecting"
	case StateConnected:
		return "connected in plain mode"
	case StateHandshaking:
		return "handshaking"
	case StateEncrypted:
		return "encrypted"
	case StateClosing:
		return "closing"
	}
	return "unknown"
}

// Mode is what is spoken on the socket. The numbers are the wire's.
type Mode int32

// The modes; 0 is no connection.
const (
	ModePlain     Mode = 1
	ModeTLSClient Mode = 2
	ModeTLSServer Mode = 3
)

// CloseCause says how a direction of a connection, or the connection, came to
// its end. The numbers are the wire's; 0 is "still open".
type CloseCause int32

// The causes.
const (
	CausePeerCloseNotify     CloseCause = 1
	CausePeerFIN             CloseCause = 2
	CausePeerTruncated       CloseCause = 3
	CausePeerTruncatedRecord CloseCause = 4
	CausePeerReset           CloseCause = 5
	CausePeerAlert           CloseCause = 6
	CauseLocal               CloseCause = 7
	CauseReconnect           CloseCause = 8
	CauseIdleTimeout         CloseCause = 9
	CauseDetachExpired       CloseCause = 10
	CausePolicy              CloseCause = 11
	CauseDrain               CloseCause = 12
	CauseError               CloseCause = 13
	CauseNetworkTimeout      CloseCause = 14
	CauseDeleted             CloseCause = 15
)

func (c CloseCause) String() string {
	switch c {
	case CausePeerCloseNotify:
		return "peer close_notify"
	case CausePeerFIN:
		return "peer FIN"
	case CausePeerTruncated:
		return "peer truncated"
	case CausePeerTruncatedRecord:
		return "peer truncated inside a record"
	case CausePeerReset:
		return "peer reset"
	case CausePeerAlert:
		return "peer alert"
	case CauseLocal:
		return "local"
	case CauseReconnect:
		return "reconnect"
	case CauseIdleTimeout:
		return "idle timeout"
	case CauseDetachExpired:
		return "detach expired"
	case CausePolicy:
		return "policy"
	case CauseDrain:
		return "drain"
	case CauseError:
		return "error"
	case CauseNetworkTimeout:
		return "network timeout"
	case CauseDeleted:
		return "deleted"
	}
	return "open"
}

// byPeer tells whether the peer ended, as opposed to a timeout, the network or
// this side.
func (c CloseCause) byPeer() bool {
	switch c {
	case CausePeerCloseNotify, CausePeerFIN, CausePeerTruncated, CausePeerTruncatedRecord, CausePeerReset, CausePeerAlert:
		return true
	}
	return false
}

// truncation tells whether it was an EOF without close_notify.
func (c CloseCause) truncation() bool {
	return c == CausePeerTruncated || c == CausePeerTruncatedRecord
}

// failure tells whether the network or a reset ended it.
func (c CloseCause) failure() bool {
	return c == CausePeerReset || c == CauseNetworkTimeout || c == CauseError
}

// Phase is a part of a connection's life, for errors and the timeline. The
// numbers are the wire's.
type Phase int32

// The phases.
const (
	PhasePolicy      Phase = 1
	PhaseDNS         Phase = 2
	PhaseTCP         Phase = 3
	PhaseHandshake   Phase = 4
	PhaseCertificate Phase = 5
	PhaseData        Phase = 6
	PhaseClose       Phase = 7
)

func (p Phase) String() string {
	switch p {
	case PhasePolicy:
		return "policy"
	case PhaseDNS:
		return "dns"
	case PhaseTCP:
		return "tcp"
	case PhaseHandshake:
		return "handshake"
	case PhaseCertificate:
		return "certificate"
	case PhaseData:
		return "data"
	case PhaseClose:
		return "close"
	}
	return "unknown"
}

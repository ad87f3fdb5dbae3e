package h2attack

import (
	"context"
	"net"
	"time"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"
)

// Dialer makes a connection to the server; under TLS, one on which HTTP/2 was
// agreed.
type Dialer func() (net.Conn, error)

// Attack is one of this package.
type Attack func(ctx context.Context, dial Dialer, o Options) (Result, error)

// Options bound an attack. The zero value of each field is the default that its
// comment names.
type Options struct {
	// Count is how many frames, streams or connections are used, whatever the attack
	// is made of; 10,000.
	Count int
	// Timeout is how long the attack takes at most; 5 s.
	Timeout time.Duration
	// Path is the method that is called; health's Check.
	Path string
	// Header is sent with each request beside what HTTP/2 and gRPC need.
	Header []hpack.HeaderField
	// Known has the attack begin with a call of Path that is answered, so that the
	// server knows whose connection it is. The message is empty.
	Known bool
}

func (o Options) withDefaults() Options {
	if o.Count == 0 {
		o.Count = 10_000
	}
	if o.Timeout == 0 {
		o.Timeout = 5 * time.Second
	}
	if o.Path == "" {
		o.Path = "/grpc.health.v1.Health/Check"
	}
	return o
}

// End is how a connection ended.
type End int

const (
	// EndOpen says that the server kept it for as long as the attack went on.
	EndOpen End = iota
	// EndClosed says that the server closed it (FIN, or close_notify).
	EndClosed
	// EndReset says that it broke (RST).
	EndReset
)

func (e End) String() string { return [...]string{"open", "closed", "reset"}[e] }

// Result is what an attack did and saw.
type Result struct {
	Frames int   // sent; of a connection that was ended, those before that was noticed
	Bytes  int64 // sent

	Responses    map[string]int        // answers, by grpc-status, or "http" and the status
	Resets       map[http2.ErrCode]int // RST_STREAM frames of the server
	PingAcks     int
	SettingsAcks int
	DataFrames   int

	GoAway bool          // the server sent one
	Code   http2.ErrCode // of the last GOAWAY
	Debug  string        // of the last GOAWAY

	// Answered says that the server answered a PING after everything else.
	Answered bool
	End      End
	// Ended is how many connections the server ended, of an attack that uses many.
	Ended int
	// Paths has the answer to each spelling of PathTricks, as in Responses, or
	// "reset", or "none".
	Paths map[string]string
}

// Named is an attack with its name.
type Named struct {
	Name string
	Run  Attack
}

// Floods are the attacks of many frames over one connection.
func Floods() []Named {
	return []Named{
		{"rapid reset", RapidReset},
		{"made you reset: WINDOW_UPDATE of 0", MadeYouReset(WindowUpdateZero)},
		{"made you reset: WINDOW_UPDATE beyond 2^31-1", MadeYouReset(WindowUpdateOverflow)},
		{"made you reset: DATA after END_STREAM", MadeYouReset(DataAfterEnd)},
		{"made you reset: stream depends on itself", MadeYouReset(SelfDependency)},
		{"made you reset: connection header", MadeYouReset(ConnectionHeader)},
		{"made you reset: content-type", MadeYouReset(ForeignContentType)},
		{"SETTINGS", SettingsFlood},
		{"SETTINGS of 2,000 settings", LargeSettingsFlood},
		{"PING", PingFlood},
		{"PING, acks unread", UnreadPingFlood},
		{"WINDOW_UPDATE", WindowUpdateFlood},
		{"PRIORITY", PriorityFlood},
		{"unknown frames", UnknownFrameFlood},
		{"CONTINUATION", ContinuationFlood},
		{"CONTINUATION, empty", EmptyContinuationFlood},
		{"empty DATA", EmptyDataFlood},
		{"DATA of padding", PaddedDataFlood},
		{"DATA of one byte", TinyDataFlood},
		{"HPACK bomb", HPACKBomb},
		{"huge headers", HugeHeaders},
		{"zero window", ZeroWindowStall},
	}
}

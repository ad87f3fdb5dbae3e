package client

import (
	"context"
	"net"
	"sync"
	"time"

	"google.golang.org/grpc/codes"

	pb "securesocket/gen/securesocket/v1"
)

// Listener accepts connections at an address of the service's machine, as a net.Listener: http.Serve and the like work on
// it. A connection is a *Conn, in the server's role of TLS or plain, with the settings of its Listener. It is safe for
// concurrent use.
//
// Connections wait for Accept, Backlog of them at most: beyond that the service closes those that wait for longer than
// 10 s, and accepts none. If the way to the service breaks, connections go on being accepted as soon as it is back, within
// the Settings' DetachGrace (60 s); afterwards the service has closed the listener.
type Listener struct {
	dialer    *Dialer
	plain     bool
	resumable bool
	id        string
	addr      net.Addr
	credit    int32
	grace     time.Duration
	ctx       context.Context // of the streams; done when the Listener has ended
	cancel    context.CancelFunc
	running   sync.WaitGroup // accept, and adopt for each session that is not handed out
	// places has room for what was taken from the service and not handed out; who puts in takes out, or hands over.
	places chan struct{}
	// ready has connections to be handed out, at most as many as there are places; adopt sends, nobody closes.
	ready chan *Conn
	// ended is closed by end.
	ended chan struct{}

	mu      sync.Mutex
	err     error           // what Accept returns once ended is closed and ready is empty
	pending map[string]bool // the sessions that are being adopted, or wait to be handed out, by ID
	closed  bool            // Close was called
	closing sync.Once
	failed  error // what Close returns
}

// newListener makes the Listener of l.
func newListener(ctx context.Context, d *Dialer, cfg *ListenConfig, resumable bool, l *pb.Listener) *Listener {
	backlog := cfg.Backlog
	if backlog <= 0 {
		backlog = defaultBacklog
	}
	grace := defaultGrace
	if said := l.GetSettings().GetDetachGrace(); said != nil {
		grace = min(said.AsDuration(), maxGrace)
	}
	listener := &Listener{
		dialer: d, plain: cfg.Plain, resumable: resumable,
		id: l.GetListenerId(), addr: tcpAddr(l.GetLocal()), credit: int32(cfg.Backlog), grace: grace,
		places: make(chan struct{}, backlog), ready: make(chan *Conn, backlog), ended: make(chan struct{}),
		pending: map[string]bool{},
	}
	listener.ctx, listener.cancel = context.WithCancel(context.WithoutCancel(ctx))
	listener.running.Go(listener.accept)
	return listener
}

// ID is the listener's ID in the service, for its logs and listings.
func (l *Listener) ID() string { return l.id }

// Addr is where the service listens, on its machine; the port is never 0.
func (l *Listener) Addr() net.Addr { return l.addr }

// Accept is AcceptConn without a context, as net.Listener wants it: the net.Conn is a *Conn.
func (l *Listener) Accept() (net.Conn, error) {
	conn, err := l.AcceptConn(context.Background())
	if err != nil {
		return nil, err
	}
	return conn, nil
}

// AcceptConn waits for a connection: one whose handshake has succeeded or, with ListenConfig.Plain, one that is there. Those
// that fail before are not told of. It may have ended since; then Read says so. The end of ctx, with ctx's error, and Close,
// with net.ErrClosed, unblock it. Any other error is an *Error and for good: LISTENER_NOT_FOUND where the listener was closed
// otherwise, or the service could not be reached for longer than it keeps one; SUPERSEDED where another process accepts.
func (l *Listener) AcceptConn(ctx context.Context) (*Conn, error) {
	if l.isClosed() {
		return nil, net.ErrClosed
	}
	if conn := l.waiting(); conn != nil { // what is there comes first
		return l.handOut(conn), nil
	}
	select {
	case conn := <-l.ready:
		return l.handOut(conn), nil
	case <-l.ended:
		return nil, l.why()
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	}
}

// handOut gives a connection to who accepts it.
func (l *Listener) handOut(conn *Conn) *Conn {
	conn.returned.Store(true)
	l.release(conn.facts.sessionID)
	return conn
}

// Close stops listening. Connections that were accepted go on, those that wait for Accept are closed. It unblocks Accept at
// once, and tells the service, 3 s at most. It must not be called from ListenConfig.OnEvent. The error is an *Error where that has failed: then the service stops listening
// when the grace is over. Again, it waits as well and returns the same.
func (l *Listener) Close() error {
	l.closing.Do(func() {
		l.mu.Lock()
		l.closed = true
		l.mu.Unlock()
		l.end(net.ErrClosed)
		ctx, cancel := context.WithTimeout(context.WithoutCancel(l.ctx), forgetWait)
		defer cancel()
		_, err := call(ctx, l.service().CloseListener, &pb.CloseListenerRequest{ListenerId: l.id})
		if e := FromError(err); e != nil && e.Reason != pb.ErrorReason_ERROR_REASON_LISTENER_NOT_FOUND {
			l.failed = e
		}
		l.running.Wait()
		for conn := l.waiting(); conn != nil; conn = l.waiting() {
			conn.Abort()
		}
	})
	return l.failed
}

// waiting takes a connection that waits for Accept; nil: there is none.
func (l *Listener) waiting() *Conn {
	select {
	case conn := <-l.ready:
		return conn
	default:
		return nil
	}
}

func (l *Listener) service() pb.ListenerServiceClient {
	return pb.NewListenerServiceClient(l.dialer.Client.unary)
}

// end has Accept return err once nothing waits. The first one stands.
func (l *Listener) end(err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.err == nil {
		l.err = err
		close(l.ended)
		l.cancel()
	}
}

func (l *Listener) isClosed() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.closed
}

// why is what Accept returns in the end.
func (l *Listener) why() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closed {
		return net.ErrClosed
	}
	return l.err
}

// lost is the end of a Listener that could not come back within its grace, as the service would say it.
func (l *Listener) lost(last *Error) *Error {
	return &Error{
		Code: codes.NotFound, Reason: pb.ErrorReason_ERROR_REASON_LISTENER_NOT_FOUND,
		Message: "the service could not be reached for longer than the listener is kept",
		cause:   last,
	}
}

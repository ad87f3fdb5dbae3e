package client

import (
	"context"
	"errors"
	"net"
	"slices"
	"sync"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/backoff"
	"google.golang.org/grpc/experimental"
	"google.golang.org/grpc/keepalive"

	pb "securesocket/gen/securesocket/v1"
)

const (
	// streamWindow is what the service may send on a stream that is not received, in bytes. It is fixed: gRPC's
	// estimation of the bandwidth lets a stalled stream grow to megabytes.
	streamWindow = 512 << 10
	// connWindow is the same for all streams of an HTTP/2 connection together. gRPC opens it again as bytes arrive, not
	// as they are received, so a stalled stream does not hold up the others.
	connWindow = 4 << 20
	// maxRequestBytes is more than the largest request of the contract, a ValidateChain; each has its own bound, and the
	// service says by which one it refuses.
	maxRequestBytes = 5 << 20
	// maxResponseBytes leaves room for the events that a stream may carry at once.
	maxResponseBytes = 4 << 20
	// idleConnTimeout ends the HTTP/2 connections that no stream has used for so long; the next use makes a new one.
	idleConnTimeout = 5 * time.Minute
)

// Client is the way to one service: one HTTP/2 connection for unary calls and as many as are needed for the streams of
// its Conns, unless WithSharedConnection says otherwise. It is safe for concurrent use.
type Client struct {
	addr    address
	config  config
	unary   *grpc.ClientConn
	service pb.SecureSocketServiceClient
	streams *streamPool
	closing sync.Once

	credentials []grpc.DialOption // of every connection
}

// Dial returns a client of the service at addr: "unix:///path" and "grpc://host:port" are in plaintext, "grpcs://host:port"
// is TLS (WithTLS, WithCAFile, WithCertificateFiles). It connects when it is first used, so that a service that is not
// there shows only then. The error is an *AddressError, a *CredentialsError, or gRPC's about its options.
func Dial(addr string, opts ...Option) (*Client, error) {
	parsed, err := parseAddress(addr)
	if err != nil {
		return nil, err
	}
	c := &Client{addr: parsed}
	for _, opt := range opts {
		opt(&c.config)
	}
	if c.credentials, err = c.config.access.dialOptions(c.addr); err != nil {
		return nil, err
	}
	if c.unary, err = c.newConn(); err != nil {
		return nil, err
	}
	c.service = pb.NewSecureSocketServiceClient(c.unary)
	c.streams = newStreamPool(c.newConn, c.maxStreams)
	if c.config.oneConn {
		c.streams.share(c.unary)
	}
	return c, nil
}

// Service returns the generated client, on the connection for unary calls: for sessions that outlive a connection.
// FromError decodes its errors. It is good until Close.
func (c *Client) Service() pb.SecureSocketServiceClient { return c.service }

// Raw returns that connection, for the contract's other generated clients: pb.NewTrustServiceClient,
// pb.NewDiagnosticServiceClient. FromError decodes their errors. It is good until Close.
func (c *Client) Raw() grpc.ClientConnInterface { return c.unary }

// Capabilities asks the service what it can do. The error is an *Error.
func (c *Client) Capabilities(ctx context.Context) (*pb.GetCapabilitiesResponse, error) {
	return call(ctx, c.service.GetCapabilities, &pb.GetCapabilitiesRequest{})
}

// DialContext connects to the peer at address with every default, as Dialer.Dial does.
func (c *Client) DialContext(ctx context.Context, network, address string) (*Conn, error) {
	return (&Dialer{Client: c}).Dial(ctx, network, address)
}

// Close ends the connections to the service, and with them, as by Abort, every Conn that is still open: close those
// first. A resumable one is left to its grace, for a Resume of another process. It does not wait for their goroutines. A
// second Close does nothing.
func (c *Client) Close() error {
	var err error
	c.closing.Do(func() { err = errors.Join(c.streams.close(), c.unary.Close()) })
	return err
}

// maxStreams is how many streams one HTTP/2 connection takes.
func (c *Client) maxStreams(ctx context.Context) (int, error) {
	if c.config.maxStreams > 0 {
		return c.config.maxStreams, nil
	}
	answer, err := c.Capabilities(ctx)
	if err != nil {
		return 0, err
	}
	return int(answer.GetLimits().GetMaxConcurrentStreams()), nil
}

// newConn makes an HTTP/2 connection that connects when it is first used.
func (c *Client) newConn() (*grpc.ClientConn, error) {
	dial := c.config.dial
	if dial == nil {
		dial = func(ctx context.Context, name string) (net.Conn, error) {
			conn, err := (&net.Dialer{}).DialContext(ctx, c.addr.network, name)
			if err != nil && reset(err) { // as soon as it was made
				err = noRoom()
			}
			return conn, err
		}
	}
	options := []grpc.DialOption{
		// The name goes to the dialer as it is: a resolver of gRPC's, or a proxy out of the environment, would decide
		// over it behind the caller's back.
		grpc.WithContextDialer(dial),
		grpc.WithNoProxy(),
		grpc.WithAuthority(c.addr.authority()),
		grpc.WithDisableServiceConfig(),
		grpc.WithDisableRetry(),
		grpc.WithStaticStreamWindowSize(streamWindow),
		grpc.WithStaticConnWindowSize(connWindow),
		grpc.WithIdleTimeout(idleConnTimeout),
		experimental.WithBufferPool(buffers),
		grpc.WithDefaultCallOptions(
			grpc.MaxCallSendMsgSize(maxRequestBytes),
			grpc.MaxCallRecvMsgSize(maxResponseBytes),
		),
		// A dead way to the service shows within half a minute; the service refuses pings more often than every 10 s.
		grpc.WithKeepaliveParams(keepalive.ClientParameters{Time: 20 * time.Second, Timeout: 10 * time.Second}),
		grpc.WithConnectParams(grpc.ConnectParams{
			Backoff:           backoff.Config{BaseDelay: 100 * time.Millisecond, Multiplier: 1.6, Jitter: 0.2, MaxDelay: 3 * time.Second},
			MinConnectTimeout: 10 * time.Second,
		}),
	}
	return grpc.NewClient("passthrough:///"+c.addr.name, slices.Concat(options, c.credentials, c.config.grpc)...)
}

package client

import (
	"context"
	"net"
	"slices"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"
)

// Option changes what Dial makes.
type Option func(*config)

// config is what the options write.
type config struct {
	dial       func(ctx context.Context, addr string) (net.Conn, error) // nil: a net.Dialer
	maxStreams int                                                      // 0: what the service says
	oneConn    bool                                                     // streams share the connection for unary calls
	grpc       []grpc.DialOption
	access     access
}

// WithContextDialer makes the connections to the service by dial instead of by package net: for in-memory listeners, for
// proxies. addr is the path of a Unix socket, or host:port. dial is called again for every further HTTP/2 connection.
func WithContextDialer(dial func(ctx context.Context, addr string) (net.Conn, error)) Option {
	return func(c *config) { c.dial = dial }
}

// WithMaxStreamsPerConn puts at most n streams on one HTTP/2 connection, instead of as many as the service says it
// takes; the service is not asked then. n < 1 changes nothing.
func WithMaxStreamsPerConn(n int) Option {
	return func(c *config) { c.maxStreams = max(n, 0) }
}

// WithSharedConnection puts the first streams on the HTTP/2 connection for unary calls, half as many as it takes, and only
// further ones on others: a program with few Conns then needs one connection, of which a service allows each caller so
// many. A call waits for its turn behind what these streams send.
func WithSharedConnection() Option {
	return func(c *config) { c.oneConn = true }
}

// WithPerRPCCredentials sends credentials with every call. For a bearer token there are WithToken and WithTokenFile.
func WithPerRPCCredentials(creds credentials.PerRPCCredentials) Option {
	return WithGRPC(grpc.WithPerRPCCredentials(creds))
}

// WithGRPC adds options of gRPC behind this package's own, which they override: a stats handler, interceptors,
// transport credentials other than those of WithTLS. Given several times, they add up.
func WithGRPC(options ...grpc.DialOption) Option {
	return func(c *config) { c.grpc = slices.Concat(c.grpc, options) }
}

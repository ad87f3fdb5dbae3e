package client_test

import (
	"context"
	"crypto/tls"

	"net"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/peer"

	"securesocket/client"
	pb "securesocket/gen/securesocket/v1"
	"securesocket/tlsengine/tlstest"
)

// guarded is a service that knows who calls.
type guarded struct {
	port string

	mu    sync.Mutex
	calls []shown
}

// shown is what one call has shown.
type shown struct {
	method        string
	authorization []string
	certificate   string // the common name
}

// startGuarded serves a fake at a loopback port until the test ends. config nil: without TLS.
func startGuarded(t *testing.T, config *tls.Config) *guarded {
	t.Helper()
	g := &guarded{}
	options := []grpc.ServerOption{
		grpc.UnaryInterceptor(func(ctx context.Context, request any, info *grpc.UnaryServerInfo, handle grpc.UnaryHandler) (any, error) {
			g.note(ctx, info.FullMethod)
			return handle(ctx, request)
		}),
		grpc.StreamInterceptor(func(service any, stream grpc.ServerStream, info *grpc.StreamServerInfo, handle grpc.StreamHandler) error {
			g.note(stream.Context(), info.FullMethod)
			return handle(service, stream)
		}),
	}
	if config != nil {
		options = append(options, grpc.Creds(credentials.NewTLS(config)))
	}
	f := &fake{script: echoes, maxStreams: 100, server: grpc.NewServer(options...)}
	pb.RegisterSecureSocketServiceServer(f.server, f)
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	_, g.port, err = net.SplitHostPort(listener.Addr().String())
	require.NoError(t, err)
	var serving sync.WaitGroup
	serving.Go(func() { _ = f.server.Serve(listener) })
	t.Cleanup(func() {
		f.server.Stop()
		serving.Wait()
	})
	return g
}

func (g *guarded) note(ctx context.Context, method string) {
	c := shown{method: method, authorization: metadata.ValueFromIncomingContext(ctx, "authorization")}
	if from, ok := peer.FromContext(ctx); ok {
		if info, ok := from.AuthInfo.(credentials.TLSInfo); ok && len(info.State.PeerCertificates) > 0 {
			c.certificate = info.State.PeerCertificates[0].Subject.CommonName
		}
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	g.calls = append(g.calls, c)
}

// taken are the calls since it was asked last.
func (g *guarded) taken() []shown {
	g.mu.Lock()
	defer g.mu.Unlock()
	calls := g.calls
	g.calls = nil
	return calls
}

// guardedTLS is a service's TLS with a certificate by ca; clients, where not nil, signs those of its callers.
func guardedTLS(ca, clients *tlstest.CA, options ...tlstest.Option) *tls.Config {
	config := &tls.Config{Certificates: []tls.Certificate{ca.Leaf(options...).Certificate()}}
	if clients != nil {
		config.ClientAuth, config.ClientCAs = tls.RequireAndVerifyClientCert, clients.Pool()
	}
	return config
}

// askService makes a unary call and a stream with a client of its own, and returns the error that both have.
func askService(t *testing.T, address string, options ...client.Option) error {
	t.Helper()
	c, err := client.Dial(address, options...)
	if err != nil {
		return err
	}
	defer c.Close()
	_, err = c.Capabilities(t.Context())
	conn, dialErr := (&client.Dialer{Client: c, Dedicated: true}).Dial(t.Context(), "tcp", "example.com:443")
	if err == nil {
		require.NoError(t, dialErr)
		require.NoError(t, conn.Close())
		return nil
	}
	of, ofDial := client.FromError(err), client.FromError(dialErr)
	require.Equal(t, of.Code, ofDial.Code)
	require.Equal(t, of.Reason, ofDial.Reason)
	require.Equal(t, of.Metadata, ofDial.Metadata)
	return err
}

// requireWay is what this side found on the way to the service.
func requireWay(t *testing.T, err error, way string) *client.Error {
	t.Helper()
	var e *client.Error
	require.ErrorAs(t, err, &e)
	require.Equal(t, way, e.Metadata["service"], "%v", err)
	other := &client.Error{Code: e.Code, Reason: e.Reason}
	require.NotEqual(t, other.Remedy(), e.Remedy(), "it has a remedy of its own")
	require.Equal(t, way == "no_room", e.Side() == "service")
	require.Equal(t, way == "no_room", e.Temporary())
	return e
}

package main

import (
	"context"
	"net"
	"sync"

	"google.golang.org/grpc"
	"google.golang.org/grpc/test/bufconn"

	"securesocket/client"
	"securesocket/server"
	"securesocket/server/egress"
	"securesocket/server/listening"
	"securesocket/session"
)

// embeddedConfig is the daemon's policy: without an allow list, every target but those that are special or private, and
// sockets at loopback addresses.
func embeddedConfig(egressAllow, listenAllow []string, legacyTLS bool) (session.Config, error) {
	targets, err := egress.New(egress.Config{Allow: egressAllow, HasAllowList: len(egressAllow) > 0})
	if err != nil {
		return session.Config{}, usagef("--egress-allow: %w", err)
	}
	sockets, err := listening.New(listening.Config{Allow: listenAllow})
	if err != nil {
		return session.Config{}, usagef("--listen-allow: %w", err)
	}
	return session.Config{Egress: server.FixedEgress(targets), Listening: server.Listening(sockets), LegacyTLS: legacyTLS}, nil
}

// pipeBytes is the size of the in-memory connection's buffers.
const pipeBytes = 256 << 10

// openEmbedded runs the whole service in this process and returns a client of it. The function ends both and waits for
// the service.
func openEmbedded(config session.Config) (*client.Client, func(), error) {
	service := server.New(server.Config{Registry: session.NewRegistry(config), Version: version,
		// How a stream ended decides how its connection does: a reset must not become the orderly end of a service that stops.
		Options: []grpc.ServerOption{grpc.WaitForHandlers(true)}})
	// gRPC needs a listener, and one that nobody else can reach: in memory.
	listener := bufconn.Listen(pipeBytes)
	var serving sync.WaitGroup
	serving.Go(func() { _ = service.Serve(listener) }) // ends with Close
	end := func() {
		service.Close()
		serving.Wait()
	}
	dial := func(ctx context.Context, _ string) (net.Conn, error) { return listener.DialContext(ctx) }
	// The address is only a name here.
	c, err := client.Dial("unix:///embedded", client.WithContextDialer(dial))
	if err != nil {
		end()
		return nil, nil, err
	}
	return c, func() {
		_ = c.Close()
		end()
	}, nil
}

package door_test

import (
	"context"
	"errors"
	"io"
	"net"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	testpb "google.golang.org/grpc/interop/grpc_testing"

	"securesocket/server/door"
)

// echo sends back what it is sent, or as many bytes as it is asked for, in
// messages of the size that it was sent.
type echo struct {
	testpb.UnimplementedTestServiceServer
}

func (echo) FullDuplexCall(s testpb.TestService_FullDuplexCallServer) error {
	if err := door.FromContext(s.Context()).Claim("anna"); err != nil {
		return err
	}
	for {
		req, err := s.Recv()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		for range max(len(req.GetResponseParameters()), 1) {
			if err := s.Send(&testpb.StreamingOutputCallResponse{Payload: req.GetPayload()}); err != nil {
				return err
			}
		}
	}
}

func (echo) EmptyCall(ctx context.Context, _ *testpb.Empty) (*testpb.Empty, error) {
	return &testpb.Empty{}, door.FromContext(ctx).Claim("anna")
}

// TestBusyCallersAreNoFlood does what costs most frames, with the smallest
// allowance that a Door may have: what is left over pays for it.
func TestBusyCallersAreNoFlood(t *testing.T) {
	t.Parallel()
	rounds := 5_000
	if testing.Short() {
		rounds = 500
	}
	// The smallest windows there are make most WINDOW_UPDATEs, and those that grow
	// most PINGs.
	small := []grpc.DialOption{grpc.WithStaticStreamWindowSize(64 << 10), grpc.WithStaticConnWindowSize(64 << 10)}
	run := func(t *testing.T, cfg door.Config, windows []grpc.DialOption, work func(t *testing.T, c testpb.TestServiceClient)) {
		t.Helper()
		t.Parallel()
		d := door.New(cfg)
		l := listen(t, "tcp")
		s := grpc.NewServer(grpc.Creds(d.Credentials(insecure.NewCredentials())), grpc.MaxConcurrentStreams(2048),
			grpc.StaticStreamWindowSize(256<<10), grpc.StaticConnWindowSize(4<<20))
		testpb.RegisterTestServiceServer(s, echo{})
		done := make(chan error, 1)
		go func() { done <- s.Serve(d.Listener(l)) }()
		t.Cleanup(func() {
			s.Stop()
			<-done
		})
		cc, err := grpc.NewClient("passthrough:///"+l.Addr().String(), append(windows, grpc.WithTransportCredentials(insecure.NewCredentials()),
			grpc.WithContextDialer(func(ctx context.Context, addr string) (net.Conn, error) {
				return new(net.Dialer).DialContext(ctx, "tcp", addr)
			}))...)
		require.NoError(t, err)
		t.Cleanup(func() { _ = cc.Close() })
		work(t, testpb.NewTestServiceClient(cc))
		eventually(t, func() bool { return d.Stats().Unfinished == 0 })
		s1 := d.Stats()
		require.Zero(t, s1.Flooded+s1.Hoarded)
		require.Equal(t, uint64(1), s1.Accepted)
	}
	tight := door.Config{FrameBurst: 100, FramesPerSecond: 1}

	for name, windows := range map[string][]grpc.DialOption{"small windows": small, "windows that grow": nil} {
		t.Run("short messages, "+name, func(t *testing.T) {
			run(t, tight, windows, func(t *testing.T, c testpb.TestServiceClient) {
				t.Helper()
				s, err := c.FullDuplexCall(t.Context())
				require.NoError(t, err)
				for range rounds {
					require.NoError(t, s.Send(&testpb.StreamingOutputCallRequest{Payload: &testpb.Payload{Body: []byte("twelve bytes")}}))
					_, err := s.Recv()
					require.NoError(t, err)
				}
			})
		})
		t.Run("downloads, "+name, func(t *testing.T) {
			run(t, tight, windows, func(t *testing.T, c testpb.TestServiceClient) {
				t.Helper()
				s, err := c.FullDuplexCall(t.Context())
				require.NoError(t, err)
				for range rounds / 50 {
					require.NoError(t, s.Send(&testpb.StreamingOutputCallRequest{
						Payload: &testpb.Payload{Body: make([]byte, 100_000)}, ResponseParameters: make([]*testpb.ResponseParameters, 5),
					}))
					for range 5 {
						_, err := s.Recv()
						require.NoError(t, err)
					}
				}
			})
		})
		t.Run("calls, "+name, func(t *testing.T) {
			run(t, tight, windows, func(t *testing.T, c testpb.TestServiceClient) {
				t.Helper()
				for range rounds / 2 {
					_, err := c.EmptyCall(t.Context(), &testpb.Empty{})
					require.NoError(t, err)
				}
			})
		})
	}
	t.Run("uploads that are cut off", func(t *testing.T) {
		run(t, door.Config{Unfinished: 64 << 20}, small, func(t *testing.T, c testpb.TestServiceClient) {
			t.Helper()
			_, err := c.EmptyCall(t.Context(), &testpb.Empty{})
			require.NoError(t, err)
			var all sync.WaitGroup
			for i := range 20 {
				all.Go(func() {
					for j := range rounds / 100 {
						ctx, cancel := context.WithCancel(t.Context())
						s, err := c.FullDuplexCall(ctx)
						if assert.NoError(t, err) {
							go func() {
								<-time.After(time.Duration(i*j%7) * time.Millisecond)
								cancel()
							}()
							for s.Send(&testpb.StreamingOutputCallRequest{Payload: &testpb.Payload{Body: make([]byte, 1_000_000)}}) == nil {
								continue
							}
							_, err = s.Recv()
							assert.Error(t, err)
						}
						cancel()
					}
				})
			}
			all.Wait()
		})
	})
	t.Run("2,000 streams cancelled at once, twice", func(t *testing.T) {
		run(t, door.Config{}, nil, func(t *testing.T, c testpb.TestServiceClient) {
			t.Helper()
			_, err := c.EmptyCall(t.Context(), &testpb.Empty{}) // a stranger may not do as much
			require.NoError(t, err)
			for range 2 {
				ctx, cancel := context.WithCancel(t.Context())
				var all sync.WaitGroup
				for range 2000 {
					s, err := c.FullDuplexCall(ctx)
					require.NoError(t, err)
					all.Go(func() { _, _ = s.Recv() })
				}
				cancel()
				all.Wait()
			}
			s, err := c.FullDuplexCall(t.Context())
			require.NoError(t, err)
			require.NoError(t, s.Send(&testpb.StreamingOutputCallRequest{Payload: &testpb.Payload{Body: []byte("x")}}))
			_, err = s.Recv()
			require.NoError(t, err)
		})
	})
}

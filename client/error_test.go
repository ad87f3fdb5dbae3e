package client_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"strings"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"
	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"securesocket/client"
	pb "securesocket/gen/securesocket/v1"
)

// TestEveryReason: each has a side and a remedy of its own, in one line.
func TestEveryReason(t *testing.T) {
	t.Parallel()
	unknown := &client.Error{Reason: pb.ErrorReason(100_000)}
	for number, name := range pb.ErrorReason_name {
		e := &client.Error{Reason: pb.ErrorReason(number)}
		require.Contains(t, []string{"caller", "operator", "network", "peer", "service"}, e.Side(), name)
		require.NotEmpty(t, e.Remedy(), name)
		require.NotContains(t, e.Remedy(), "\n", name)
		if number != 0 {
			require.NotEqual(t, unknown.Remedy(), e.Remedy(), "%s has no row", name)
		}
		require.NotEmpty(t, strings.TrimPrefix(e.Error(), "securesocket: "), name)
	}
	require.Equal(t, "service", unknown.Side())
}

// TestEveryReasonFromStatus: each comes out of a unary call's status as itself.
func TestEveryReasonFromStatus(t *testing.T) {
	t.Parallel()
	for number, name := range pb.ErrorReason_name {
		st, err := status.New(codes.FailedPrecondition, "text").WithDetails(
			&errdetails.ErrorInfo{Domain: "elsewhere.example", Reason: "INTERNAL"},
			&errdetails.BadRequest{},
			&errdetails.ErrorInfo{
				Domain: "securesocket.v1", Reason: strings.TrimPrefix(name, "ERROR_REASON_"),
				Metadata: map[string]string{"phase": "handshake", "port": "443"},
			},
		)
		require.NoError(t, err)
		e := client.FromError(fmt.Errorf("wrapped: %w", st.Err()))
		require.Equal(t, pb.ErrorReason(number), e.Reason)
		require.Equal(t, codes.FailedPrecondition, e.Code)
		require.Equal(t, "443", e.Metadata["port"])
		require.Equal(t, pb.Phase_PHASE_HANDSHAKE, e.Phase)
	}
}

func TestFromError(t *testing.T) {
	t.Parallel()
	require.Nil(t, client.FromError(nil))
	own := &client.Error{Code: codes.Aborted}
	require.Same(t, own, client.FromError(fmt.Errorf("wrapped: %w", own)))
	require.Equal(t, codes.Unknown, client.FromError(io.EOF).Code)
	require.ErrorIs(t, client.FromError(io.EOF), io.EOF)
	require.Equal(t, codes.DeadlineExceeded, client.FromError(context.DeadlineExceeded).Code)
	require.ErrorIs(t, client.FromError(status.Error(codes.Canceled, "")), net.ErrClosed)
	require.Equal(t, codes.Unavailable, status.Code(client.FromError(status.Error(codes.Unavailable, "gone"))))
}

func TestErrorsAsPackageNetHasThem(t *testing.T) {
	t.Parallel()
	targets := []error{
		net.ErrClosed, os.ErrDeadlineExceeded, io.ErrUnexpectedEOF, syscall.ECONNREFUSED, syscall.ECONNRESET, io.EOF, context.Canceled,
		syscall.EADDRINUSE, syscall.EADDRNOTAVAIL,
	}
	means := map[pb.ErrorReason]error{
		pb.ErrorReason_ERROR_REASON_CANCELLED:           net.ErrClosed,
		pb.ErrorReason_ERROR_REASON_CONNECT_TIMEOUT:     os.ErrDeadlineExceeded,
		pb.ErrorReason_ERROR_REASON_HANDSHAKE_TIMEOUT:   os.ErrDeadlineExceeded,
		pb.ErrorReason_ERROR_REASON_NETWORK_TIMEOUT:     os.ErrDeadlineExceeded,
		pb.ErrorReason_ERROR_REASON_DECISION_TIMEOUT:    os.ErrDeadlineExceeded,
		pb.ErrorReason_ERROR_REASON_PEER_TRUNCATED:      io.ErrUnexpectedEOF,
		pb.ErrorReason_ERROR_REASON_CONNECTION_REFUSED:  syscall.ECONNREFUSED,
		pb.ErrorReason_ERROR_REASON_PEER_RESET:          syscall.ECONNRESET,
		pb.ErrorReason_ERROR_REASON_ADDRESS_IN_USE:      syscall.EADDRINUSE,
		pb.ErrorReason_ERROR_REASON_ADDRESS_UNAVAILABLE: syscall.EADDRNOTAVAIL,
	}
	for number := range pb.ErrorReason_name {
		var e net.Error = &client.Error{Reason: pb.ErrorReason(number)}
		for _, target := range targets {
			means := means[pb.ErrorReason(number)]
			require.Equal(t, means != nil && errors.Is(means, target), errors.Is(e, target), "%v is %v", e, target)
		}
		require.Equal(t, errors.Is(e, os.ErrDeadlineExceeded), e.Timeout())
	}
}

// TestErrorIsOneLine: a peer that chose the text cannot begin a new line in a log.
func TestErrorIsOneLine(t *testing.T) {
	t.Parallel()
	e := &client.Error{Phase: pb.Phase_PHASE_CERTIFICATE, Message: "name \"a\nb\x1b[31m\u2028\""}
	require.Equal(t, "securesocket: certificate: name \"a b [31m \"", e.Error())
}

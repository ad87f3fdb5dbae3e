package main

import (
	"cmp"
	"errors"
	"io/fs"
	"os"
	"strings"
	"syscall"

	"google.golang.org/grpc/codes"

	"securesocket/client"
	pb "securesocket/gen/securesocket/v1"
)

// unreachable reports whether the service was never there, as opposed to lost on the way, or not what it should be.
func unreachable(e *client.Error) bool {
	return e.Metadata["service"] == "" && e.Code == codes.Unavailable && e.Reason == pb.ErrorReason_ERROR_REASON_UNSPECIFIED && e.Phase == pb.Phase_PHASE_UNSPECIFIED
}

// dialProblem takes what the system said out of gRPC's message about a connection that could not be made.
func dialProblem(message string) string {
	if _, cause, ok := strings.Cut(message, "Error while dialing: "); ok {
		return strings.TrimSuffix(cause, `"`)
	}
	return message
}

// addressFrom is what names the service's address: the flag or the variable; "" by default.
func (f *serviceFlags) addressFrom() string {
	switch {
	case f.server != "":
		return "--server"
	case os.Getenv(addressVariable) != "":
		return "$" + addressVariable
	}
	return ""
}

// reach is what lets a service be reached that was not there, by what the system said about it: gRPC keeps no more of that
// than its text.
func (f *serviceFlags) reach(message string) string {
	from := cmp.Or(f.addressFrom(), "--server")
	says := func(no syscall.Errno) bool { return strings.Contains(message, no.Error()) }
	if path, ok := strings.CutPrefix(f.address(), "unix://"); ok {
		info, err := os.Stat(path)
		switch {
		case errors.Is(err, fs.ErrPermission), says(syscall.EACCES):
			return "become the user who runs the service, as nobody else may use its socket, or have its operator listen at grpcs:// for others too"
		case err == nil && info.Mode()&fs.ModeSocket == 0:
			return "name the service's socket with " + from + ": this is another file"
		}
	}
	switch {
	case strings.Contains(message, "no such host"):
		return "check the name in " + from + ", and that this machine can resolve it"
	case says(syscall.ENETUNREACH), says(syscall.EHOSTUNREACH), says(syscall.ETIMEDOUT), strings.Contains(message, "i/o timeout"):
		return "check the address in " + from + ", and the network and the firewalls between here and there"
	case says(syscall.ECONNRESET), says(syscall.EPIPE), strings.Contains(message, "EOF"):
		return "try again in 10 s, as a service that has no room or keeps this caller out ends connections so; otherwise check that the address in " + from + " is a service's"
	}
	return "start it (go run ./cmd/securesocketd), name another with --server, or use --embedded"
}

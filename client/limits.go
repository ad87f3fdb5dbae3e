package client

import (
	"strings"
	"time"

	pb "securesocket/gen/securesocket/v1"
)

// limitAdvices has what can be done about each limit, by Metadata["what"]; all of certificates are one. A limit that is
// newer than this package has the row of LIMIT itself.
var limitAdvices = map[string]advice{
	"sessions": {sideOperator, true,
		laterWord + ": callers together have as many sessions as limits.sessions allows"},
	"sessions of a caller": {sideCaller, false,
		"delete sessions that are no longer needed, or have the operator raise limits.sessions_per_caller"},
	"listeners": {sideOperator, true,
		laterWord + ": callers together have as many listeners as limits.listeners allows"},
	"listeners of a caller": {sideCaller, false,
		"close listeners that are no longer needed, or have the operator raise limits.listeners_per_caller"},
	"handshakes under way": {sideOperator, true,
		laterWord + ": callers together connect as often at once as limits.handshakes allows"},
	"handshakes under way of a caller": {sideCaller, true,
		laterWord + ", and connect fewer at once, or have the operator raise limits.handshakes_per_caller"},
	"attaches in short order": {sideOperator, true,
		laterWord + ": callers together attach too often"},
	"attaches in short order of a caller": {sideCaller, true,
		laterWord + ", and attach less often, or have the operator raise limits.attaches_per_caller"},
	"attaches of a session in short order": {sideCaller, true,
		laterWord + ": look for what breaks the session's streams, or for a second program that takes it"},
	"failed attaches of a session in short order": {sideCaller, true,
		laterWord + ", with the session's own resume_token and offsets"},
	"new destinations in short order": {sideOperator, true,
		laterWord + ": callers together turn to too many new targets"},
	"new destinations in short order of a caller": {sideCaller, true,
		laterWord + ", and turn to new targets more slowly, or have the operator raise limits.destinations_per_caller"},
	"buffered bytes": {sideOperator, true,
		laterWord + ": callers together hold as much as limits.buffered allows"},
	"buffered bytes of a caller": {sideCaller, true,
		laterWord + ": read what your sessions hold, and ack their events, or have the operator raise limits.buffered_per_caller"},
	"buffered bytes for given certificates": {sideOperator, true,
		laterWord + ": what callers together have given, and hold, is as much as limits.buffered allows"},
	"buffered bytes for given certificates of a caller": {sideCaller, false,
		"delete or replace certificates and keys that other sessions, listeners and defaults were given, or have the operator raise limits.buffered_per_caller"},
	"certificates": {sideCaller, false,
		"give fewer or smaller certificates; the number is fixed"},
	"misuse": {sideCaller, true,
		laterWord + "; connections that are up go on. Mend the program that floods, or whose messages do not end: a further flood begins the time anew"},
	"rpcs": {sideOperator, true,
		laterWord + ": callers together have as many RPCs at once as the service takes, a number that follows from limits.sessions"},
	"rpcs_per_caller": {sideCaller, true,
		"end calls and streams that are no longer needed, or have the operator raise limits.sessions_per_caller, from which the number follows"},
	"visits": {sideCaller, true,
		"wait for calls of health or reflection to end, or end them; the number is fixed"},
	"connections_per_caller": {sideCaller, true,
		"close HTTP/2 connections, or use one for more sessions, or have the operator raise limits.connections_per_caller"},
	"connections": {sideOperator, true,
		laterWord + ": callers together have as many HTTP/2 connections as limits.connections allows"},
	"unfinished_per_caller": {sideCaller, true,
		"send large messages once a first call is answered, or have the operator raise limits.unfinished_per_caller"},
}

// limitAdvice is the row for a refusal by a limit.
func (e *Error) limitAdvice() (advice, bool) {
	if e.Reason != pb.ErrorReason_ERROR_REASON_LIMIT {
		return advice{}, false
	}
	what := e.Metadata["what"]
	if strings.HasPrefix(what, "certificates ") || strings.HasPrefix(what, "bytes of the certificates ") {
		what = "certificates"
	}
	row, ok := limitAdvices[what]
	return row, ok
}

// laterWord stands in a remedy for what RetryAfter may say better.
const laterWord = "try again later"

// inWords puts the time into a remedy, in tenths of a second and never less than it is.
func inWords(remedy string, after time.Duration) string {
	if after <= 0 {
		return remedy
	}
	const tenth = time.Second / 10
	return strings.Replace(remedy, laterWord, "try again in "+((after+tenth-1)/tenth*tenth).String(), 1)
}

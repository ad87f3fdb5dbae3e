// Package server translates between the RPCs of securesocket.v1 and sessions:
// who the caller is, whether a request is one that the service understands, and
// what an error means on the wire. It has no rule of its own about sockets.
//
// [Server] serves the API with health checking and reflection on any number of
// listeners, and drains. Package egress is the policy about targets.
//
// # Concurrency
//
// Every exported method may be called from any goroutine. A stream has three
// goroutines: its handler, which waits for the end, one that receives and one
// that sends. Before, one waits for the first frame. They end when the handler
// has returned, as the stream's context does.
//
// # Errors
//
// Every refusal carries one google.rpc.ErrorInfo; see describe for the table.
package server

// Package cutproxy forwards connections to a service and cuts them: after an
// exact number of bytes, or all at once; with FIN, with RST, or by falling
// silent, where neither side is told.
//
// It knows nothing of what it forwards. Bytes before a cut are handed on, in
// that direction, and none after it. A connection that fell silent holds its
// bytes back, as a network does that loses them for a while; [Proxy.Heal] lets
// them through.
//
// A Proxy may be used from any goroutine. It reports no errors: a connection
// that cannot be forwarded is closed.
//
// For tests only.
package cutproxy

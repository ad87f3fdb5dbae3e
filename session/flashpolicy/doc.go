// Package flashpolicy asks a server for its Flash socket policy file before a connect, as Flash Player 9.0.124 and later
// do, and lets the connect go on only if such a file grants it. It is off unless the operator turns it on: AIR's
// application sandbox, which the service stands in for, asks nobody.
//
// The request is "<policy-file-request/>" and a NUL, the answer a cross-domain-policy in XML and a NUL. The file on port
// 843 is the master file, and comes first: its meta-policy says whether the files of other ports count. Then come the port
// of the connect itself, and the ports that the operator names.
//
// # What a file can do
//
// Refuse. Whoever sits on the wire may have written a file that comes in clear, so a grant proves nothing, and what the
// egress policy refuses is never dialled. A file can only narrow what is allowed otherwise, which is why whatever is
// unclear about one is a refusal.
//
// The parser takes UTF-8 and the elements of the schema for socket policy files. A DOCTYPE is read over, as all files in
// the field have one; nothing is fetched for it, it declares nothing, and no entity is known but XML's own five.
//
// # Not here
//
// Dialling, TLS and names: the caller brings functions that dial the addresses that were judged. Files over HTTP, which
// stopped counting for sockets with Flash Player 10. A cache: every Check asks anew.
//
// # Concurrency
//
// A [Checker] is immutable and may be used by anybody at once. No goroutine outlives a Check.
//
// # Errors
//
// [DeniedError] for what the files say, or for their not being there; the cause of the context; [ConfigError] from [New].
package flashpolicy

// Package callers says who calls the service, and who may.
//
// A caller is a principal: one string, canonical, at most 256 bytes, printable,
// without a "*". What comes before its first colon is its kind, and the kind is
// written by this package alone, from where the name was found, so that no name
// of one kind can pass for one of another:
//
//	uid:1000             the process behind a Unix socket (SO_PEERCRED)
//	spiffe://prod/web    a client certificate's SPIFFE ID
//	dns:web.example.com  its first DNS name, where it has no SPIFFE ID
//	email:a@example.com  its first e-mail address, where it has neither
//	x509:CN=web,O=Acme   its subject (RFC 2253), where it has none of them
//	jwt:alice            the subject of a JSON Web Token
//	token:deploy         a static token, by its name in the operator's file
//	anonymous            anybody, over a listener that the operator made insecure
//
// A certificate has one name only, the first of that order that it has; one that
// cannot be a principal makes the certificate useless and is not passed over for
// the next. A certificate with a SPIFFE ID has exactly one URI (X509-SVID
// section 2): a second one is refused, since choosing would be guessing.
//
// # Which credentials count
//
// What an RPC carries itself ("authorization: Bearer ...") wins over who is at
// the other end of the connection, and has to be good: a token that is not
// accepted is never passed over for the connection's own name, not even on a Unix
// socket. More than one header is refused, and so is a token over a connection
// that is not encrypted, unless the service is [Config.Insecure]. Two dots make
// a token a JSON Web Token; without them it is a static one.
//
// A client certificate has to be good at every RPC, whatever else comes with it: a
// connection does not outlive its certificate, nor the removal of the authority that
// signed it. A verified token is believed until it ends, for five minutes at most,
// while the keys are the same.
//
// # Files
//
// Certificates, keys, authorities, revocation lists, key sets and tokens are read
// from files and read again when these change: looked for once a second at most,
// when somebody calls, and at once by [Callers.Reload]. What cannot be used is
// logged once, and what was in force stays in force, whole: a file that was
// deleted revokes nothing, one that was emptied does.
//
// # What it does not do
//
// It turns nothing into a gRPC status, counts nobody, and knows no session. It
// authenticates no server: what the service connects to is none of its business,
// but for the issuer of tokens, who is reached directly, past the egress policy,
// because the operator chose it.
//
// # Concurrency
//
// Everything may be called at once. The package starts no goroutine but the one in
// which go-oidc fetches an issuer's keys, and a timer's for the log;
// [Callers.Close] ends both.
//
// # Errors
//
// Of a caller: [ErrNoCredentials], [TokenError], [CertificateError]. Of the issuer:
// [IssuerError]. Of the operator: [ConfigError], [PatternError], [FileError]. None
// holds a token, a key, or text that a caller chose.
package callers

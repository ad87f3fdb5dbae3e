// Command securesocket is the command line over package client: it pipes through a secure socket session, says what
// the service thinks of a peer's certificate, and shows what the service has and can do.
//
//	securesocket demo                                   the main job, with no service and no network
//	securesocket connect HOST:PORT [-v]                 stdin and stdout through a session
//	securesocket listen ADDRESS --cert FILE --key FILE  the other way round: sessions with whoever connects
//	securesocket status HOST:PORT [-o text|json]        the verdict about the peer, and what was negotiated
//	securesocket diagnose HOST:PORT [--svg FILE]        all that is wrong with a peer, who can mend it, where the time goes
//	securesocket validate CHAIN --name NAME             the same about a chain in a file, without a connection
//	securesocket trust list|add|set|reset               whom this user's sessions trust
//	securesocket sessions [-o text|json]                this user's sessions; --all-callers: everybody's
//	securesocket sessions close ID...                   end some of them
//	securesocket policy explain HOST:PORT               where the service would let one connect to, rule by rule
//	securesocket capabilities [-o text|json]            what the service can do
//	securesocket bench [HOST:PORT]                      how fast a running service is; --peers compares it with others
//
// The service is at --server, else at $SECURESOCKET_ADDR, else at the daemon's default socket. With --embedded it runs
// inside this process and ends with it.
//
// At a service of grpcs://, --cacert says whom to believe who the service is, and --cert and --key, or --token-file, say to
// it who calls; so do $SECURESOCKET_CACERT, $SECURESOCKET_CERT, $SECURESOCKET_KEY and $SECURESOCKET_TOKEN_FILE, over which
// the flags go. In listen, --cert and --key are what is shown to whoever connects, and those for the service are --api-cert
// and --api-key. At a Unix socket the service sees the user; the variables about TLS are not used, a token is sent.
//
// # Exit codes
//
//	0    done; connect: the peer ended with close_notify, with --plain by FIN
//	1    something else: a defect of the service, a file or a pipe that cannot be read or written, a failed demo
//	2    usage: flags, files, HOST:PORT, and what the service says about them (INVALID_*, HOST_SYNTAX, UNSUPPORTED_*)
//	3    refused by the service's operator: EGRESS_DENIED, LISTEN_DENIED, NOT_ALLOWED, UNAUTHENTICATED, LIMIT
//	4    network: the service, the proxy or the peer cannot be reached, the service was started again, DNS, timeouts, resets, an address that is in use
//	5    the TLS handshake failed, or the peer did not let it begin (START_TLS_REFUSED)
//	6    the peer's certificate is refused, by the service or by whoever was asked
//	7    truncated: the peer's end came without close_notify; what was written to stdout may be incomplete
//	8    policy explain: the target is denied
//	130  SIGINT or SIGTERM; connect and listen reset their connections then. A second signal ends the process at once
//
// A reader of stdout that goes away ends the command quietly, with the code it has by then.
//
// # What it does not do
//
// It validates nothing itself: verdicts are the service's. It reads no files but those that it is told to, and sends of
// them what they are named for: certificates, revocation lists, an OCSP response, and the keys of --client-key and --key
// alone. A passphrase comes from a file, never from the command line.
//
// # Packages
//
// internal/picture draws a diagnosis, as text and as SVG; internal/wording has the contract's values in words;
// internal/terminal makes output that is safe to look at.
//
// # Concurrency
//
// connect, and listen without --exec and --to, has two goroutines: one from stdin to the peer, one from the peer to
// stdout. A read of stdin and a write to stdout cannot be interrupted, so one that is stuck ends with the process.
// --on-problem asks on a goroutine of package client's, before the two begin.
//
// listen with --exec or --to has one for each session, and two or three more that move its bytes. It waits for all of
// them, and for the commands that it runs, before it ends.
//
// # Errors
//
// At most three lines on stderr: what failed and its reason, the side that can mend it, and how. Texts that a peer may
// have chosen are escaped before they are printed, on stdout as on stderr.
package main

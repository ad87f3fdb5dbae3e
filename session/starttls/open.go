package starttls

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"net"
	"slices"
	"time"
)

// protocols has the functions that take a dialogue to where the peer expects the handshake. What they return is nil only
// when the peer has agreed, in full; the last reply is the last thing they read.
var protocols = map[string]func(*dialogue) error{
	"ftp":      ftp,
	"imap":     imap,
	"ldap":     ldap,
	"lmtp":     lmtp,
	"mysql":    mysql,
	"nntp":     nntp,
	"pop3":     pop3,
	"postgres": postgres,
	"sieve":    sieve,
	"smtp":     smtp,
	"xmpp":     xmpp,
}

// Protocols returns the names of the protocols that Open speaks, sorted.
func Protocols() []string { return slices.Sorted(maps.Keys(protocols)) }

// Known reports whether Open speaks the protocol. Names are in lower case.
func Known(protocol string) bool { return protocols[protocol] != nil }

// Open speaks protocol on conn until the peer agrees to TLS. After it the next byte of conn in either direction belongs to
// the handshake. Host is the name that the peer is asked for where the protocol has a place for one, XMPP's "to"; it may be
// the text of an address.
//
// The greeting is what the peer said first, as it came, 8 KiB of it at most: the reply of SMTP, LMTP, FTP and NNTP, the line
// of IMAP and POP3, the capabilities of ManageSieve with their OK, the stream header and features of XMPP, the packet of
// MySQL with its header; nil for LDAP and PostgreSQL, where the client speaks first. It came in clear and proves nothing. It
// is the caller's.
//
// MySQL goes on where it was: under TLS the caller's first packet has the sequence number 2, and the capabilities that were
// asked for here, CLIENT_PROTOCOL_41, CLIENT_SSL and CLIENT_SECURE_CONNECTION.
//
// Open reads 64 KiB at most, 4 KiB of it in one line or message. It ends when ctx does, and its error then wraps ctx's
// cause. It sets conn's deadlines and leaves them cleared; it never closes conn, which is of no use after an error. The
// other errors are RefusedError, ReplyError, InjectionError, io.ErrUnexpectedEOF where the peer ended the connection,
// ErrUnknownProtocol, and those of conn as they come. With an error there is no greeting.
func Open(ctx context.Context, conn net.Conn, protocol, host string) (greeting []byte, err error) {
	speak := protocols[protocol]
	if speak == nil {
		return nil, fmt.Errorf("%w: %q", ErrUnknownProtocol, printable(protocol))
	}
	if ctx.Err() != nil {
		return nil, ended(ctx, protocol)
	}
	_ = conn.SetDeadline(time.Time{}) // an older one would be an error that nobody could explain; a closed conn says so when read
	unblocked := make(chan struct{})
	stop := context.AfterFunc(ctx, func() {
		defer close(unblocked)
		_ = conn.SetDeadline(time.Unix(1, 0))
	})
	d := &dialogue{reader: reader{source: conn}, conn: conn, host: host}
	err = speak(d)
	if err == nil {
		err = d.nothingPending()
	}
	if !stop() {
		<-unblocked
	}
	_ = conn.SetDeadline(time.Time{})

	switch e := err.(type) { //nolint:errorlint // as the functions of this package made them; others are wrapped or as they come
	case nil:
		return d.greeting, nil
	case *RefusedError:
		e.Protocol = protocol
	case *ReplyError:
		e.Protocol = protocol
	case *InjectionError:
		e.Protocol = protocol
	default:
		switch {
		case ctx.Err() != nil: // the deadline is ctx's, and a close may be
			err = ended(ctx, protocol)
		case errors.Is(err, io.ErrUnexpectedEOF):
			err = fmt.Errorf("starttls: %s: the peer ended the connection: %w", protocol, err)
		}
	}
	return nil, err
}

func ended(ctx context.Context, protocol string) error {
	return fmt.Errorf("starttls: %s: %w", protocol, context.Cause(ctx))
}

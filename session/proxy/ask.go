package proxy

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"time"
)

// Ask has the proxy at the other end of conn connect to target. When it returns
// nil, conn is that connection, and nothing of it has been read. IPv4-mapped
// addresses are asked for as IPv4; an address with a zone, which means something
// on this machine alone, is an error.
//
// ctx ends it through conn's deadlines, which are cleared when Ask returns. conn
// stays open on an error, and is then of no further use. Errors: see the package.
func Ask(ctx context.Context, conn net.Conn, cfg Config, target netip.AddrPort) error {
	if err := cfg.Validate(); err != nil {
		return err
	}
	target = netip.AddrPortFrom(target.Addr().Unmap(), target.Port())
	if !target.IsValid() || target.Port() == 0 || target.Addr().Zone() != "" {
		return fmt.Errorf("a proxy cannot be asked for %q", target)
	}
	if ctx.Err() != nil {
		return askError(ctx, cfg.Kind, ctx.Err())
	}

	moved := make(chan struct{}) // closed by the function below, which runs once at most
	stop := context.AfterFunc(ctx, func() {
		_ = conn.SetDeadline(time.Unix(1, 0)) // a closed connection needs none
		close(moved)
	})
	var err error
	if cfg.Kind == SOCKS5 {
		err = askSOCKS5(conn, cfg, target)
	} else {
		err = askHTTP(conn, cfg, target)
	}
	if !stop() {
		<-moved // or it would move the deadlines of what follows
	}
	cleared := conn.SetDeadline(time.Time{})
	if err == nil {
		err = cleared
	}
	return askError(ctx, cfg.Kind, err)
}

// askError leaves what the proxy said, and wraps the rest.
func askError(ctx context.Context, kind Kind, err error) error {
	if err == nil {
		return nil
	}
	if _, ok := errors.AsType[*RefusedError](err); ok {
		return err
	}
	if _, ok := errors.AsType[*ReplyError](err); ok {
		return err
	}
	switch {
	case ctx.Err() != nil:
		err = context.Cause(ctx)
	case errors.Is(err, io.EOF):
		err = io.ErrUnexpectedEOF
	}
	return fmt.Errorf("asking the %s proxy: %w", kind, err)
}

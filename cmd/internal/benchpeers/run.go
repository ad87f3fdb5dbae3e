package benchpeers

import (
	"context"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"time"
)

// Config is what a Run works with.
type Config struct {
	// Self is the command that plays a role: this program, and what makes it call RunRole. Required.
	Self []string
	// Ghostunnel is the path of its binary. "": it is left out.
	Ghostunnel string
	// Plan is what is measured. Required.
	Plan Plan
	// Progress is told in a line what is measured next. nil: nobody is.
	Progress io.Writer
	// Version is that of the service, for the report.
	Version string
}

// errLimit is the end of a plan's time.
var errLimit = errors.New("the plan's time is over")

// Run measures every way that is there, and returns what came of it. It ends within the plan's limit, but for what the
// end of a process takes. The error says why nothing could be measured, or that ctx ended it.
func Run(ctx context.Context, config Config) (*Report, error) {
	dir, err := os.MkdirTemp("", "bench") // short: a Unix socket is in it
	if err != nil {
		return nil, err
	}
	defer func() { _ = os.RemoveAll(dir) }()
	b := &bench{config: config, dir: dir, report: newReport(config)}
	limited, cancel := context.WithTimeoutCause(ctx, config.Plan.Limit, errLimit)
	defer cancel()
	if err := b.run(limited); err != nil && context.Cause(limited) == nil {
		return nil, err
	}
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	if limited.Err() != nil {
		b.note("what is missing was not measured: the %v of the plan were over", config.Plan.Limit)
	}
	b.report.Took = time.Since(b.report.Began)
	return b.report, nil
}

// bench is one run.
type bench struct {
	config             Config
	dir                string
	report             *Report
	peer, resumingPeer peer
	opensslConfig      string
	most               int // sessions that every way can hold
}

// peer is where a TLS peer is, and who vouches for it.
type peer struct {
	address, caFile string
	ca              []byte // DER
}

func (b *bench) note(format string, args ...any) {
	b.report.Notes = append(b.report.Notes, fmt.Sprintf(format, args...))
}

func (b *bench) progress(format string, args ...any) {
	if b.config.Progress != nil {
		_, _ = fmt.Fprintf(b.config.Progress, format+"\n", args...)
	}
}

func (b *bench) run(ctx context.Context) error {
	largest := 0
	for _, n := range b.config.Plan.Crowds {
		largest = max(largest, n)
	}
	b.most = mostSessions(raiseDescriptors(uint64(largest)*256/125 + 2*spareDescriptors)) //nolint:gosec // not negative
	end, err := b.startPeers(ctx)
	if err != nil {
		return err
	}
	defer end()
	if b.opensslConfig, err = b.writeConfig("openssl.cnf", opensslLines...); err != nil {
		return err
	}
	ways := b.ways(ctx)
	if err := b.rounds(ctx, ways); err != nil {
		return err
	}
	b.crowds(ctx, ways)
	return nil
}

// startPeers starts the peer that makes a full handshake each time, and the one that resumes.
func (b *bench) startPeers(ctx context.Context) (end func(), err error) {
	var started []*process
	end = func() {
		for _, p := range started {
			p.stop()
		}
	}
	for role, where := range map[string]*peer{rolePeer: &b.peer, roleResumingPeer: &b.resumingPeer} {
		where.caFile = filepath.Join(b.dir, role+".pem")
		p, address, err := b.startRole(ctx, role, role, where.caFile)
		if err != nil {
			end()
			return nil, err
		}
		started = append(started, p)
		where.address = address
		content, err := os.ReadFile(where.caFile)
		if err != nil {
			end()
			return nil, err
		}
		block, _ := pem.Decode(content)
		if block == nil {
			end()
			return nil, fmt.Errorf("%s has written no certificate", role)
		}
		where.ca = block.Bytes
	}
	return end, nil
}

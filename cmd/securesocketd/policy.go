package main

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"net/netip"
	"os"
	"slices"
	"strings"
	"sync/atomic"
	"syscall"
	"time"

	"securesocket/server/egress"
	"securesocket/session"
)

// rulebook keeps the egress policy up to date with its file: what cannot be used is said, and what was in force stays in
// force, whole.
type rulebook struct {
	settings settings
	own      ownAddresses
	log      *slog.Logger
	live     *egress.Live
	loaded   func(error)  // told of every load but the first
	file     *egress.File // of the policy in force; nil: there is none
	seen     os.FileInfo  // as it was read last; nil: it never was
	looked   os.FileInfo  // as it was when it was looked at last
	machine  string       // its addresses, as they were then
	at       atomic.Int64 // when the policy in force was loaded, in nanoseconds
}

// policyEvery is how often the file is looked at.
const policyEvery = time.Second

// newRulebook loads the policy. Its error is of usage.
func newRulebook(s settings, own ownAddresses, log *slog.Logger) (*rulebook, error) {
	b := &rulebook{settings: s, own: own, log: log, live: new(egress.Live), loaded: func(error) {}}
	if err := b.load(); err != nil {
		return nil, err
	}
	return b, nil
}

// load puts the file's policy in force.
func (b *rulebook) load() error {
	if machine, ok := machineAddresses(); ok {
		b.machine = machine
	}
	file, err := b.read()
	if err == nil {
		err = b.use(file)
	}
	if err == nil {
		b.at.Store(time.Now().UnixNano())
	}
	if errors.Is(err, syscall.EMFILE) || errors.Is(err, syscall.ENFILE) { // nothing is wrong with it: it is read again
		b.seen, b.machine = nil, ""
	}
	return err
}

// read reads the policy's file; nil: there is none.
func (b *rulebook) read() (*egress.File, error) {
	name := b.settings.Egress.Policy
	if name == "" {
		return nil, nil
	}
	b.seen, _ = os.Stat(name)
	text, err := readRegular(name)
	if err != nil {
		return nil, b.settings.blame("egress.policy", err)
	}
	file, err := egress.ParseFile(name, text)
	if err != nil {
		return nil, eachError(err, func(err error) error { return b.settings.blame("egress.policy", err) })
	}
	return file, nil
}

// use puts a file's policy in force, with the machine's addresses as they are now.
func (b *rulebook) use(file *egress.File) error {
	allow := b.settings.Egress.Allow
	written := make([]string, len(allow))
	for i := range allow {
		written[i] = b.settings.Written("egress.allow", i)
	}
	p, err := egress.New(egress.Config{File: file, Allow: allow, AllowSources: written, HasAllowList: allow != nil, Own: b.own, Report: b.report})
	if err != nil {
		return b.settings.blameRules("egress.allow", err)
	}
	b.file = file
	b.live.Store(p)
	return nil
}

// since is when the policy in force was loaded.
func (b *rulebook) since() time.Time { return time.Unix(0, b.at.Load()) }

// report writes down what a policy in mode report would have denied.
func (b *rulebook) report(caller string, t egress.Target, at netip.AddrPort, d *egress.DeniedError) {
	attrs := []any{"principal", caller, "target", t.String(), "rule", d.Rule, "source", d.Source, "policy", d.Revision}
	if at.IsValid() {
		attrs = append(attrs, "address", at.String())
	}
	b.log.Warn("egress would be denied", attrs...)
}

// reload loads the policy again, and has every live connection judged by it.
func (b *rulebook) reload(r *session.Registry, why string) {
	before := b.live.Load().Revision()
	err := b.load()
	b.loaded(err)
	if err != nil {
		b.log.Error("the egress policy cannot be loaded; the one before stays in force", "audit", "policy", "why", why, "error", err.Error(), "policy", before)
		// Not so the machine's addresses, which are the service's own whatever the file says.
		if err := b.use(b.file); err != nil {
			b.machine = ""
			return
		}
	}
	now := b.live.Load().Revision()
	if err != nil {
		if now == before {
			return
		}
		b.at.Store(time.Now().UnixNano())
	}
	b.log.Info("egress policy loaded", "audit", "policy", "why", why, "policy", now, "before", before, "ended", r.Rejudge())
}

// watch reloads when the file has changed, until ctx ends.
func (b *rulebook) watch(ctx context.Context, r *session.Registry, asked <-chan struct{}) {
	tick := time.NewTicker(policyEvery)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-asked:
			b.reload(r, "asked for")
		case <-tick.C:
			if b.changed() {
				b.reload(r, "the file has changed")
			} else if machine, ok := machineAddresses(); ok && machine != b.machine { // the service is reached by those that are new
				b.reload(r, "the machine's addresses have changed")
			}
		}
	}
}

// changed says whether the file is another than the one that was read, and as it was a look ago: who writes it in place
// may not be done.
func (b *rulebook) changed() bool {
	name := b.settings.Egress.Policy
	if name == "" {
		return false
	}
	now, err := os.Stat(name)
	before := b.looked
	b.looked = now
	switch {
	case err != nil:
		was := b.seen
		b.seen, b.looked = nil, nil
		return was != nil // it is said once
	case b.seen != nil && unchanged(now, b.seen):
		return false
	}
	return before != nil && unchanged(now, before)
}

func unchanged(a, b os.FileInfo) bool {
	return os.SameFile(a, b) && a.ModTime().Equal(b.ModTime()) && a.Size() == b.Size()
}

// machineAddresses are those of this machine's interfaces, as one text. Without a descriptor nobody can tell: it is
// asked again.
func machineAddresses() (_ string, ok bool) {
	addrs, err := net.InterfaceAddrs()
	if err != nil {
		return "", false
	}
	all := make([]string, 0, len(addrs))
	for _, a := range addrs {
		all = append(all, a.String())
	}
	slices.Sort(all)
	return strings.Join(all, " "), true
}

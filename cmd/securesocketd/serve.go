package main

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"os"
	"sync"
	"syscall"
	"time"

	"securesocket/cmd/internal/gcpace"
	"securesocket/server"
)

// serve runs the service until a signal has ended it.
func serve(f settings, stdout, stderr io.Writer, signals <-chan os.Signal) error {
	stopPace := gcpace.Start()
	defer stopPace()
	sink := newLogWriter(stderr)
	defer sink.Close()
	log := f.logger(sink)
	p, err := f.parts(log)
	if err != nil {
		return err
	}
	defer p.close()
	p.metrics = p.metricsOf(sink)
	look, err := startAdmin(adminConfig{Listen: f.Admin.Listen, Metrics: p.metrics.Handler(), Ready: p.ready, Policy: p.policyInForce, Logger: log})
	if err != nil {
		return fmt.Errorf("%s: %w", f.Where("admin.listen"), err)
	}
	defer closeAdmin(look)
	listeners, own, err := listenAll(f)
	if err != nil {
		return err
	}
	own = append(own, look.Own()...)
	if p.rules, err = newRulebook(f, own, log); err != nil {
		for _, l := range listeners {
			_ = l.Close()
		}
		return err
	}
	p.rules.loaded = p.metrics.Reloaded
	p.inForce.Store(p.rules)
	registry := p.registry(f)
	s := p.server(f, registry)
	warn(f, log)
	failed := make(chan error, len(listeners))
	for _, l := range listeners {
		go func() {
			if err := s.Serve(counted{l, p.descriptors}); err != nil {
				failed <- fmt.Errorf("%s: %w", l.address, err)
			}
		}()
		log.Info("serving", "address", l.address, "version", version)
		_, _ = fmt.Fprintf(stdout, "ready %s\n", l.address)
	}
	look.Serving()
	reload := make(chan struct{}, 1)
	ctx, stopWatching := context.WithCancel(context.Background())
	var watching sync.WaitGroup
	watching.Go(func() { p.rules.watch(ctx, registry, reload) })
	watching.Go(func() { clockWatch{time.Now, clockStep, p.metrics.ClockSet, log}.run(ctx) })
	defer watching.Wait()
	defer stopWatching()
	for {
		select {
		case err := <-failed:
			s.Close()
			return err
		case sig := <-signals:
			if sig != syscall.SIGHUP {
				look.Draining()
				drain(f, s, log, sig, signals)
				return nil
			}
			if err := p.callers.Reload(); err != nil {
				log.Error("what callers are known by cannot all be loaded; what was in force stays", "audit", "callers", "error", err.Error())
			}
			select {
			case reload <- struct{}{}:
			default: // it is about to
			}
		}
	}
}

// adminClose is how long those who look have to end.
const adminClose = time.Second

func closeAdmin(a *admin) {
	ctx, cancel := context.WithTimeout(context.Background(), adminClose)
	defer cancel()
	a.Close(ctx)
}

// warn says at the start what an operator should not overlook.
func warn(f settings, log *slog.Logger) {
	for _, w := range f.Warnings() {
		log.Warn("configuration", "warning", w)
	}
	if f.Insecure {
		log.Warn("--insecure: callers over grpc:// are not encrypted, and all of them are the principal \"anonymous\", who sees the sessions of the others and shares their defaults and trust anchors")
	}
	if f.LegacyTLS {
		log.Warn("--legacy-tls: callers may ask for TLS 1.0, TLS 1.1 and insecure cipher suites")
	}
	if f.DataDir == "" {
		log.Info("without --data-dir callers' defaults and trust last until the service ends")
	}
	if v := os.Getenv("GODEBUG"); v != "" {
		log.Warn("GODEBUG is set, which can change verdicts about certificates", "value", v)
	}
}

// notReload waits for a signal that is not to reload, or done.
func notReload(signals <-chan os.Signal, done <-chan struct{}) <-chan struct{} {
	second := make(chan struct{})
	go func() {
		for {
			select {
			case sig := <-signals:
				if sig != syscall.SIGHUP {
					close(second)
					return
				}
			case <-done:
				return
			}
		}
	}()
	return second
}

// drain ends the service in order; a second signal ends it at once.
func drain(f settings, s *server.Server, log *slog.Logger, sig os.Signal, signals <-chan os.Signal) {
	log.Info("draining", "signal", sig.String(), "timeout", f.Timeouts.Drain)
	ctx, cancel := context.WithTimeout(context.Background(), f.Timeouts.Drain)
	defer cancel()
	done := make(chan struct{})
	go func() { defer close(done); s.Drain(ctx) }()
	select {
	case <-done:
	case <-notReload(signals, done):
		log.Warn("second signal: stopping at once")
		cancel()
		<-done
	}
	log.Info("stopped")
}

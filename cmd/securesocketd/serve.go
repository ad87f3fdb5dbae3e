package main

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"os"
	"sync"

	"securesocket/cmd/internal/gcpace"
	"securesocket/server"
	"securesocket/session"
	"securesocket/tlsengine/truststore"
)

// serve runs the service until a signal has ended it.
func serve(f flags, stdout, stderr io.Writer, signals <-chan os.Signal) error {
	if err := f.check(); err != nil {
		return err
	}
	stopPace := gcpace.Start()
	defer stopPace()
	sink := newLogWriter(stderr)
	defer sink.Close()
	log, err := f.logger(sink)
	if err != nil {
		return err
	}
	sockets, err := f.listening()
	if err != nil {
		return err
	}
	held, err := f.held()
	if err != nil {
		return err
	}
	store, err := f.store()
	if err != nil {
		return err
	}
	defer func() {
		if err := store.Close(); err != nil {
			log.Error("closing what is kept", "error", err)
		}
	}()
	listeners, own, err := listenAll(f)
	if err != nil {
		return err
	}
	policy, err := f.policy(own)
	if err != nil {
		for _, l := range listeners {
			_ = l.Close()
		}
		return err
	}
	s := server.New(server.Config{
		Registry: session.NewRegistry(session.Config{
			Egress: server.Egress(policy), Listening: server.Listening(sockets), Logger: log, LegacyTLS: f.legacyTLS, ForbidOverride: f.forbidOverride,
			Store: store, Identities: held.identities, Bundles: held.bundles, LeafCRLAge: f.crlMaxAge,
			System: sync.OnceValues(func() (*truststore.Set, error) {
				return truststore.LoadSystem(truststore.SystemConfig{CertFile: os.Getenv("SSL_CERT_FILE"), CertDirs: os.Getenv("SSL_CERT_DIR")})
			}),
		}),
		Logger:         log,
		Version:        version,
		Administrators: f.administrators,
	})
	warn(f, log)
	failed := make(chan error, len(listeners))
	for _, l := range listeners {
		go func() {
			if err := s.Serve(l); err != nil {
				failed <- fmt.Errorf("%s: %w", l.address, err)
			}
		}()
		log.Info("serving", "address", l.address, "version", version)
		_, _ = fmt.Fprintf(stdout, "ready %s\n", l.address)
	}
	select {
	case err := <-failed:
		s.Close()
		return err
	case sig := <-signals:
		drain(f, s, log, sig, signals)
		return nil
	}
}

// warn says at the start what an operator should not overlook.
func warn(f flags, log *slog.Logger) {
	if f.insecure {
		log.Warn("--insecure: callers over grpc:// are not encrypted, and all of them are the principal \"anonymous\", who sees the sessions of the others and shares their defaults and trust anchors")
	}
	if f.legacyTLS {
		log.Warn("--legacy-tls: callers may ask for TLS 1.0, TLS 1.1 and insecure cipher suites")
	}
	if f.dataDir == "" {
		log.Info("without --data-dir callers' defaults and trust last until the service ends")
	}
	if v := os.Getenv("GODEBUG"); v != "" {
		log.Warn("GODEBUG is set, which can change verdicts about certificates", "value", v)
	}
}

// drain ends the service in order; a second signal ends it at once.
func drain(f flags, s *server.Server, log *slog.Logger, sig os.Signal, signals <-chan os.Signal) {
	log.Info("draining", "signal", sig.String(), "timeout", f.drainTimeout)
	ctx, cancel := context.WithTimeout(context.Background(), f.drainTimeout)
	defer cancel()
	done := make(chan struct{})
	go func() { defer close(done); s.Drain(ctx) }()
	select {
	case <-done:
	case <-signals:
		log.Warn("second signal: stopping at once")
		cancel()
		<-done
	}
	log.Info("stopped")
}

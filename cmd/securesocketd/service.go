package main

import (
	"errors"
	"log/slog"
	"os"
	"runtime/debug"
	"sync"
	"sync/atomic"

	"securesocket/cmd/internal/hardening"
	"securesocket/server"
	"securesocket/server/callers"
	"securesocket/server/door"
	"securesocket/server/listening"
	"securesocket/server/metrics"
	"securesocket/session"
	"securesocket/session/durable"
	"securesocket/session/flashpolicy"
	"securesocket/session/quota"
	"securesocket/tlsengine/truststore"
)

// parts is what a service is made of.
type parts struct {
	log         *slog.Logger
	callers     *callers.Callers
	rules       *rulebook
	sockets     *listening.Policy
	sources     session.Sources
	held        held
	store       durable.Store
	memory      *quota.Memory
	descriptors *quota.Descriptors
	door        *door.Door
	flash       *flashpolicy.Checker   // nil: off
	open        *hardening.Descriptors // nil: they cannot be counted
	metrics     *metrics.Metrics

	// What those who look are shown, once it is there.
	stats   atomic.Pointer[session.Registry]
	inForce atomic.Pointer[rulebook]
}

// parts makes all of it but the policy, which needs the service's own addresses. Where a part fails, those before are
// closed.
func (s settings) parts(log *slog.Logger) (_ *parts, err error) {
	p := &parts{log: log}
	defer func() {
		if err != nil {
			p.close()
		}
	}()
	if err := p.judge(s); err != nil {
		return nil, err
	}
	if p.sources, err = s.sources(); err != nil {
		return nil, err
	}
	if p.store, err = s.store(); err != nil {
		return nil, err
	}
	p.memory = memoryOf(s, log)
	if p.open, err = hardening.OpenDescriptors(); err != nil {
		log.Debug("descriptors cannot be counted", "error", err)
	}
	p.descriptors = quota.NewDescriptors(quota.DescriptorsConfig{Reserve: int64(s.Limits.DescriptorReserve)})
	p.door = doorOf(s, log, p.memory, p.descriptors)
	return p, nil
}

// judge makes what the settings and the files that they name say. Its error joins all that is wrong with them, the
// egress policy included, which is judged here and made later.
func (p *parts) judge(s settings) error {
	var errs [5]error
	// Nobody calls before the metrics are there.
	p.callers, errs[0] = s.knowCallers(p.log, func() { p.metrics.HandshakeRefused() })
	p.held, errs[1] = s.held()
	p.sockets, errs[2] = s.listening()
	p.flash, errs[3] = s.flash()
	_, errs[4] = newRulebook(s, nil, slog.New(slog.DiscardHandler))
	return errors.Join(errs[:]...)
}

func (p *parts) close() {
	if p.callers != nil {
		p.callers.Close()
	}
	if p.open != nil {
		_ = p.open.Close()
	}
	if p.store == nil {
		return
	}
	if err := p.store.Close(); err != nil {
		p.log.Error("closing what is kept", "error", err)
	}
}

// memoryOf watches the memory that the operator, the cgroup or the machine allows. The collector works harder before
// anything is refused.
func memoryOf(s settings, log *slog.Logger) *quota.Memory {
	limit := s.Limits.Memory
	if limit == 0 {
		found, source, err := quota.MemoryLimit(os.DirFS("/"))
		if err != nil {
			log.Warn("memory is not watched: set limits.memory", "error", err)
			return nil
		}
		log.Debug("memory", "limit", found, "source", source)
		limit = found
	}
	debug.SetMemoryLimit(limit / 100 * int64(max(s.Limits.MemoryRefuse-5, 1)))
	return quota.NewMemory(quota.MemoryConfig{Limit: limit, Refuse: s.Limits.MemoryRefuse, Shed: s.Limits.MemoryShed})
}

// doorOf limits connections to the API.
func doorOf(s settings, log *slog.Logger, memory *quota.Memory, descriptors *quota.Descriptors) *door.Door {
	return door.New(door.Config{
		Max: s.Limits.Connections, PerCaller: s.Limits.ConnectionsPerCaller, PerAddress: s.Limits.ConnectionsPerAddress,
		// Each session may have a stream, and each a call beside it.
		RPCs: 2*s.Limits.Sessions + 4096, RPCsPerCaller: 2*s.Limits.SessionsPerCaller + 1024,
		Unfinished: s.Limits.Unfinished, UnfinishedPerCaller: s.Limits.UnfinishedPerCaller,
		SetupTimeout: s.Timeouts.Setup, Logger: log,
		Reserve: func() error {
			if memory != nil && memory.Level() == quota.Shed { // until then the sessions there are can be reached
				return memory.Admit()
			}
			if descriptors.Total() >= descriptors.Limit() {
				return &quota.Error{What: "descriptors", Limit: descriptors.Limit(), Used: descriptors.Total()}
			}
			return nil
		},
	})
}

// metricsOf counts what operators look at.
func (p *parts) metricsOf(sink *logWriter) *metrics.Metrics {
	cfg := metrics.Config{
		Reason: server.ReasonOf, Version: version, Door: p.door.Stats, LogLinesDropped: sink.Dropped, Policy: p.policyInForce,
		Stats: func() session.Stats {
			if r := p.stats.Load(); r != nil {
				return r.Stats()
			}
			return session.Stats{}
		},
	}
	if p.memory != nil {
		cfg.Memory = func() (used, limit int64) { _ = p.memory.Level(); return p.memory.Used(), p.memory.Limit() }
	}
	if p.open != nil {
		cfg.Descriptors = func() (int, int, error) {
			n, err := p.open.Count()
			limit, limitErr := p.open.Limit()
			return n, limit, errors.Join(err, limitErr)
		}
	}
	return metrics.New(cfg)
}

func (p *parts) policyInForce() metrics.Policy {
	rules := p.inForce.Load()
	if rules == nil {
		return metrics.Policy{}
	}
	return metrics.Policy{Revision: rules.live.Load().Revision(), Loaded: rules.since()}
}

// ready says why the service should be sent nothing new.
func (p *parts) ready() error {
	if p.memory != nil {
		if err := p.memory.Admit(); err != nil {
			return err
		}
	}
	if p.descriptors.Pressure() {
		return errDescriptors
	}
	return nil
}

var errDescriptors = errors.New("descriptors are short")

// registry holds the sessions.
func (p *parts) registry(s settings) *session.Registry {
	cfg := session.Config{
		Egress: server.Egress(p.rules.live), Flash: p.flash, Listening: server.Listening(p.sockets), Sources: p.sources, Logger: p.log,
		LegacyTLS: s.LegacyTLS, ForbidOverride: s.ForbidOverride, LeafCRLAge: s.crlAge(),
		Store: p.store, Identities: p.held.identities, Bundles: p.held.bundles,
		System: sync.OnceValues(func() (*truststore.Set, error) {
			return truststore.LoadSystem(truststore.SystemConfig{CertFile: os.Getenv("SSL_CERT_FILE"), CertDirs: os.Getenv("SSL_CERT_DIR")})
		}),

		MaxSessions: s.Limits.Sessions, MaxSessionsPerOwner: s.Limits.SessionsPerCaller,
		MaxListeners: s.Limits.Listeners, MaxListenersPerOwner: s.Limits.ListenersPerCaller,
		MaxHandshakes: s.Limits.Handshakes, MaxHandshakesPerOwner: s.Limits.HandshakesPerCaller,
		AttachesPerOwner:     quota.Limit{PerSecond: int64(s.Limits.AttachesPerCaller)},
		DestinationsPerOwner: quota.Limit{PerSecond: int64(s.Limits.DestinationsPerCaller), Burst: int64(s.Limits.DestinationsBurst)},
		Bytes:                quota.Limit{PerSecond: s.Limits.Bytes},
		BytesPerOwner:        quota.Limit{PerSecond: s.Limits.BytesPerCaller},
		MaxBuffered:          s.Limits.Buffered, MaxBufferedPerOwner: s.Limits.BufferedPerCaller, DetachedShare: s.Limits.DetachedShare,
		Memory: p.memory, Descriptors: p.descriptors,

		DNSTimeout: s.Timeouts.DNS, SessionExpiry: s.Timeouts.SessionExpiry, DetachGrace: s.Timeouts.DetachGrace,
		GracefulTimeout: s.Timeouts.Graceful, ClaimTimeout: s.Timeouts.Claim,
	}
	cfg.Ended = p.metrics.Ended
	if s.Log.Access {
		write := server.AccessLog(p.log)
		cfg.Ended = func(e session.End) { p.metrics.Ended(e); write(e) }
	}
	cfg.Suspected = func(string) { p.metrics.Suspected() }
	r := session.NewRegistry(cfg)
	p.stats.Store(r)
	return r
}

// server serves them.
func (p *parts) server(s settings, r *session.Registry) *server.Server {
	return server.New(server.Config{
		Registry: r, Callers: p.callers, Metrics: p.metrics, Door: p.door, Policy: p.rules.live, Logger: p.log, Version: version,
		MaxConcurrentStreams: uint32(s.Limits.StreamsPerConnection), //nolint:gosec // bounded by the table of settings
		SetupTimeout:         s.Timeouts.Setup, KeepaliveTime: s.Timeouts.Keepalive, KeepaliveTimeout: s.Timeouts.KeepaliveTimeout,
		ConnectionIdle: s.Timeouts.ConnectionIdle,
	})
}

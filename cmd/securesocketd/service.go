package main

import (
	"log/slog"
	"os"
	"runtime/debug"
	"sync"

	"securesocket/server"
	"securesocket/server/callers"
	"securesocket/server/door"
	"securesocket/server/listening"
	"securesocket/session"
	"securesocket/session/durable"
	"securesocket/session/quota"
	"securesocket/tlsengine/truststore"
)

// parts is what a service is made of.
type parts struct {
	log         *slog.Logger
	callers     *callers.Callers
	rules       *rulebook
	sockets     *listening.Policy
	held        held
	store       durable.Store
	memory      *quota.Memory
	descriptors *quota.Descriptors
	door        *door.Door
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
	if p.sockets, err = s.listening(); err != nil {
		return nil, err
	}
	if p.held, err = s.held(); err != nil {
		return nil, err
	}
	if p.callers, err = s.knowCallers(log); err != nil {
		return nil, err
	}
	if p.store, err = s.store(); err != nil {
		return nil, err
	}
	p.memory = memoryOf(s, log)
	p.descriptors = quota.NewDescriptors(quota.DescriptorsConfig{Reserve: int64(s.Limits.DescriptorReserve)})
	p.door = doorOf(s, log, p.memory, p.descriptors)
	return p, nil
}

func (p *parts) close() {
	if p.callers != nil {
		p.callers.Close()
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

// registry holds the sessions.
func (p *parts) registry(s settings) *session.Registry {
	cfg := session.Config{
		Egress: server.Egress(p.rules.live), Listening: server.Listening(p.sockets), Logger: p.log,
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
	if s.Log.Access {
		cfg.Ended = server.AccessLog(p.log)
	}
	return session.NewRegistry(cfg)
}

// server serves them.
func (p *parts) server(s settings, r *session.Registry) *server.Server {
	return server.New(server.Config{
		Registry: r, Callers: p.callers, Door: p.door, Policy: p.rules.live, Logger: p.log, Version: version,
		MaxConcurrentStreams: uint32(s.Limits.StreamsPerConnection), //nolint:gosec // bounded by the table of settings
		SetupTimeout:         s.Timeouts.Setup, KeepaliveTime: s.Timeouts.Keepalive, KeepaliveTimeout: s.Timeouts.KeepaliveTimeout,
		ConnectionIdle: s.Timeouts.ConnectionIdle,
	})
}

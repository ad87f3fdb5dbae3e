package config

import (
	"fmt"
	"os"
	"slices"
	"strconv"

	"securesocket/cmd/internal/daemonaddr"
)

const (
	million = 1_000_000
	ms      = int64(1e6)
	second  = 1000 * ms
	minute  = 60 * second
	hour    = 60 * minute
	kib     = int64(1) << 10
	mib     = kib << 10
	tib     = mib << 20
)

// settings is the table: all there is to set. Limits and timeouts are in tables of their own, below it.
var settings = slices.Concat(general, limits, timeouts)

var general = []*setting{
	{
		path: "listen", kind: texts, arg: "ADDRESS", sample: "unix:///run/securesocket/s.sock",
		machine: func(map[string]string) ([]string, string) { return []string{daemonaddr.Default()}, "" },
		help:    "Serve on unix:///PATH, whose callers are known by their user ID; on grpcs://HOST:PORT, with the certificate of tls; or on grpc://HOST:PORT, which needs insecure.",
		into:    func(c *Config) any { return &c.Listen },
	},
	{
		path: "insecure", kind: boolean, def: "false",
		help: "Allow grpc:// addresses: no encryption, and every caller without a token is \"anonymous\".",
		into: func(c *Config) any { return &c.Insecure },
	},
	{
		path: "tls.cert", kind: text, arg: "FILE", sample: "/etc/securesocket/server.pem",
		help: "The certificate chain that grpcs:// addresses show, in PEM.",
		into: func(c *Config) any { return &c.TLS.Cert },
	},
	{
		path: "tls.key", kind: text, arg: "FILE", sample: "/etc/securesocket/server.key", secret: true,
		help: "Its private key, in PEM.",
		into: func(c *Config) any { return &c.TLS.Key },
	},
	{
		path: "tls.client_ca", kind: text, arg: "FILE", sample: "/etc/securesocket/clients.pem",
		help: "The authorities, in PEM, whose client certificates say who a caller at a grpcs:// address is. Without it none is asked for.",
		into: func(c *Config) any { return &c.TLS.ClientCA },
	},
	{
		path: "tls.client_crl", kind: text, arg: "FILE", sample: "/etc/securesocket/clients.crl",
		help: "The revocation lists of those authorities. Without it no client certificate is revoked.",
		into: func(c *Config) any { return &c.TLS.ClientCRL },
	},
	{
		path: "tls.require_client_cert", kind: boolean, def: "false",
		help: "Refuse callers at grpcs:// addresses that show no client certificate, even if they have a token.",
		into: func(c *Config) any { return &c.TLS.RequireClientCert },
	},
	{
		path: "callers.allow", kind: texts, arg: "PATTERN", sample: "spiffe://example.org/*",
		help: "Let a principal call: one such as uid:1000, token:NAME, jwt:SUBJECT, dns:NAME or spiffe://DOMAIN/PATH, or all that begin as PATTERN does before its last character, a *. Without it whoever comes through a Unix socket or with a token of the tokens file may, and at grpc:// addresses anonymous; an empty list lets nobody.",
		into: func(c *Config) any { return &c.Callers.Allow },
	},
	{
		path: "callers.administrators", flag: "administrator", kind: texts, arg: "PRINCIPAL", sample: "uid:1000",
		machine: func(map[string]string) ([]string, string) { return []string{fmt.Sprintf("uid:%d", os.Getuid())}, "" },
		help:    "Let a principal, as uid:1000, change the service's trust anchors, list all sessions and close them; a * at its end stands for the rest. Without it the user that runs the service may.",
		into:    func(c *Config) any { return &c.Callers.Administrators },
	},
	{
		path: "callers.tokens", kind: text, arg: "FILE", sample: "/etc/securesocket/tokens", secret: true,
		help: "The file with a line for each static token: NAME sha256:HEX.",
		into: func(c *Config) any { return &c.Callers.Tokens },
	},
	{
		path: "callers.jwt.issuer", kind: text, arg: "URL", sample: "https://accounts.example.org",
		help: "Believe the tokens (JWT) of this issuer, whose keys are fetched from it (OpenID Connect Discovery).",
		into: func(c *Config) any { return &c.Callers.JWT.Issuer },
	},
	{
		path: "callers.jwt.audience", kind: text, arg: "NAME", sample: "securesocket",
		help: "The audience that a JWT has to be for. Required with an issuer.",
		into: func(c *Config) any { return &c.Callers.JWT.Audience },
	},
	{
		path: "callers.jwt.jwks", kind: text, arg: "FILE", sample: "/etc/securesocket/jwks.json",
		help: "The file (JWKS) with the issuer's keys, which is then not asked for them.",
		into: func(c *Config) any { return &c.Callers.JWT.JWKS },
	},
	{
		path: "callers.jwt.ca", kind: text, arg: "FILE", sample: "/etc/securesocket/issuer.pem",
		help: "The authorities, in PEM, that vouch for the issuer's server. Without it those of the system.",
		into: func(c *Config) any { return &c.Callers.JWT.CA },
	},
	{
		path: "callers.jwt.claim", kind: text, arg: "NAME", def: "sub",
		help: "The claim of a JWT that says who the caller is.",
		into: func(c *Config) any { return &c.Callers.JWT.Claim },
	},
	{
		path: "egress.allow", kind: texts, arg: "TARGET", sample: "10.0.0.0/8",
		help: "Allow callers to reach TARGET, a CIDR, HOST or HOST:PORT, and only what is allowed so. Without it what is public may be reached; an empty list denies everything.",
		into: func(c *Config) any { return &c.Egress.Allow },
	},
	{
		path: "egress.policy", kind: text, arg: "FILE", sample: "/etc/securesocket/policy.yaml",
		help: "The file with the rules for where callers may connect to. It is read again on SIGHUP and when it changes.",
		into: func(c *Config) any { return &c.Egress.Policy },
	},
	{
		path: "egress.source_addresses", kind: texts, arg: "ADDRESS", sample: "192.0.2.10",
		help: "Connect from ADDRESS, an IP address of this machine, to targets, proxies, Flash policy files and servers of CRLs and OCSP: one of each family at most, and a family without one is not reached. Without any the system chooses.",
		into: func(c *Config) any { return &c.Egress.SourceAddresses },
	},
	{
		path: "egress.flash_policy", kind: choice("off", "enforce"), arg: "MODE", def: "off",
		help: "Whether a target's Flash socket policy file has to allow a connection: off or enforce.",
		into: func(c *Config) any { return &c.Egress.FlashPolicy },
	},
	{
		path: "egress.flash_origin", kind: text, arg: "DOMAIN", sample: "app.example.com",
		help: "Whom the grants of Flash socket policy files are compared with; without it only grants to everybody hold.",
		into: func(c *Config) any { return &c.Egress.FlashOrigin },
	},
	{
		path: "listen_allow", kind: texts, arg: "TARGET", sample: "192.0.2.1:20000-30000",
		help: "Let callers listen at TARGET too, an ADDRESS, ADDRESS:PORT, ADDRESS:FIRST-LAST or CIDR of this machine; without it they may at loopback addresses alone, at ports from 1024 on, and with the word none, or an empty list, nowhere.",
		into: func(c *Config) any { return &c.ListenAllow },
	},
	{
		path: "legacy_tls", kind: boolean, def: "false",
		help: "Let callers ask for TLS 1.0, TLS 1.1 and insecure cipher suites.",
		into: func(c *Config) any { return &c.LegacyTLS },
	},
	{
		path: "forbid_override", kind: boolean, def: "false",
		help: "Let nobody accept a certificate with problems.",
		into: func(c *Config) any { return &c.ForbidOverride },
	},
	{
		path: "crl_max_age", kind: duration, arg: "DURATION", def: "168h", min: second, max: 10 * 366 * 24 * hour, zero: []string{"0s", "0"},
		help: "How old a server certificate's CRL may be although it calls itself current; 0s: as old as it says.",
		into: func(c *Config) any { return &c.CRLMaxAge },
	},
	{
		path: "data_dir", kind: text, arg: "DIR", sample: "/var/lib/securesocket",
		machine: func(env map[string]string) ([]string, string) {
			if dir := env["STATE_DIRECTORY"]; dir != "" {
				return []string{dir}, "STATE_DIRECTORY"
			}
			return []string{""}, ""
		},
		help: "Keep callers' defaults and trust over restarts in DIR; without it they are kept in memory. systemd's $STATE_DIRECTORY is the default.",
		into: func(c *Config) any { return &c.DataDir },
	},
	{
		path: "bundles", flag: "bundle", kind: bundles, arg: "NAME=FILE", sample: "corp=/etc/securesocket/corp.pem",
		help: "Let callers name the certificates of a file (PEM or DER) as NAME.",
		into: func(c *Config) any { return &c.Bundles },
	},
	{
		path: "identities", flag: "identity", kind: keys, arg: "NAME=CERT_FILE,KEY_FILE", sample: "mine=/etc/securesocket/mine.pem,/etc/securesocket/mine.key", secret: true,
		help: "Let callers show a client certificate (PEM) that they never see the key of, as NAME.",
		into: func(c *Config) any { return &c.Identities },
	},
	{
		path: "log.format", kind: choice("text", "json"), arg: "FORMAT", def: "text",
		help: "How lines of the log are written: text or json.",
		into: func(c *Config) any { return &c.Log.Format },
	},
	{
		path: "log.level", kind: choice("debug", "info", "warn", "error"), arg: "LEVEL", def: "info",
		help: "What is logged: lines of this level and above, of debug, info, warn and error.",
		into: func(c *Config) any { return &c.Log.Level },
	},
	{
		path: "log.access", kind: boolean, def: "true",
		help: "Log one line about each session.",
		into: func(c *Config) any { return &c.Log.Access },
	},
	{
		path: "admin.listen", flag: "admin", kind: text, arg: "ADDRESS", sample: "unix:///run/securesocket/admin.sock",
		help: "Serve /healthz, /readyz, /metrics and profiles on unix:///PATH or on the IP:PORT of a loopback address. Without it nowhere.",
		into: func(c *Config) any { return &c.Admin.Listen },
	},
}

var limits = []*setting{
	count("sessions", 20000, million, "How many sessions there may be.", func(l *Limits) any { return &l.Sessions }),
	count("sessions_per_caller", 1000, million, "How many of them one caller may have.", func(l *Limits) any { return &l.SessionsPerCaller }),
	count("listeners", 1024, 65535, "How many listeners there may be.", func(l *Limits) any { return &l.Listeners }),
	count("listeners_per_caller", 64, 65535, "How many of them one caller may have.", func(l *Limits) any { return &l.ListenersPerCaller }),
	count("handshakes", 4096, million, "How many TLS handshakes may be under way at once.", func(l *Limits) any { return &l.Handshakes }),
	count("handshakes_per_caller", 1024, million, "How many of them for one caller.", func(l *Limits) any { return &l.HandshakesPerCaller }),
	{
		path: "limits.attaches_per_caller", kind: rate, arg: "N/s", def: "1000/s", min: 1, max: million,
		help: "How often one caller may attach to its sessions.",
		into: func(c *Config) any { return &c.Limits.AttachesPerCaller },
	},
	count("streams_per_connection", 2048, million, "How many RPCs may be under way on one HTTP/2 connection.", func(l *Limits) any { return &l.StreamsPerConnection }),
	count("connections", 4096, million, "How many connections callers may have to the service.", func(l *Limits) any { return &l.Connections }),
	count("connections_per_caller", 64, million, "How many of them one caller may have.", func(l *Limits) any { return &l.ConnectionsPerCaller }),
	count("connections_per_address", 16, million, "How many of them one address may have of which it is not known yet whose they are.", func(l *Limits) any { return &l.ConnectionsPerAddress }),
	{
		path: "limits.destinations_per_caller", kind: rate, arg: "N/s", def: "50/s", min: 1, max: million,
		help: "How many new destinations one caller may connect to.",
		into: func(c *Config) any { return &c.Limits.DestinationsPerCaller },
	},
	count("destinations_burst", 500, million, "How many new destinations at once, after a rest.", func(l *Limits) any { return &l.DestinationsBurst }),
	amount("bytes", byteRate, "16GiB/s", 64*kib, tib, "How much data all sessions together may move, in both directions.", func(l *Limits) any { return &l.Bytes }),
	amount("bytes_per_caller", byteRate, "4GiB/s", 64*kib, tib, "How much of it for one caller.", func(l *Limits) any { return &l.BytesPerCaller }),
	amount("buffered", size, "2GiB", mib, tib, "How much data may wait in the service's memory.", func(l *Limits) any { return &l.Buffered }),
	amount("buffered_per_caller", size, "512MiB", mib, tib, "How much of it for one caller.", func(l *Limits) any { return &l.BufferedPerCaller }),
	amount("unfinished", size, "512MiB", 8*mib, tib, "How much there may be of messages that callers have begun and not ended. Beyond it a connection that brings more ends.", func(l *Limits) any { return &l.Unfinished }),
	amount("unfinished_per_caller", size, "128MiB", mib, tib, "How much of it for one caller.", func(l *Limits) any { return &l.UnfinishedPerCaller }),
	share("detached_share", 25, 100, "How much of buffered may belong to sessions that no stream holds.", func(l *Limits) any { return &l.DetachedShare }),
	{
		path: "limits.memory", kind: size, arg: "SIZE", def: "auto", min: 64 * mib, max: 64 * tib, zero: []string{"auto"},
		help: "How much memory the service reckons with; auto: what its cgroup or the machine has.",
		into: func(c *Config) any { return &c.Limits.Memory },
	},
	share("memory_refuse", 85, 99, "From how much of memory on nothing new is begun.", func(l *Limits) any { return &l.MemoryRefuse }),
	share("memory_shed", 95, 100, "From how much of memory on sessions are ended that no stream holds.", func(l *Limits) any { return &l.MemoryShed }),
	count("descriptor_reserve", 64, 65535, "How many file descriptors are kept for what is there already.", func(l *Limits) any { return &l.DescriptorReserve }),
}

var timeouts = []*setting{
	timeout("dns", "5s", 100*ms, minute, "How long finding the addresses of a name may take.", func(t *Timeouts) any { return &t.DNS }),
	timeout("setup", "10s", 100*ms, 5*minute, "How long a caller may take to set up a connection, its TLS handshake included.", func(t *Timeouts) any { return &t.Setup }),
	timeout("keepalive", "20s", second, hour, "After how long without a frame a caller's connection is asked for a sign of life.", func(t *Timeouts) any { return &t.Keepalive }),
	timeout("keepalive_timeout", "10s", second, 5*minute, "How long the answer to that may take.", func(t *Timeouts) any { return &t.KeepaliveTimeout }),
	timeout("connection_idle", "15m", second, 24*hour, "How long a caller's connection may be without an RPC.", func(t *Timeouts) any { return &t.ConnectionIdle }),
	timeout("session_expiry", "15m", second, 24*hour, "How long a session may be without connection and stream.", func(t *Timeouts) any { return &t.SessionExpiry }),
	timeout("detach_grace", "1m", 100*ms, 10*minute, "How long a session keeps its connection without a stream where its caller says nothing else.", func(t *Timeouts) any { return &t.DetachGrace }),
	timeout("graceful", "10s", 100*ms, 10*minute, "How long a peer that does not read may hold up an orderly end.", func(t *Timeouts) any { return &t.Graceful }),
	timeout("claim", "10s", 100*ms, 10*minute, "How long an accepted connection waits until its caller does something with it.", func(t *Timeouts) any { return &t.Claim }),
	{
		path: "timeouts.drain", flag: "drain-timeout", kind: duration, arg: "DURATION", def: "30s", min: ms, max: 24 * hour,
		help: "How long live connections may go on after SIGTERM.",
		into: func(c *Config) any { return &c.Timeouts.Drain },
	},
}

// count is a limit from 1 to most.
func count(key string, def, most int64, help string, into func(*Limits) any) *setting {
	return &setting{
		path: "limits." + key, kind: integer, arg: "N", def: strconv.FormatInt(def, 10), min: 1, max: most, help: help,
		into: func(c *Config) any { return into(&c.Limits) },
	}
}

// amount is a limit of bytes.
func amount(key string, k *kind, def string, least, most int64, help string, into func(*Limits) any) *setting {
	arg := map[*kind]string{size: "SIZE", byteRate: "SIZE/s"}[k]
	return &setting{
		path: "limits." + key, kind: k, arg: arg, def: def, min: least, max: most, help: help,
		into: func(c *Config) any { return into(&c.Limits) },
	}
}

// share is a limit in percent.
func share(key string, def, most int64, help string, into func(*Limits) any) *setting {
	return &setting{
		path: "limits." + key, kind: percent, arg: "N%", def: percent.print(def), min: 1, max: most, help: help,
		into: func(c *Config) any { return into(&c.Limits) },
	}
}

func timeout(key, def string, least, most int64, help string, into func(*Timeouts) any) *setting {
	return &setting{
		path: "timeouts." + key, kind: duration, arg: "DURATION", def: def, min: least, max: most, help: help,
		into: func(c *Config) any { return into(&c.Timeouts) },
	}
}

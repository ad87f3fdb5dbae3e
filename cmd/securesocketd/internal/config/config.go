package config

import (
	"slices"
	"time"
)

// Config is every setting with the value that counts. Its zero value is of no use: [Load] makes one. What a field means
// and its bounds are in the table of settings; here is only what a reader of the value has to know. A rate is a number
// for each second.
type Config struct {
	Listen         []string // unix:///PATH, grpc://HOST:PORT or grpcs://HOST:PORT; at least one
	Insecure       bool
	TLS            TLS
	Callers        Callers
	Egress         Egress
	ListenAllow    []string // nil: loopback addresses; empty: nowhere
	LegacyTLS      bool
	ForbidOverride bool
	CRLMaxAge      time.Duration // 0: as old as the list says itself
	DataDir        string        // empty: nothing is kept
	Bundles        map[string]string
	Identities     map[string]KeyPair
	Limits         Limits
	Timeouts       Timeouts
	Log            Log
	Admin          Admin

	origins  map[string]Origin // by path
	items    map[string][]item // of lists and mappings, by path, as the layer that counts gives them
	warnings []string
}

// TLS is how the service shows itself, and asks for certificates, at its grpcs:// addresses: paths of PEM files, empty
// where there is none.
type TLS struct {
	Cert, Key           string
	ClientCA, ClientCRL string
	RequireClientCert   bool
}

// Callers is who may call, and as whom.
type Callers struct {
	Allow          []string // patterns of principals; nil: the default that the table tells; empty: nobody
	Administrators []string // patterns of principals
	Tokens         string   // a file, or empty
	JWT            JWT
}

// JWT is whose tokens are believed: nobody's without an Issuer.
type JWT struct {
	Issuer   string
	Audience string
	JWKS     string // a file, or empty: the issuer is asked for its keys
	CA       string // a file, or empty: the system's authorities vouch for the issuer
	Claim    string
}

// Egress is where callers may connect to.
type Egress struct {
	Allow           []string // nil: no allow list; empty: nothing is allowed
	Policy          string   // a file, or empty
	SourceAddresses []string // IP addresses, one of a family at most; empty: the kernel chooses
	FlashPolicy     string   // off or enforce
	FlashOrigin     string   // a domain, or empty
}

// KeyPair names the files of a certificate chain and of its private key.
type KeyPair struct{ Cert, Key string }

// Limits is how much there may be of everything. Each is greater than 0 but Memory.
type Limits struct {
	Sessions, SessionsPerCaller       int
	Listeners, ListenersPerCaller     int
	Handshakes, HandshakesPerCaller   int // in flight
	AttachesPerCaller                 int // rate
	StreamsPerConnection              int
	Connections, ConnectionsPerCaller int
	ConnectionsPerAddress             int   // of whom nobody knows who they are
	DestinationsPerCaller             int   // rate
	DestinationsBurst                 int   // how many at once
	Bytes, BytesPerCaller             int64 // rates
	Buffered, BufferedPerCaller       int64 // bytes
	Unfinished, UnfinishedPerCaller   int64 // bytes
	DetachedShare                     int   // percent of Buffered
	Memory                            int64 // bytes; 0: what the machine or the cgroup has
	MemoryRefuse, MemoryShed          int   // percent of Memory
	DescriptorReserve                 int
}

// Timeouts is how long the service waits. Each is greater than 0.
type Timeouts struct {
	DNS              time.Duration
	Setup            time.Duration
	Keepalive        time.Duration
	KeepaliveTimeout time.Duration
	ConnectionIdle   time.Duration
	SessionExpiry    time.Duration
	DetachGrace      time.Duration
	Graceful         time.Duration
	Claim            time.Duration
	Drain            time.Duration
}

// Log is what is logged, and how.
type Log struct {
	Format string // text or json
	Level  string // debug, info, warn or error
	Access bool
}

// Admin is where operators look.
type Admin struct {
	Listen string // unix:///PATH, a loopback IP:PORT, or empty: nowhere
}

// Where names the place that decided about the setting at path, to begin an error about its value with: --listen,
// $SECURESOCKET_LISTEN, or FILE:LINE: listen.
func (c *Config) Where(path string) string { return c.origins[path].before(path) }

// WhereItem is Where for one entry: of a list by its text, of a mapping by its name. In the file it has a line of its own.
func (c *Config) WhereItem(path, entry string) string {
	i := slices.IndexFunc(c.items[path], func(it item) bool { return it.name == entry || it.name == "" && it.text == entry })
	return c.itemOrigin(path, i).before(path)
}

// Written is where the entry of a list with an index is written: FILE:LINE, $VARIABLE or --flag.
func (c *Config) Written(path string, i int) string { return c.itemOrigin(path, i).before("") }

// itemOrigin is the place of the entry with an index, or of all of them if there is none.
func (c *Config) itemOrigin(path string, i int) Origin {
	o := c.origins[path]
	if items := c.items[path]; i >= 0 && i < len(items) && items[i].line > 0 {
		o.Line = items[i].line
	}
	return o
}

// Origin is the place that decided about the setting at path.
func (c *Config) Origin(path string) Origin { return c.origins[path] }

// Warnings is what an operator should not overlook, though nothing is wrong with it for certain.
func (c *Config) Warnings() []string { return c.warnings }

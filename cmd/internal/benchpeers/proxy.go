package benchpeers

import (
	"strconv"

	"securesocket/cmd/internal/benchpeers/load"
)

// proxy is a program that speaks TLS for others, and how it is told to do what the service does: TLS 1.3 with X25519, the
// peer's chain and name verified, no resumption.
type proxy struct {
	name string
	// path is where the user says it is; "": wherever the package that is named puts it.
	path, packaged string
	versionFlag    string
	env            []string
	// arguments are its command line, to listen on the address; name is for its files.
	arguments func(name, address string) ([]string, error)
}

// proxies are those that we know. OpenSSL takes its groups from the environment's configuration, as haproxy of this age
// has no setting for them; ghostunnel offers ML-KEM too unless Go is told not to.
func (b *bench) proxies() []proxy {
	openssl := []string{"OPENSSL_CONF=" + b.opensslConfig}
	return []proxy{
		{name: Ghostunnel, path: b.config.Ghostunnel, versionFlag: "--version", env: []string{"GODEBUG=tlsmlkem=0,tlssecpmlkem=0"},
			arguments: func(_, address string) ([]string, error) {
				return []string{"client", "--listen", address, "--target", b.peer.address, "--cacert", b.peer.caFile,
					"--disable-authentication", "--override-server-name", load.ServerName, "--quiet", "all",
					"--close-timeout", "1s", "--shutdown-timeout", "1s"}, nil
			}},
		{name: Haproxy, packaged: "haproxy", versionFlag: "-v", env: openssl,
			arguments: func(name, address string) ([]string, error) {
				path, err := b.writeConfig(name+".cfg",
					"global", "  maxconn "+strconv.Itoa(b.most+spareDescriptors/4), "  ssl-default-server-options ssl-min-ver TLSv1.3",
					"defaults", "  mode tcp", "  timeout connect 20s", "  timeout client 15m", "  timeout server 15m",
					"listen bench", "  bind "+address,
					"  server peer "+b.peer.address+" ssl verify required ca-file "+b.peer.caFile+
						" sni str("+load.ServerName+") verifyhost "+load.ServerName+" no-ssl-reuse")
				return []string{"-db", "-f", path}, err
			}},
		{name: Stunnel, packaged: "stunnel4", versionFlag: "-version", env: openssl,
			arguments: func(name, address string) ([]string, error) {
				path, err := b.writeConfig(name+".conf",
					"foreground = yes", "pid =", "debug = err", "socket = l:TCP_NODELAY=1", "socket = r:TCP_NODELAY=1",
					"[bench]", "client = yes", "accept = "+address, "connect = "+b.peer.address,
					"sslVersionMin = TLSv1.3", "curves = X25519", "verifyChain = yes", "CAfile = "+b.peer.caFile,
					"checkHost = "+load.ServerName, "sni = "+load.ServerName, "TIMEOUTidle = 900")
				return []string{path}, err
			}},
	}
}

// opensslLines are the configuration that pins the group for everything that uses OpenSSL.
var opensslLines = []string{
	"openssl_conf = init", "[init]", "ssl_conf = ssl", "[ssl]", "system_default = defaults", "[defaults]", "Groups = X25519",
}

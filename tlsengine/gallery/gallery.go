package gallery

import (
	"crypto/x509"
	"fmt"
	"net"
	"net/http"
	"strconv"

	"securesocket/tlsengine/forge"
)

// suffix is below a name that the world has reserved for tests (RFC 6761): it leads nowhere.
const suffix = ".gallery.test"

// Config says where the gallery is.
type Config struct {
	// Address is the HOST:PORT under which visitors reach it. Certificates point there for revocation, so the listener
	// comes before the gallery.
	Address string
}

// Gallery is the collection.
type Gallery struct {
	address  string
	root     *forge.CA
	exhibits []*exhibit
	byName   map[string]*exhibit
	outside  *responders
	web      http.Handler
}

// New mints every certificate, which takes about a second.
func New(cfg Config) (*Gallery, error) {
	host, port, err := net.SplitHostPort(cfg.Address)
	if err != nil {
		return nil, fmt.Errorf("gallery: address %q: %w", cfg.Address, err)
	}
	if n, err := strconv.ParseUint(port, 10, 16); err != nil || n == 0 || host == "" {
		return nil, fmt.Errorf("gallery: address %q: visitors cannot reach it", cfg.Address)
	}
	c := newCurator("http://" + cfg.Address)
	c.good()
	c.badLeaves()
	c.badChains()
	c.revocation()
	c.badHandshakes()
	c.badEndings()
	if c.err != nil {
		return nil, fmt.Errorf("gallery: %w", c.err)
	}
	g := &Gallery{address: cfg.Address, root: c.root, exhibits: c.exhibits, byName: make(map[string]*exhibit), outside: c.outside}
	for _, e := range c.exhibits {
		g.byName[e.Name] = e
	}
	if g.web, err = g.pages(); err != nil {
		return nil, fmt.Errorf("gallery: %w", err)
	}
	return g, nil
}

// Hosts lists the servers, group by group. The caller owns it.
func (g *Gallery) Hosts() []Host {
	var hosts []Host
	for _, e := range g.exhibits {
		hosts = append(hosts, e.clone())
	}
	return hosts
}

// Root is the one trust anchor. It is shared and must not be modified.
func (g *Gallery) Root() *x509.Certificate { return g.root.Certificate }

// RootPEM is the one trust anchor as files have it. The caller owns it.
func (g *Gallery) RootPEM() []byte { return g.root.PEM() }

// URL is that of the page.
func (g *Gallery) URL() string { return "http://" + g.address + "/" }

// RootURL is where visitors get the root certificate, in PEM.
func (g *Gallery) RootURL() string { return "http://" + g.address + RootPath }

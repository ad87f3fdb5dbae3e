package config

import (
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"securesocket/server/callers"
)

// check judges what is well by itself and may not be so together. A setting that was in error has its default here, so
// that the mistakes it makes together are found once it is mended.
func check(c *Config, errs *Errors) {
	found := slices.Clone(*errs)
	failAt := func(path string, i int, m *mistake) {
		// What has a mistake of its own is not judged a second time.
		if m != nil && !slices.ContainsFunc(found, func(e *Error) bool { return e.Path == path }) {
			errs.add(c.itemOrigin(path, i), path, m.problem, "%s", m.why)
		}
	}
	fail := func(path string, m *mistake) { failAt(path, -1, m) }
	if len(c.Listen) == 0 {
		fail("listen", mistakef(OutOfRange, "the service has to listen somewhere: name an address, or remove the key for the default Unix socket"))
	}
	for i, address := range c.Listen {
		failAt("listen", i, checkListen(c, address))
		if slices.Contains(c.Listen[:i], address) && !strings.HasSuffix(address, ":0") {
			failAt("listen", i, mistakef(Duplicate, "%s is given twice: remove one", address))
		}
	}
	if c.Admin.Listen != "" {
		fail("admin.listen", checkAdmin(c.Admin.Listen))
		if slices.Contains(c.Listen, c.Admin.Listen) {
			fail("admin.listen", mistakef(Conflict, "callers come to %s: choose another address for operators", c.Admin.Listen))
		}
	}
	families := make(map[bool]string)
	for i, address := range c.Egress.SourceAddresses {
		failAt("egress.source_addresses", i, checkSource(address, families))
	}
	if strings.HasPrefix(c.DataDir, "~") {
		fail("data_dir", mistakef(OutOfRange, "%q: only a shell knows what ~ stands for: write the whole path", c.DataDir))
	}
	checkTLS(c, fail)
	checkJWT(c, fail)
	checkLimits(c, fail)
	// Where nothing is wrong yet, the package that knows callers judges them, beside the files that are named.
	if len(*errs) > 0 || slices.ContainsFunc(slices.Concat(c.Callers.Allow, c.Callers.Administrators), kindless) {
		checkPatterns("callers.allow", c.Callers.Allow, failAt)
		checkPatterns("callers.administrators", c.Callers.Administrators, failAt)
	}
}

// kindless reports whether a pattern does not even begin as one, where most mistakes are: a name without its kind.
func kindless(pattern string) bool {
	kind, name, _ := strings.Cut(pattern, ":")
	switch {
	case pattern == "*" || pattern == callers.Anonymous:
		return false
	case callers.KindOf(pattern) == "" || name == "":
		return true
	case kind == callers.KindUID && name != "*":
		_, err := strconv.ParseUint(name, 10, 32)
		return err != nil
	}
	return false
}

func checkPatterns(path string, patterns []string, failAt func(string, int, *mistake)) {
	for i, p := range patterns {
		if err := callers.CheckPattern(p); err != nil {
			failAt(path, i, mistakef(OutOfRange, "%s", err.Error()))
		}
	}
}

func checkTLS(c *Config, fail func(string, *mistake)) {
	if c.TLS.Cert != "" && c.TLS.Key == "" {
		fail("tls.cert", mistakef(Conflict, "its private key is missing: give --tls-key (tls: {key: FILE}) too"))
	}
	if c.TLS.Key != "" && c.TLS.Cert == "" {
		fail("tls.key", mistakef(Conflict, "its certificate is missing: give --tls-cert (tls: {cert: FILE}) too"))
	}
	if c.TLS.ClientCA != "" && c.TLS.Cert == "" {
		fail("tls.client_ca", mistakef(Conflict, "client certificates are asked for where there is TLS alone: give tls.cert and tls.key too, or remove it"))
	}
	if c.TLS.ClientCRL != "" && c.TLS.ClientCA == "" {
		fail("tls.client_crl", mistakef(Conflict, "without tls.client_ca there is nothing to revoke: give it too, or remove this"))
	}
	if c.TLS.RequireClientCert && c.TLS.ClientCA == "" {
		fail("tls.require_client_cert", mistakef(Conflict, "without tls.client_ca no client certificate is good: give it too, or remove this"))
	}
}

func checkJWT(c *Config, fail func(string, *mistake)) {
	jwt := c.Callers.JWT
	if jwt.Issuer == "" {
		for _, other := range [][2]string{
			{"callers.jwt.audience", jwt.Audience}, {"callers.jwt.jwks", jwt.JWKS}, {"callers.jwt.ca", jwt.CA},
		} {
			if other[1] != "" {
				fail(other[0], mistakef(Conflict, "no JWT is believed without the name of its issuer: give callers.jwt.issuer too, or remove this"))
			}
		}
		return
	}
	if jwt.Audience == "" {
		fail("callers.jwt.issuer", mistakef(Conflict, "its tokens for somebody else would do as well: give callers.jwt.audience too"))
	}
	if jwt.JWKS != "" && jwt.CA != "" {
		fail("callers.jwt.ca", mistakef(Conflict, "with callers.jwt.jwks the issuer is not asked: remove one of the two"))
	}
	if jwt.Claim == "" {
		fail("callers.jwt.claim", mistakef(OutOfRange, "it names no claim: write one, as sub"))
	}
}

func checkLimits(c *Config, fail func(string, *mistake)) {
	for _, pair := range [][2]string{
		{"sessions_per_caller", "sessions"},
		{"listeners_per_caller", "listeners"},
		{"handshakes_per_caller", "handshakes"},
		{"connections_per_caller", "connections"},
		{"connections_per_address", "connections"},
		{"bytes_per_caller", "bytes"},
		{"buffered_per_caller", "buffered"},
		{"unfinished_per_caller", "unfinished"},
		{"memory_refuse", "memory_shed"},
	} {
		part, all := settingAt("limits."+pair[0]), settingAt("limits."+pair[1])
		if c.origins[part.path].Layer == Default && pair[0] != "memory_refuse" && part.number(c) > all.number(c) {
			part.setNumber(c, all.number(c)) // nobody has said it
		}
		if p, a := part.number(c), all.number(c); p > a {
			// Whoever said one of the two is told about it, and not about the default that it does not fit.
			at := part
			if c.origins[all.path].Layer > c.origins[part.path].Layer {
				at = all
			}
			fail(at.path, mistakef(Conflict, "%s (%s) is more than %s (%s): lower the first or raise the second",
				part.path, part.print(c), all.path, all.print(c)))
		}
	}
}

// oversights are what may be meant so, and is a mistake mostly.
func (c *Config) oversights() (warnings []string) {
	if c.TLS.Cert != "" && !slices.ContainsFunc(c.Listen, func(a string) bool { return strings.HasPrefix(a, tlsScheme) }) {
		warnings = append(warnings, c.Where("tls.cert")+": no address of listen begins with grpcs://, so nobody is shown the certificate")
	}
	if c.Callers.Allow != nil && len(c.Callers.Allow) == 0 {
		warnings = append(warnings, c.Where("callers.allow")+": nobody is let in: name principals, or remove the key")
	}
	if c.Egress.FlashOrigin != "" && c.Egress.FlashPolicy == "off" {
		warnings = append(warnings, c.Where("egress.flash_origin")+": it has no effect while egress.flash_policy is off")
	}
	if c.DataDir != "" && !filepath.IsAbs(c.DataDir) {
		warnings = append(warnings, fmt.Sprintf("%s: %q is below the folder in which the service is started: write the whole path", c.Where("data_dir"), c.DataDir))
	}
	for _, s := range settings {
		if !s.secret {
			continue
		}
		switch field := s.into(c).(type) {
		case *string:
			warnings = append(warnings, exposed(c.Where(s.path), *field)...)
		case *map[string]KeyPair:
			for _, it := range itemsOf(field) {
				warnings = append(warnings, exposed(c.WhereItem(s.path, it.name), it.key)...)
			}
		}
	}
	return warnings
}

// exposed warns of a file with secrets that every user of the machine can read. Whether it is there at all is not
// judged here.
func exposed(where, file string) []string {
	if file == "" || !everybodyMay(0o004, file) {
		return nil
	}
	return []string{fmt.Sprintf("%s: every user of the machine can read %q: take the right away with chmod o-rwx", where, file)}
}

// everybodyMay tells whether the mode of a file, if it is one, has a right of all users.
func everybodyMay(right fs.FileMode, file string) bool {
	info, err := os.Stat(file)
	return err == nil && info.Mode().IsRegular() && info.Mode().Perm()&right != 0
}

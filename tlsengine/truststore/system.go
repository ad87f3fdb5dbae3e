package truststore

import (
	"crypto/sha256"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"strings"

	"golang.org/x/crypto/x509roots/fallback/bundle"
)

// SystemConfig says where the machine's anchors are. The zero value means the places that crypto/x509 knows.
type SystemConfig struct {
	// CertFile is a PEM file to read in place of the usual ones, as SSL_CERT_FILE means it. Empty: the usual ones.
	CertFile string
	// CertDirs are folders to read in place of the usual ones, as SSL_CERT_DIR means it: separated as PATH is. Empty: the
	// usual ones.
	CertDirs string
}

// SystemError reports that the machine's anchors cannot be read.
type SystemError struct {
	Path string // where; empty: in all the places that the configuration names
	Err  error
}

func (e *SystemError) Error() string {
	if e.Path == "" {
		return "truststore: the machine's anchors: " + e.Err.Error()
	}
	return "truststore: the machine's anchors in " + e.Path + ": " + e.Err.Error()
}

// Unwrap returns Err.
func (e *SystemError) Unwrap() error { return e.Err }

var errNoAnchor = errors.New("no certificate where the configuration says they are")

// LoadSystem reads the machine's anchors, the same that x509.SystemCertPool has: the first of the usual files, and every
// file of the usual folders. What does not parse is passed over, as there. The files are read once, now.
//
// A machine that has none gets those of [Bundled]; so do platforms where crypto/x509 asks the operating system about each
// chain (macOS, iOS, Windows), as there are no anchors to list. But nobody's choice is widened: when the configuration
// names a place, or when a place is there and cannot be read, and no anchor is found, the answer is a *SystemError.
func LoadSystem(cfg SystemConfig) (*Set, error) {
	files, dirs := searchPaths(runtime.GOOS)
	return loadSystem(cfg, files, dirs)
}

func loadSystem(cfg SystemConfig, files, dirs []string) (*Set, error) {
	if cfg.CertFile != "" {
		files = []string{cfg.CertFile}
	}
	if cfg.CertDirs != "" {
		dirs = strings.Split(cfg.CertDirs, string(os.PathListSeparator))
	}
	var l systemLoader
	for _, file := range files {
		b, err := os.ReadFile(file)
		if err == nil {
			l.add(b)
			break // the files are the same list for different systems
		}
		l.failed(file, err)
	}
	for _, dir := range dirs {
		names, err := readDir(dir)
		if err != nil {
			l.failed(dir, err)
			continue
		}
		for _, name := range names {
			if b, err := os.ReadFile(filepath.Join(dir, name)); err == nil {
				l.add(b)
			}
		}
	}
	switch {
	case len(l.entries) > 0:
		set, _ := new(Set).add(l.entries, l.sums)
		return set, nil
	case l.err != nil:
		return nil, l.err
	case cfg != SystemConfig{}:
		return nil, &SystemError{Err: errNoAnchor}
	}
	return Bundled()
}

// systemLoader collects the anchors of several files. Most are in a folder as well as in the file, so each is parsed once.
type systemLoader struct {
	entries []Entry
	sums    [][sha256.Size]byte
	seen    map[[sha256.Size]byte]bool
	err     error // the first, of a place that is there
}

func (l *systemLoader) failed(path string, err error) {
	if l.err == nil && !errors.Is(err, fs.ErrNotExist) {
		l.err = &SystemError{path, err}
	}
}

func (l *systemLoader) add(b []byte) {
	if l.seen == nil {
		l.seen = make(map[[sha256.Size]byte]bool)
	}
	for block, rest := pem.Decode(b); block != nil; block, rest = pem.Decode(rest) {
		sum := sha256.Sum256(block.Bytes)
		if block.Type != "CERTIFICATE" || len(block.Headers) != 0 || l.seen[sum] {
			continue
		}
		if cert, err := x509.ParseCertificate(block.Bytes); err == nil {
			l.seen[sum] = true
			l.entries = append(l.entries, Entry{Cert: cert, Trusted: true})
			l.sums = append(l.sums, sum)
		}
	}
}

// readDir lists a folder without the links that lead to a file of the same folder: OpenSSL finds certificates by links
// named for hashes.
func readDir(dir string) (names []string, err error) {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil, err
	}
	for _, e := range entries {
		if e.Type()&fs.ModeSymlink != 0 {
			target, err := os.Readlink(filepath.Join(dir, e.Name()))
			if err == nil && !strings.Contains(target, "/") {
				continue
			}
		}
		names = append(names, e.Name())
	}
	return names, nil
}

// Bundled returns the anchors that the program carries: those of Mozilla's list, with the dates after which a root's new
// certificates are not trusted as constraints. They are as old as the program.
func Bundled() (*Set, error) {
	var entries []Entry
	for root := range bundle.Roots() {
		cert, err := x509.ParseCertificate(root.Certificate)
		if err != nil {
			return nil, &SystemError{"the program", err}
		}
		entries = append(entries, Entry{Cert: cert, Trusted: true, Constraint: root.Constraint})
	}
	return NewSet(entries...), nil
}

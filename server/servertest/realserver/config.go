package realserver

import "testing"

// Config is what a server is given.
type Config struct {
	// Required. Finds the first of some programs that is there. Without one it
	// does not return, but skips or fails the test.
	Find func(tb testing.TB, names ...string) string
	// The chain, leaf first, and its key, PEM. Without them the server has no TLS.
	Certificate, Key []byte
}

func (c Config) hasTLS() bool { return len(c.Certificate) > 0 }

//go:build !linux

package hardening

// Apply hardens this process as far as the system can, for good. To call it again changes nothing.
func Apply() error { return noCore() }

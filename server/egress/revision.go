package egress

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"maps"
	"net/netip"
	"slices"
)

// builtinRevision is the revision of the zero Policy.
const builtinRevision = "builtin"

// Revision identifies the policy in logs: 12 hexadecimal digits of a hash over all
// that it was made from, the file's bytes and this host's addresses included.
// Equal inputs give equal revisions, whatever the file's name, on every host that has
// the same addresses.
func (p *Policy) Revision() string {
	if p.revision == "" {
		return builtinRevision
	}
	return p.revision
}

func revision(cfg Config, own ownAddrs) string {
	h := sha256.New()
	var file [sha256.Size]byte
	if cfg.File != nil {
		file = cfg.File.digest
	}
	interfaces := slices.Collect(maps.Keys(own.interfaces))
	slices.SortFunc(interfaces, func(a, b netip.Addr) int { return a.Compare(b) })
	// %q quotes, so that no two lists are written alike.
	_, _ = fmt.Fprintf(h, "%t %x %q %t %v %v", cfg.File != nil, file, cfg.Allow, cfg.HasAllowList, cfg.Own, interfaces)
	return hex.EncodeToString(h.Sum(nil)[:6])
}

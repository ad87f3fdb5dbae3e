//go:build unix

package realserver

import (
	"os"
	"os/user"
	"strconv"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"
)

// account is who runs a server. PostgreSQL refuses to be root, and the others
// would look for users of their own then.
type account struct {
	user, group string
	uid, gid    int
	credential  *syscall.Credential // nil: as whoever runs the test
}

func unprivileged(tb testing.TB) account {
	tb.Helper()
	u, err := user.Current()
	if err == nil && os.Geteuid() == 0 {
		u, err = user.Lookup("nobody")
	}
	require.NoError(tb, err)
	g, err := user.LookupGroupId(u.Gid)
	require.NoError(tb, err)
	a := account{user: u.Username, group: g.Name}
	a.uid, err = strconv.Atoi(u.Uid)
	require.NoError(tb, err)
	a.gid, err = strconv.Atoi(u.Gid)
	require.NoError(tb, err)
	if os.Geteuid() == 0 {
		a.credential = &syscall.Credential{Uid: uint32(a.uid), Gid: uint32(a.gid)}
	}
	return a
}

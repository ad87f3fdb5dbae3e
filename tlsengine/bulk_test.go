package tlsengine_test

import (
	"crypto/sha256"
	"crypto/tls"
	"io"
	"math/rand/v2"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"
)

// Both directions are full at once, by writes of all sizes.
func TestBulkBothWays(t *testing.T) {
	t.Parallel()
	const total = 4 << 20
	type sum = [sha256.Size]byte
	send := func(w io.Writer, seed uint64) (sum, error) {
		random, hash := rand.NewChaCha8([32]byte{byte(seed)}), sha256.New()
		sizes := rand.New(rand.NewPCG(seed, 1))
		for left := total; left > 0; {
			p := make([]byte, min(left, 1+sizes.IntN(200<<10)))
			_, _ = random.Read(p)
			hash.Write(p)
			if _, err := w.Write(p); err != nil {
				return sum{}, err
			}
			left -= len(p)
		}
		return sum(hash.Sum(nil)), nil
	}
	receive := func(r io.Reader) (sum, error) {
		hash := sha256.New()
		_, err := io.CopyN(hash, r, total)
		return sum(hash.Sum(nil)), err
	}
	bothRoles(t, func(t *testing.T, version uint16, connect connecting) {
		sums := make(chan sum, 2)
		conn := connect(t, version, func(c *tls.Conn) {
			var wg sync.WaitGroup
			wg.Go(func() {
				got, _ := receive(c)
				sums <- got
			})
			sent, _ := send(c, 1)
			wg.Wait()
			sums <- sent
		})
		var wg sync.WaitGroup
		var ours sum
		var err error
		wg.Go(func() { ours, err = send(conn, 2) })
		got, readErr := receive(conn)
		wg.Wait()
		require.NoError(t, err)
		require.NoError(t, readErr)
		require.Equal(t, <-sums, ours)
		require.Equal(t, <-sums, got)
		require.NoError(t, conn.Close())
	})
}

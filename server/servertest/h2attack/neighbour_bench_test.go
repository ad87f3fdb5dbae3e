package h2attack_test

import (
	"context"
	"net"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"securesocket/server/door"
	"securesocket/server/servertest/h2attack"
)

// BenchmarkNeighbour is the latency of a caller beside somebody who floods
// without end, over a new connection whenever one was ended.
func BenchmarkNeighbour(b *testing.B) {
	attacks := map[string]h2attack.Attack{
		"nothing": func(ctx context.Context, _ h2attack.Dialer, _ h2attack.Options) (h2attack.Result, error) {
			<-ctx.Done()
			return h2attack.Result{}, ctx.Err()
		},
		"rapid reset":       h2attack.RapidReset,
		"made you reset":    h2attack.MadeYouReset(h2attack.ConnectionHeader),
		"SETTINGS":          h2attack.SettingsFlood,
		"SETTINGS of 2,000": h2attack.LargeSettingsFlood,
		"empty DATA":        h2attack.EmptyDataFlood,
	}
	for name, start := range map[string]func() target{
		"alone":         func() target { return product(b, "tcp", nil) },
		"behind a door": func() target { return product(b, "tcp", door.New(door.Config{})) },
	} {
		for attack, run := range attacks {
			b.Run(attack+"/"+name, func(b *testing.B) {
				target := start()
				require.NoError(b, target.call(b.Context()))
				ctx, cancel := context.WithCancel(b.Context())
				ended := make(chan struct{})
				dial := func() (net.Conn, error) {
					conn, err := target.dial()
					if err != nil {
						time.Sleep(time.Millisecond)
					}
					return conn, err
				}
				go func() {
					defer close(ended)
					for ctx.Err() == nil {
						_, _ = run(ctx, dial, h2attack.Options{Count: 100_000, Path: target.path})
					}
				}()
				var took []time.Duration
				for b.Loop() {
					begin := time.Now()
					require.NoError(b, target.call(b.Context()))
					took = append(took, time.Since(begin))
				}
				cancel()
				<-ended
				slices.Sort(took)
				b.ReportMetric(float64(took[len(took)/2].Microseconds()), "p50-us")
				b.ReportMetric(float64(took[len(took)*99/100].Microseconds()), "p99-us")
			})
		}
	}
}

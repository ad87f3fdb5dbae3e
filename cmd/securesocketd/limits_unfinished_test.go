package main

import (
	"crypto/tls"
	"net"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	pb "securesocket/gen/securesocket/v1"
	"securesocket/server/servertest/h2attack"
)

// TestThreat41MessagesThatDoNotEnd has somebody begin messages on 2,000 streams of several
// connections, 500 MiB on each, and stay. The service holds no more than it may, and a
// neighbour's messages get through.
func TestThreat41MessagesThatDoNotEnd(t *testing.T) { //nolint:paralleltest // it measures memory
	const mib = 1 << 20
	for name, most := range map[string]int{"caller": 32 * mib, "stranger": 8 * mib} {
		t.Run(name, func(t *testing.T) { //nolint:paralleltest // one after the other
			d := startFronted(t, "--limits-unfinished", "64MiB", "--limits-unfinished-per-caller", "32MiB")
			dial := d.another()
			if name == "stranger" {
				nobody := d.caller.Clone()
				nobody.Certificates = nil
				from := &net.Dialer{LocalAddr: &net.TCPAddr{IP: net.IPv4(127, 5, 0, 1)}}
				dial = func() (net.Conn, error) { return tls.DialWithDialer(from, "tcp", d.addr, nobody) }
			}
			c := d.client(t)
			baseline := d.resident(t)
			peak, ended := baseline, 0
			took := during(t, c, func() {
				results := make(chan h2attack.Result)
				const attackers = 4
				for range attackers {
					go func() {
						r, _ := h2attack.UnfinishedMessages(t.Context(), dial, h2attack.Options{
							Count: 2000, Timeout: 10 * time.Second, Known: name == "caller",
							Path: pb.SecureSocketService_GetCapabilities_FullMethodName,
						}) // an error: it was refused as it came
						results <- r
					}()
				}
				for range attackers {
					if r := <-results; r.End != h2attack.EndOpen || r.Frames == 0 {
						ended++
					}
				}
			}, func() { peak = max(peak, d.resident(t)) })
			t.Logf("memory +%d KiB, %d ended, neighbour's p99 %v", (peak-baseline)>>10, ended, took)
			require.Positive(t, ended)
			// The buffers of messages and of those who read them, and a collector that has not been there yet.
			require.Less(t, peak-baseline, 3*most+48*mib)
			_, err := d.client(t).GetCapabilities(t.Context(), &pb.GetCapabilitiesRequest{})
			require.NoError(t, err)
		})
	}
}

package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"time"

	"github.com/spf13/cobra"

	"securesocket/client"
	"securesocket/cmd/internal/benchpeers"
	"securesocket/cmd/internal/benchpeers/load"
	"securesocket/cmd/securesocket/internal/terminal"
)

// bench is what one command has measured. Its fields are the JSON.
type bench struct {
	Service  string        `json:"service"`
	Peer     string        `json:"peer"`
	Sessions int           `json:"sessions"`
	Results  []benchResult `json:"results"`
}

// benchResult is one figure.
type benchResult struct {
	What  string  `json:"what"`
	Value float64 `json:"value"`
	Unit  string  `json:"unit"`
}

func (b *bench) add(what string, value float64, unit string) {
	b.Results = append(b.Results, benchResult{what, value, unit})
}

// latencies adds the median and the 99th percentile.
func (b *bench) latencies(what string, l load.Latencies) {
	b.add(what+", p50", float64(l.P50)/float64(time.Microsecond), "us")
	b.add(what+", p99", float64(l.P99)/float64(time.Microsecond), "us")
}

// ownPeer measures everything with a peer in this process.
func (b *bench) ownPeer(ctx context.Context, c *client.Client, duration time.Duration) error {
	identity, err := load.NewIdentity()
	if err != nil {
		return err
	}
	peer, err := load.StartPeer(identity, false)
	if err != nil {
		return err
	}
	defer peer.Close()
	b.Peer = peer.Address()
	dial := benchpeers.ServiceDial(c, peer.Address(), identity.CA, func(*client.Dialer) {})
	measure := func(slice time.Duration) error {
		for _, n := range several(b.Sessions) {
			for _, direction := range []load.Direction{load.Down, load.Up} {
				moved, err := load.Bulk(ctx, dial, direction, n, slice)
				if err != nil {
					return err
				}
				b.add(fmt.Sprintf("bulk %s, sessions: %d", direction, n), moved.Rate(), "GiB/s")
			}
		}
		for _, size := range []int{64, 16 << 10} {
			for _, n := range several(b.Sessions) {
				echoes, err := load.Echo(ctx, dial, size, n, slice)
				if err != nil {
					return err
				}
				what := fmt.Sprintf("echo of %d bytes, sessions: %d", size, n)
				b.latencies(what, echoes)
				b.add(what, echoes.Rate(), "messages/s")
			}
		}
		opened, err := load.Openings(ctx, dial, b.Sessions, true, slice)
		if err != nil {
			return err
		}
		b.add(fmt.Sprintf("new sessions, at once: %d", b.Sessions), opened.Rate(), "/s")
		return nil
	}
	if err := measure(duration / time.Duration(4*len(several(b.Sessions))+1)); err != nil {
		if terms := peer.Err(); terms != nil {
			return fmt.Errorf("the peer wants TLS 1.3 with TLS_AES_128_GCM_SHA256 and X25519: %w", errors.Join(terms, err))
		}
		return err
	}
	return nil
}

// several is 1 and what the user asked for.
func several(sessions int) []int {
	if sessions == 1 {
		return []int{1}
	}
	return []int{1, sessions}
}

// anyPeer measures what needs nothing of the peer but TLS. The flags are judged at once.
func (b *bench) anyPeer(cmd *cobra.Command, address string, flags *tlsFlags, duration time.Duration) (func(*client.Client) error, error) {
	t, err := parseTarget(address)
	if err != nil {
		return nil, err
	}
	settings, anchors, err := flags.settings(cmd)
	if err != nil {
		return nil, err
	}
	b.Peer = t.String()
	return func(c *client.Client) error {
		dialer := &client.Dialer{Client: c, Settings: settings, RootCAs: anchors, Timeout: flags.timeout}
		dial := func(ctx context.Context) (net.Conn, error) {
			conn, err := dialer.Dial(ctx, "tcp", t.String())
			if err != nil {
				return nil, err
			}
			return abruptConn{conn}, nil
		}
		opened, err := load.Openings(cmd.Context(), dial, b.Sessions, false, duration)
		if err != nil {
			return err
		}
		b.latencies("connecting, with the handshake", opened)
		b.add(fmt.Sprintf("new sessions, at once: %d", b.Sessions), opened.Rate(), "/s")
		return nil
	}, nil
}

// abruptConn does not wait for a peer that need not end because we do.
type abruptConn struct{ *client.Conn }

// Close resets the connection.
func (c abruptConn) Close() error {
	c.Abort()
	return nil
}

func (b *bench) text() []byte {
	var out terminal.Text
	out.Line("service  %s", b.Service)
	out.Line("peer     %s", b.Peer)
	for _, r := range b.Results {
		out.Line("  %-36s %10.2f %s", r.What, r.Value, r.Unit)
	}
	return out.Bytes()
}

func (b *bench) json() ([]byte, error) {
	content, err := json.Marshal(b)
	if err != nil {
		return nil, err
	}
	return indentJSON(content)
}

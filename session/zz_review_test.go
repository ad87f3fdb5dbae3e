package session

import (
	"context"
	"crypto/sha256"
	"crypto/tls"
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"securesocket/session/durable"
	"securesocket/tlsengine"
	"securesocket/tlsengine/revocation"
	"securesocket/tlsengine/truststore"
)

type openEgress struct{ Egress }

func sysNone() (*truststore.Set, error) { return truststore.NewSet(), nil }

func TestZZKeyCollision(t *testing.T) {
	r := NewRegistry(Config{Egress: openEgress{}, System: sysNone})
	s, _, _, err := r.Create("o", Settings{}, false, Request{})
	require.NoError(t, err)
	key := func(port int) [32]byte {
		c := &connection{s: s, target: Target{Name: "h.example", Port: port}}
		return c.resumptionKey(&tlsengine.Config{VerifyNames: []string{"h.example"}})
	}
	for _, p := range [][2]int{{55296, 55297}, {57343, 55555}, {65533, 56000}, {443, 444}} {
		fmt.Println(p, key(p[0]) == key(p[1]))
	}
}

func TestZZDefaultsDropped(t *testing.T) {
	store := durable.Memory()
	r := NewRegistry(Config{Egress: openEgress{}, System: sysNone, Store: store})
	_, _, err := r.UpdateDefaults("o", func(Settings) (Settings, error) {
		return Settings{Override: OverrideAsk, TrustBase: TrustNone, Revocation: revocation.Hard, Pins: [][sha256.Size]byte{{1}}}, nil
	})
	require.NoError(t, err)
	r = NewRegistry(Config{Egress: openEgress{}, System: sysNone, Store: store, ForbidOverride: true})
	d, err := r.Defaults("o")
	fmt.Printf("defaults after --forbid-override: %+v err=%v\n", d, err)
	e := d.Effective()
	fmt.Println("base", e.TrustBase, "revocation", e.Revocation, "pins", len(e.Pins))
	_ = tls.VersionTLS12
}

func TestZZUpdateDefaultsHoldsOthers(t *testing.T) {
	r := NewRegistry(Config{Egress: openEgress{}, System: sysNone})
	// A owner's turn is taken by other work of his.
	var dones []func()
	for range 64 {
		ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
		d, err := r.Turn(ctx, "hostile")
		cancel()
		if err != nil {
			break
		}
		dones = append(dones, d)
	}
	started := make(chan struct{})
	ctx, cancel := context.WithCancel(t.Context())
	go func() {
		_, _, _ = r.UpdateDefaults("hostile", func(have Settings) (Settings, error) {
			close(started)
			done, err := r.Turn(ctx, "hostile") // what server.identities.one does
			if err != nil {
				return have, err
			}
			done()
			return have, nil
		})
	}()
	<-started
	created := make(chan struct{})
	go func() { _, _, _, _ = r.Create("innocent", Settings{}, false, Request{}); close(created) }()
	select {
	case <-created:
		fmt.Println("created")
	case <-time.After(2 * time.Second):
		fmt.Println("another owner's Create is blocked while the hostile UpdateDefaults waits")
	}
	cancel()
	<-created
	for _, d := range dones {
		d()
	}
}

package server_test

import (
	"bytes"
	"compress/gzip"
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"runtime/pprof"

	"github.com/stretchr/testify/require"
	"google.golang.org/grpc"
	"google.golang.org/protobuf/proto"

	pb "securesocket/gen/securesocket/v1"
	"securesocket/tlsengine/tlstest"
)

// asIs is a codec for bytes that are no message.
type asIs struct{}

func (asIs) Marshal(v any) ([]byte, error)   { return *v.(*[]byte), nil }
func (asIs) Unmarshal(b []byte, v any) error { *v.(*[]byte) = bytes.Clone(b); return nil }
func (asIs) Name() string                    { return "proto" }

// malformed sends what is no message, with secrets in it, to calls that exist and to one that does not.
func (b *battery) malformed() {
	b.t.Helper()
	cc := b.svc.Dial(b.t) // whose replies are no messages either: only failures are noted
	for n, k := range b.keys {
		id := clientLeaf(b.clients, tlstest.Key(k.key))
		wire, err := proto.Marshal(&pb.CreateSessionRequest{Settings: having(keyPair(b.pair(b.t, n, id, b.passphrases[n%len(b.passphrases)])))})
		require.NoError(b.t, err)
		for _, method := range []string{pb.SecureSocketService_CreateSession_FullMethodName, pb.TrustService_AddCertificates_FullMethodName,
			"/securesocket.v1.SecureSocketService/Nothing", "/securesocket.v1.Nothing/CreateSession"} {
			for _, bad := range [][]byte{wire[:len(wire)-1], append([]byte{0xff}, wire...), append(bytes.Clone(wire), 0x0a, 0x7f)} {
				var reply []byte
				err = cc.Invoke(b.bearing(b.t.Context()), method, &bad, &reply, grpc.ForceCodec(asIs{}))
				require.Error(b.t, err)
				b.heard.failure(err)
			}
		}
	}
}

// hold leaves a session of each kind of identity live.
func (b *battery) hold() (live []*caller) {
	b.t.Helper()
	for n, k := range b.keys {
		id := clientLeaf(b.clients, tlstest.Key(k.key))
		pair := b.pair(b.t, n, id, b.passphrases[n%len(b.passphrases)])
		c := open(b.t, b.c, b.good.addr, b.good.ca, withSettingsOf(having(keyPair(pair))))
		c.secure()
		live = append(live, c)
	}
	return live
}

// profiles are what an operator may ask the process for, metrics included.
func (b *battery) profiles() {
	b.t.Helper()
	scrape := httptest.NewRecorder()
	b.count.Handler().ServeHTTP(scrape, httptest.NewRequestWithContext(b.t.Context(), http.MethodGet, "/metrics", http.NoBody))
	require.Equal(b.t, http.StatusOK, scrape.Code)
	_, _ = b.heard.Write(scrape.Body.Bytes())
	for _, p := range pprof.Profiles() {
		for debug := range 3 {
			var out bytes.Buffer
			require.NoError(b.t, p.WriteTo(&out, debug))
			if debug == 0 {
				unzipped, err := gzip.NewReader(&out)
				require.NoError(b.t, err)
				all, err := io.ReadAll(unzipped)
				require.NoError(b.t, err)
				out = *bytes.NewBuffer(all)
			}
			_, _ = b.heard.Write(out.Bytes())
		}
	}
}

// drained ends the service under its sessions.
func (b *battery) drained(live []*caller) {
	b.t.Helper()
	ctx, cancel := context.WithCancel(b.t.Context())
	cancel() // at once
	b.svc.Server.Drain(ctx)
	for _, k := range live {
		for err := error(nil); err == nil; {
			err = k.next()
		}
	}
	_, err := b.c.CreateSession(b.t.Context(), &pb.CreateSessionRequest{Settings: having(keyPair(b.pair(b.t, 0, clientLeaf(b.clients, tlstest.Key(b.keys[0].key)), "")))})
	require.Error(b.t, err)
}

func (b *battery) keepsAll() {
	b.t.Helper()
	b.heard.mu.Lock()
	defer b.heard.mu.Unlock()
	text := b.heard.text.Bytes()
	for _, told := range []string{"level=DEBUG", `"level":"DEBUG"`, "connection closed", "INVALID_PRIVATE_KEY", "INVALID_CERTIFICATE", "INVALID_FIELD",
		"PROXY_REFUSED", "EGRESS_DENIED", "INTERNAL", "RESUME_TOKEN", "UNAUTHENTICATED", "panic", "a defect", "goroutine ", "heap profile", "securesocket_refusals_total"} {
		require.True(b.t, bytes.Contains(text, []byte(told)), "the service is overheard: %s", told)
	}
	require.NotEmpty(b.t, b.heard.tokens)
	for n, token := range b.heard.tokens {
		b.sieve.add(fmt.Sprintf("resume token %d", n), token)
	}
	require.Empty(b.t, b.sieve.find(text))
	b.t.Logf("%d secrets, of them %d resume tokens; %d calls; %d bytes told", len(b.secrets)+len(b.heard.tokens), len(b.heard.tokens), b.calls.Load(), len(text))
}

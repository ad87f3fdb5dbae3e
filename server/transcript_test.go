package server_test

import (
	"bytes"
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/rsa"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"

	"securesocket/server"
	"securesocket/server/servertest"
	"securesocket/session"
)

// transcript is everything that the service told: its log, and every reply,
// frame and status. It may be written from anywhere.
type transcript struct {
	mu     sync.Mutex
	text   bytes.Buffer
	tokens [][]byte // resume tokens, which are secrets everywhere else
}

func (t *transcript) Write(p []byte) (int, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.text.Write(p)
}

// message notes a message as bytes and as text, without the field that hands
// the resume token out.
func (t *transcript) message(m proto.Message) {
	m = proto.Clone(m)
	withoutToken(m.ProtoReflect(), func(token []byte) {
		t.mu.Lock()
		defer t.mu.Unlock()
		t.tokens = append(t.tokens, token)
	})
	raw, _ := proto.Marshal(m)
	text, _ := protojson.Marshal(m)
	_, _ = fmt.Fprintf(t, "%s\n%s\n", raw, text)
}

// withoutToken takes the resume token out of `attached` and of the reply of
// CreateSession.
func withoutToken(m protoreflect.Message, found func([]byte)) {
	m.Range(func(fd protoreflect.FieldDescriptor, v protoreflect.Value) bool {
		if fd.Name() == "resume_token" {
			found(bytes.Clone(v.Bytes()))
			m.Clear(fd)
		} else if fd.Name() == "attached" && fd.Kind() == protoreflect.MessageKind {
			withoutToken(v.Message(), found)
		}
		return true
	})
}

func (t *transcript) failure(err error) {
	if err != nil {
		_, _ = fmt.Fprintf(t, "%v %+v\n", err, err)
		t.message(status.Convert(err).Proto())
	}
}

func (t *transcript) unary(ctx context.Context, method string, req, reply any, cc *grpc.ClientConn, invoke grpc.UnaryInvoker, opts ...grpc.CallOption) error {
	err := invoke(ctx, method, req, reply, cc, opts...)
	if err == nil {
		t.message(reply.(proto.Message))
	}
	t.failure(err)
	return err
}

func (t *transcript) stream(ctx context.Context, d *grpc.StreamDesc, cc *grpc.ClientConn, method string, streamer grpc.Streamer, opts ...grpc.CallOption) (grpc.ClientStream, error) {
	s, err := streamer(ctx, d, cc, method, opts...)
	return overheard{s, t}, err
}

type overheard struct {
	grpc.ClientStream

	t *transcript
}

func (s overheard) RecvMsg(m any) error {
	err := s.ClientStream.RecvMsg(m)
	if err == nil {
		s.t.message(m.(proto.Message))
	}
	s.t.failure(err)
	return err
}

// startOverheard starts a service whose every word is noted, its log at the
// debug level included.
func startOverheard(tb testing.TB) (*transcript, *grpc.ClientConn) {
	tb.Helper()
	t := &transcript{}
	log := slog.New(slog.NewTextHandler(t, &slog.HandlerOptions{Level: slog.LevelDebug}))
	svc := servertest.Start(tb, func(sc *session.Config, sv *server.Config) { sc.Logger, sv.Logger = log, log })
	cc, err := grpc.NewClient("passthrough:///service", grpc.WithContextDialer(svc.DialContext),
		grpc.WithTransportCredentials(insecure.NewCredentials()), grpc.WithUnaryInterceptor(t.unary), grpc.WithStreamInterceptor(t.stream))
	require.NoError(tb, err)
	tb.Cleanup(func() { _ = cc.Close() })
	return t, cc
}

// spellings are how nine bytes of a secret may be written: as they are, quoted,
// in hexadecimal, as numbers, and in base64, of which every third starts a group.
func spellings(window []byte) []string {
	quoted := fmt.Sprintf("%q", window)
	numbers := strings.Trim(fmt.Sprint(window), "[]")
	return []string{
		string(window), quoted[1 : len(quoted)-1], hex.EncodeToString(window), strings.ToUpper(hex.EncodeToString(window)),
		numbers, strings.ReplaceAll(numbers, " ", ","), base64.StdEncoding.EncodeToString(window), base64.URLEncoding.EncodeToString(window),
	}
}

// shows finds a secret in a text, over line breaks too.
func shows(text string, secret []byte) (string, bool) {
	// Three groups of base64; and three windows of every twelve, since one of three begins a group.
	const window, stride, kept = 9, 12, 3
	joined := strings.NewReplacer("\n", "", "\r", "", `\n`, "", `\r`, "", "\t", "").Replace(text)
	for i := range max(1, len(secret)-window+1) {
		if i%stride >= kept {
			continue
		}
		for _, s := range spellings(secret[i:min(i+window, len(secret))]) {
			if strings.Contains(text, s) || strings.Contains(joined, s) {
				return s, true
			}
		}
	}
	return "", false
}

// keeps sees that nothing of the secrets was told.
func (t *transcript) keeps(tb testing.TB, secrets ...[]byte) {
	tb.Helper()
	now := func() (text string, tokens [][]byte) {
		t.mu.Lock()
		defer t.mu.Unlock()
		return t.text.String(), t.tokens
	}
	for _, told := range []string{"connection closed", "level=DEBUG", "spkiSha256", "INVALID_PRIVATE_KEY"} {
		require.Eventually(tb, func() bool { text, _ := now(); return strings.Contains(text, told) }, patience, time.Millisecond, "the service is overheard: %s", told)
	}
	text, tokens := now()
	for _, secret := range append(secrets, tokens...) {
		s, shown := shows(text, secret)
		require.False(tb, shown, "a secret was told: %q", s)
	}
}

// secretsOf is the private part of a key, not the public one beside it.
func secretsOf(tb testing.TB, key crypto.Signer) [][]byte {
	tb.Helper()
	const enough = 64 // of a long number
	switch key := key.(type) {
	case *rsa.PrivateKey:
		return [][]byte{key.D.Bytes()[:enough], key.Primes[0].Bytes()[:enough], key.Primes[1].Bytes()[:enough]}
	case *ecdsa.PrivateKey:
		d, err := key.Bytes()
		require.NoError(tb, err)
		return [][]byte{d}
	case ed25519.PrivateKey:
		return [][]byte{key.Seed()}
	}
	require.Fail(tb, "unknown kind of key")
	return nil
}

// The test of the test: each spelling is found, however it is broken.
func TestASecretIsSeen(t *testing.T) {
	t.Parallel()
	secret := []byte("a secret \x00\xff\x80 of 32 bytes, canary")
	for name, text := range map[string]string{
		"raw":               "x" + string(secret) + "y",
		"hex":               hex.EncodeToString(secret),
		"numbers":           fmt.Sprint(secret),
		"quoted":            fmt.Sprintf("%q", secret),
		"a part, in base64": base64.StdEncoding.EncodeToString(secret[3:30]),
		"shifted":           base64.RawURLEncoding.EncodeToString(append([]byte("x"), secret...)),
		"PEM":               strings.Join(slices.Collect(chunksOf(base64.StdEncoding.EncodeToString(secret), 10)), "\r\n"),
	} {
		_, shown := shows(text, secret)
		require.True(t, shown, name)
	}
	_, shown := shows(string(secret[:8]), secret)
	require.False(t, shown)
}

func chunksOf(s string, n int) func(func(string) bool) {
	return func(yield func(string) bool) {
		for chunk := range slices.Chunk([]byte(s), n) {
			if !yield(string(chunk)) {
				return
			}
		}
	}
}

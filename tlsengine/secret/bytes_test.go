package secret_test

import (
	"bytes"
	"encoding/base64"
	"encoding/gob"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"log/slog"
	"strings"
	"testing"

	"securesocket/tlsengine/secret"

	"github.com/stretchr/testify/require"
	"go.yaml.in/yaml/v3"
)

const canary = "CANARY-open-sesame-4711"

var verbs = []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%X", "% x", "%#x", "%d", "%t", "%c", "%U", "%o", "%b", "%20s", "%.3s", "%!", "%w"}

// holder has a secret where methods are asked, where they are not, and behind everything that fmt follows.
type holder struct {
	Shown   secret.Bytes
	Pointer *secret.Bytes
	hidden  secret.Bytes
	deeper  struct{ inner []secret.Bytes }
	keyed   map[string]secret.Bytes
	any     any
}

func newHolder(s secret.Bytes) holder {
	h := holder{Shown: s, Pointer: &s, hidden: s, keyed: map[string]secret.Bytes{"k": s}, any: s}
	h.deeper.inner = []secret.Bytes{s}
	return h
}

func TestNothingIsPrinted(t *testing.T) {
	t.Parallel()
	s := secret.FromString(canary)
	h := newHolder(s)
	var out bytes.Buffer
	for _, v := range []any{s, &s, h, &h, []secret.Bytes{s}, [1]secret.Bytes{s}, map[string]secret.Bytes{"k": s}, map[secret.Bytes]int{s: 1}, []any{h}, fmt.Errorf("wrapped: %v", s)} {
		for _, verb := range verbs {
			fmt.Fprintf(&out, verb+"\n", v)
		}
		fmt.Fprintln(&out, v)
		slog.New(slog.NewTextHandler(&out, nil)).Info("m", "v", v, slog.Group("g", "v", v))
		slog.New(slog.NewJSONHandler(&out, nil)).Info("m", "v", v)
		require.NoError(t, json.NewEncoder(&out).Encode(v))
	}
	text, err := yaml.Marshal(struct{ Own secret.Bytes }{s})
	require.NoError(t, err)
	out.Write(text)
	requireNothing(t, out.String())
	require.Contains(t, string(text), secret.Redacted)
}

func TestEachFormIsRedacted(t *testing.T) {
	t.Parallel()
	for _, s := range []secret.Bytes{{}, secret.FromString(canary)} {
		for _, verb := range verbs[:10] {
			require.Equal(t, secret.Redacted, fmt.Sprintf(verb, s), verb)
		}
		require.Equal(t, secret.Redacted, s.String())
		require.Equal(t, secret.Redacted, s.GoString())
		require.Equal(t, secret.Redacted, s.LogValue().String())
		text, err := s.MarshalText()
		require.NoError(t, err)
		require.Equal(t, secret.Redacted, string(text))
		text, err = json.Marshal(s)
		require.NoError(t, err)
		require.Equal(t, `"`+secret.Redacted+`"`, string(text))
	}
}

func TestGobRefuses(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	require.Error(t, gob.NewEncoder(&out).Encode(secret.FromString(canary)))
	requireNothing(t, out.String())
}

func TestOwnership(t *testing.T) {
	t.Parallel()
	given := []byte(canary)
	owned, copied := secret.New(given), secret.Copy(given)
	require.Equal(t, canary, string(owned.Expose()))
	same := owned
	require.True(t, same == owned, "copies share the bytes")
	require.False(t, copied == owned)
	owned.Clear()
	owned.Clear()
	require.Equal(t, make([]byte, len(canary)), given)
	require.Equal(t, given, same.Expose())
	require.Equal(t, len(canary), same.Len())
	require.Equal(t, canary, string(copied.Expose()))
}

func TestNone(t *testing.T) {
	t.Parallel()
	for _, none := range []secret.Bytes{{}, secret.New(nil), secret.New([]byte{}), secret.Copy(nil), secret.FromString("")} {
		require.True(t, none == secret.Bytes{})
		require.Nil(t, none.Expose())
		require.Zero(t, none.Len())
		require.NotPanics(t, none.Clear)
		require.True(t, none.Equal(nil))
		require.False(t, none.Equal([]byte("x")))
	}
}

func TestEqual(t *testing.T) {
	t.Parallel()
	s := secret.FromString(canary)
	require.True(t, s.Equal([]byte(canary)))
	for _, other := range []string{"", canary[1:], canary + "x", strings.ToLower(canary)} {
		require.False(t, s.Equal([]byte(other)), other)
	}
}

// The test of the tests: without the type a secret shows, and is seen to.
func TestTheCanaryIsSeen(t *testing.T) {
	t.Parallel()
	bare := struct{ hidden []byte }{[]byte(canary)}
	for _, verb := range []string{"%v", "%s", "%x", "%X"} {
		require.NotEmpty(t, found(fmt.Sprintf(verb, bare)), verb)
	}
	text, err := json.Marshal([]byte(canary))
	require.NoError(t, err)
	require.NotEmpty(t, found(string(text)))
}

func requireNothing(t *testing.T, text string) {
	t.Helper()
	require.Empty(t, found(text))
}

// found is a spelling of the canary in the text.
func found(text string) string {
	for _, s := range []string{canary, hex.EncodeToString([]byte(canary)), strings.ToUpper(hex.EncodeToString([]byte(canary))),
		base64.RawStdEncoding.EncodeToString([]byte(canary)), strings.Trim(fmt.Sprint([]byte(canary)), "[]"), canary[:8]} {
		if strings.Contains(text, s) {
			return s
		}
	}
	return ""
}

func TestDo(t *testing.T) {
	t.Parallel()
	ran := false
	secret.Do(func() { ran = true })
	require.True(t, ran)
	require.PanicsWithValue(t, "as it was", func() { secret.Do(func() { panic("as it was") }) })
}

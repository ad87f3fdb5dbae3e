package callers

import (
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestNewTokensAreLongAndDiffer(t *testing.T) {
	t.Parallel()
	seen := map[string]bool{}
	for range 100 {
		token := NewToken()
		random, ok := strings.CutPrefix(token, tokenPrefix)
		require.True(t, ok)
		bits, err := base64.RawURLEncoding.DecodeString(random)
		require.NoError(t, err)
		require.Len(t, bits, 32)
		require.False(t, strings.ContainsFunc(token, notToken68))
		require.False(t, seen[token])
		seen[token] = true
	}
	require.Equal(t, fmt.Sprintf("sha256:%x", sha256.Sum256([]byte("abc"))), HashToken([]byte("abc")))
}

func TestTokensFile(t *testing.T) {
	t.Parallel()
	hash := HashToken([]byte("a"))
	good, err := parseTokens("f", []byte("# comment\n\n  \t\na "+hash+"\r\na\t\n"))
	require.Error(t, err)
	require.Nil(t, good)
	good, err = parseTokens("f", []byte("# comment\n\n  \t\na "+hash+"\r\na   "+HashToken([]byte("b"))+"  "))
	require.NoError(t, err)
	for _, token := range []string{"a", "b"} {
		p, err := good.principal(token)
		require.NoError(t, err)
		require.Equal(t, "token:a", p, "a name may have two tokens")
	}
	for _, token := range []string{"", "c", hash, "A"} {
		_, err := good.principal(token)
		require.Error(t, err)
	}
	for name, tc := range map[string]struct {
		text string
		line int
	}{
		"no hash":           {"a\n", 1},
		"no name":           {"\n" + hash, 2},
		"the token itself":  {"# x\na " + NewToken(), 2},
		"another hash":      {"a sha512:" + strings.Repeat("0", 128), 1},
		"short":             {"a " + hash[:len(hash)-1], 1},
		"long":              {"a " + hash + "0", 1},
		"capitals":          {"a " + strings.ToUpper(hash), 1},
		"digits in capital": {"a sha256:" + strings.ToUpper(hash[len(hashPrefix):]), 1},
		"not digits":        {"a sha256:" + strings.Repeat("g", 64), 1},
		"more":              {"a " + hash + " b", 1},
		"comment behind":    {"a " + hash + " # b", 1},
		"bad name":          {"a:b " + hash, 1},
		"a pattern":         {"* " + hash, 1},
		"twice":             {"a " + hash + "\nb " + hash, 2},
		"byte order mark":   {"\ufeffa " + hash, 1},
		"long name":         {strings.Repeat("a", 65) + " " + hash, 1},
		"long line":         {strings.Repeat("#", maxLine+1), 1},
	} {
		_, err := parseTokens("f", []byte(tc.text))
		var fe *FileError
		require.ErrorAs(t, err, &fe, name)
		require.Equal(t, tc.line, fe.Line, name)
		require.Equal(t, "f", fe.File)
		require.NotContains(t, err.Error(), tokenPrefix, name)
	}
	var many strings.Builder
	for i := range maxTokens + 1 {
		many.WriteString("a " + HashToken([]byte{byte(i), byte(i >> 8)}) + "\n")
	}
	_, err = parseTokens("f", []byte(many.String()))
	var fe *FileError
	require.ErrorAs(t, err, &fe)
	require.Equal(t, maxTokens+1, fe.Line)
}

// TestTokensFileTellsEveryMistake: with its line, and so many at most.
func TestTokensFileTellsEveryMistake(t *testing.T) {
	t.Parallel()
	lines := func(text string) (all []int) {
		_, err := parseTokens("f", []byte(text))
		joined, ok := err.(interface{ Unwrap() []error })
		require.True(t, ok)
		for _, err := range joined.Unwrap() {
			var fe *FileError
			require.ErrorAs(t, err, &fe)
			all = append(all, fe.Line)
		}
		return all
	}
	good := "a " + HashToken([]byte("a")) + "\n"
	require.Equal(t, []int{1, 3, 5}, lines("a\n"+good+good+"# b\na:b "+good[2:]))
	require.Len(t, lines(strings.Repeat("a\n", 10*maxMistakes)), maxMistakes+1)
}

func TestBearer(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "tokens")
	token := NewToken()
	write(t, file, []byte("deploy "+HashToken([]byte(token))))
	f := newFiles(t)
	w := newWorld(t, Config{TokensFile: file, TLS: &f.TLS, Insecure: true})
	mtls := w.dial(w.secure, f.client(f.ca.leaf(testLeaf)))
	for name, conn := range map[string]string{"unix": w.unix, "insecure": w.plain} {
		p, err := w.who(w.dial(conn, nil), "Bearer "+token)
		require.NoError(t, err, name)
		require.Equal(t, "token:deploy", p, name)
	}
	for _, header := range []string{"Bearer " + token, "bearer  " + token, "BEARER " + token} {
		p, err := w.who(mtls, header)
		require.NoError(t, err)
		require.Equal(t, "token:deploy", p, "the RPC's credentials win over the connection's")
		require.True(t, w.callers.Allowed(p))
	}
	tests := []struct {
		why     TokenFault
		headers []string
	}{
		{TokenUnknown, []string{"Bearer " + NewToken()}},
		{TokenUnknown, []string{"Bearer " + HashToken([]byte(token))[len(hashPrefix):]}},
		{TokenUnknown, []string{"Bearer a.b.c"}},
		{TokenHeaders, []string{"Bearer " + token, "Bearer " + token}},
		{TokenHeaders, []string{"Bearer " + token, ""}},
		{TokenScheme, []string{""}},
		{TokenScheme, []string{"Bearer"}},
		{TokenScheme, []string{"Bearer "}},
		{TokenScheme, []string{token}},
		{TokenScheme, []string{"Basic " + token}},
		{TokenScheme, []string{"Bearer " + token + " x"}},
		{TokenScheme, []string{"Bearer " + token + ",x"}},
		{TokenTooLong, []string{"Bearer " + strings.Repeat("a", maxTokenBytes+1)}},
	}
	for _, address := range []string{w.unix, w.plain, w.secure} {
		conn := mtls
		if address != w.secure {
			conn = w.dial(address, nil)
		}
		for _, tc := range tests {
			_, err := w.who(conn, tc.headers...)
			w.refusedToken(err, tc.why)
		}
	}
}

func FuzzTokensFile(f *testing.F) {
	f.Add([]byte("# c\na sha256:" + strings.Repeat("0", 64) + "\n"))
	f.Add([]byte("a sha256:"))
	f.Add([]byte("a\x00b sha256:" + strings.Repeat("a", 64)))
	f.Add([]byte("\n\r\n \t"))
	f.Fuzz(func(t *testing.T, text []byte) {
		found, err := parseTokens("f", text)
		if err != nil {
			var fe *FileError
			require.True(t, errors.As(err, &fe) && fe.Line > 0)
			for line := range strings.Lines(err.Error()) {
				require.Less(t, len(line), 200, "quotes nothing")
			}
			return
		}
		for hash, p := range *found {
			require.Equal(t, KindToken, KindOf(p))
			require.Contains(t, string(text), fmt.Sprintf("%x", hash))
			pattern, err := parsePattern(p)
			require.NoError(t, err)
			require.True(t, pattern.covers(p))
		}
	})
}

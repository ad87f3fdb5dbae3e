package callers

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestPatterns(t *testing.T) {
	t.Parallel()
	everybody := []string{
		"uid:0", "uid:1000", "spiffe://prod/web", "spiffe://prod/web/1", "spiffe://prod-evil/web", "dns:a.example", "email:a@b.example",
		"x509:CN=web,O=Acme", "jwt:alice", "jwt:system:alice", "token:deploy", "token:deploy-2", Anonymous,
	}
	for text, want := range map[string][]string{
		"*":                   everybody,
		"uid:*":               {"uid:0", "uid:1000"},
		"uid:1000":            {"uid:1000"},
		"spiffe:*":            {"spiffe://prod/web", "spiffe://prod/web/1", "spiffe://prod-evil/web"},
		"spiffe://*":          {"spiffe://prod/web", "spiffe://prod/web/1", "spiffe://prod-evil/web"},
		"spiffe://prod/*":     {"spiffe://prod/web", "spiffe://prod/web/1"},
		"spiffe://prod/web/*": {"spiffe://prod/web/1"},
		"spiffe://prod/web":   {"spiffe://prod/web"},
		"dns:a.example":       {"dns:a.example"},
		"dns:*":               {"dns:a.example"},
		"email:a@b.example":   {"email:a@b.example"},
		"x509:*":              {"x509:CN=web,O=Acme"},
		"x509:CN=web,O=Acme":  {"x509:CN=web,O=Acme"},
		"jwt:system:*":        {"jwt:system:alice"},
		"jwt:*":               {"jwt:alice", "jwt:system:alice"},
		"token:deploy":        {"token:deploy"},
		"token:deploy*":       {"token:deploy", "token:deploy-2"},
		Anonymous:             {Anonymous},
	} {
		p, err := parsePattern(text)
		require.NoError(t, err, text)
		var covered []string
		for _, who := range everybody {
			if p.covers(who) {
				covered = append(covered, who)
			}
		}
		require.Equal(t, want, covered, text)
	}
	for _, text := range []string{
		"", "alice", "**", "*x", "a*b", "uid", "uid:", "uid:x", "uid:01", "uid:-1", "uid:4294967296", "uid:1*", "uid:*0", "uids:*", "UID:0",
		"spiffe:", "spiffe://", "spiffe://prod", "spiffe://prod*", "spiffe://prod/", "spiffe://PROD/*", "spiffe:prod/*", "spiffe://prod/a?b",
		"spiffe://prod/*/web", "dns:", "dns:a*", "dns:*.example", "dns:A.example", "dns:a..b", "email:a", "email:a@b*", "x509:CN=web*",
		"jwt:", "jwt:a\n", "jwt: a", "jwt:a ", "token:a b", "token:", "anonymous*", "Anonymous", " *", "* ", "jwt:" + strings.Repeat("a", maxPrincipal),
	} {
		_, err := New(Config{Allow: []string{text}})
		var pe *PatternError
		require.ErrorAs(t, err, &pe, "%q", text)
		require.Equal(t, text, pe.Pattern)
		_, err = New(Config{Administrators: []string{text}})
		require.ErrorAs(t, err, &pe, "%q", text)
	}
}

func TestWhoMayCallByDefault(t *testing.T) {
	t.Parallel()
	c, err := New(Config{})
	require.NoError(t, err)
	for who, want := range map[string]bool{
		"uid:0": true, "token:a": true, Anonymous: true, "spiffe://prod/web": false, "dns:a.example": false, "email:a@b.example": false,
		"x509:CN=a": false, "jwt:alice": false, "": false, "anonymous:": false, "uid": false,
	} {
		require.Equal(t, want, c.Allowed(who), who)
		require.False(t, c.Administrator(who), who)
	}
	nobody, err := New(Config{Allow: []string{}, Administrators: []string{"uid:0"}})
	require.NoError(t, err)
	require.False(t, nobody.Allowed("uid:0"), "an empty list lets nobody in")
	require.True(t, nobody.Administrator("uid:0"))
	require.False(t, nobody.Administrator("uid:00"))
}

func TestKindOf(t *testing.T) {
	t.Parallel()
	for p, want := range map[string]string{
		"uid:1": KindUID, "spiffe://a/b": KindSPIFFE, "dns:a": KindDNS, "email:a@b": KindEmail, "x509:CN=a": KindX509, "jwt:a:b": KindJWT,
		"token:a": KindToken, Anonymous: Anonymous, "": "", "x:y": "", "uid": "",
	} {
		require.Equal(t, want, KindOf(p), p)
	}
}

func FuzzPattern(f *testing.F) {
	for _, seed := range []string{"*", "uid:*", "spiffe://prod/*", "x509:CN=a", "jwt:a*", "\xff"} {
		f.Add(seed, "uid:0")
	}
	f.Fuzz(func(t *testing.T, text, who string) {
		p, err := parsePattern(text)
		if err != nil {
			var pe *PatternError
			require.ErrorAs(t, err, &pe)
			return
		}
		if p.covers(who) && text != "*" {
			require.Equal(t, KindOf(strings.TrimSuffix(text, "*")), KindOf(who), "a pattern stays within its kind")
		}
	})
}

func TestPrincipalsAreNoPatterns(t *testing.T) {
	t.Parallel()
	for _, text := range []string{"uid:1000", "spiffe://prod/web", "token:deploy", Anonymous} {
		require.NoError(t, CheckPrincipal(text))
	}
	for _, text := range []string{"", "bob", "*", "uid:*", "jwt:system:*", "dns:*.x"} {
		var bad *PatternError
		require.ErrorAs(t, CheckPrincipal(text), &bad)
		require.Equal(t, text, bad.Pattern)
	}
	require.NoError(t, CheckPattern("uid:*"))
	require.Error(t, CheckPattern("dns:*.x"))
}

package main

import (
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// TestWhyIsEscapedOnce: what an operator wrote at a rule can be read out of the log, where the log's own quoting is undone.
func TestWhyIsEscapedOnce(t *testing.T) {
	t.Parallel()
	const why = `ask "Zoë" \ or nobody`
	addr, _ := echo(t)
	r := startRuled(t, "deny:\n- {to: \""+addr+"\", why: "+strconv.Quote(why)+"}\n"+loopback)
	reason, _, _ := r.connect(r.anyone, addr)
	require.Equal(t, "EGRESS_DENIED", reason)
	text, _ := r.line("connection closed", 1)["error"].(string)
	_, text, ok := strings.Cut(text, "(")
	require.True(t, ok, text)
	text, _, ok = strings.Cut(text, ")")
	require.True(t, ok, text)
	got, err := strconv.Unquote(text)
	require.NoError(t, err, text)
	require.Equal(t, why, got)
}

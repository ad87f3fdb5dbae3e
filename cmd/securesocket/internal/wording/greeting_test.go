package wording

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestGreeting(t *testing.T) {
	t.Parallel()
	require.Empty(t, Greeting(nil))
	require.Equal(t, "220 mail.example", Greeting([]byte("220 mail.example\r\n")))
	require.Equal(t, "220-one\r\n220 two", Greeting([]byte("220-one\r\n220 two\r\n")))
	require.Equal(t, strings.Repeat("x", maxGreeting)+"...", Greeting([]byte(strings.Repeat("x", maxGreeting+1))))
}

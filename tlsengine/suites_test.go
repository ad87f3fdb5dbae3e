package tlsengine_test

import (
	"crypto/tls"
	"testing"

	"securesocket/tlsengine"

	"github.com/stretchr/testify/require"
)

func TestSuites(t *testing.T) {
	t.Parallel()
	all := tlsengine.Suites()
	require.Len(t, all, len(tls.CipherSuites())+len(tls.InsecureCipherSuites()))
	for _, s := range all {
		byID, ok := tlsengine.SuiteByID(s.ID)
		require.True(t, ok)
		require.Equal(t, s, byID)
		byName, ok := tlsengine.SuiteByName(s.Name)
		require.True(t, ok)
		require.Equal(t, s, byName)
	}
	s, _ := tlsengine.SuiteByName("TLS_AES_128_GCM_SHA256")
	require.Equal(t, tlsengine.Suite{ID: 0x1301, Name: "TLS_AES_128_GCM_SHA256", TLS13: true}, s)
	s, _ = tlsengine.SuiteByID(tls.TLS_RSA_WITH_RC4_128_SHA)
	require.True(t, s.Insecure)
	_, ok := tlsengine.SuiteByID(0)
	require.False(t, ok)
}

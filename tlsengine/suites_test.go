package tlsengine_test

import (
	"crypto/tls"
	"fmt"
	"os"
	"os/exec"
	"strings"
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
	require.Equal(t, tlsengine.Suite{
		ID: 0x1301, Name: "TLS_AES_128_GCM_SHA256", TLS13: true, OpenSSL: "TLS_AES_128_GCM_SHA256", Protocol: "TLSv1.3",
		KeyExchange: "any", Authentication: "any", Encryption: "AESGCM(128)", UsedBits: 128, KeyBits: 128,
	}, s)
	s, _ = tlsengine.SuiteByID(tls.TLS_RSA_WITH_RC4_128_SHA)
	require.True(t, s.Insecure)
	_, ok := tlsengine.SuiteByID(0)
	require.False(t, ok)
}

// TestSuitesAreOpenSSLs compares our words with those of openssl, for every suite that it still has.
func TestSuitesAreOpenSSLs(t *testing.T) {
	t.Parallel()
	if _, err := exec.LookPath("openssl"); err != nil {
		require.Empty(t, os.Getenv("CI"), "openssl is required here")
		t.Skip("openssl is not installed")
	}
	out, err := exec.CommandContext(t.Context(), "openssl", "ciphers", "-V", "ALL:@SECLEVEL=0").Output()
	require.NoError(t, err)
	known := make(map[string]string)
	for line := range strings.Lines(string(out)) {
		f := strings.Fields(line) // 0xC0,0x2F - NAME VERSION Kx=.. Au=.. Enc=.. Mac=..
		known[f[0]] = strings.Join(f[2:7], " ")
	}
	compared := 0
	for _, s := range tlsengine.Suites() {
		want, ok := known[fmt.Sprintf("0x%02X,0x%02X", s.ID>>8, s.ID&0xff)]
		if !ok {
			continue // RC4 and the like
		}
		compared++
		protocol := s.Protocol
		if strings.Contains(want, "SSLv3") {
			protocol = "SSLv3" // which is what openssl says of suites that TLS 1.0 took over
		}
		require.Equal(t, want, fmt.Sprintf("%s %s Kx=%s Au=%s Enc=%s", s.OpenSSL, protocol, s.KeyExchange, s.Authentication, s.Encryption))
	}
	require.Greater(t, compared, 15)
}

package callers

import (
	"bytes"
	"log/slog"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// TestTheServicesOwnCertificateMayBeOver: it is loaded, and said.
func TestTheServicesOwnCertificateMayBeOver(t *testing.T) {
	t.Parallel()
	const said = "the service's certificate is not valid now"
	for name, years := range map[string]int{"valid": 0, "over": 200, "not yet": -200} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var out bytes.Buffer
			f := newFiles(t)
			c, err := New(Config{
				TLS: &f.TLS, Logger: slog.New(slog.NewTextHandler(&out, nil)),
				Now: func() time.Time { return time.Now().AddDate(years, 0, 0) },
			})
			require.NoError(t, err)
			c.Close()
			require.Equal(t, years != 0, bytes.Contains(out.Bytes(), []byte(said)), out.String())
		})
	}
}

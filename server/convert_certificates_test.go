package server

import (
	"crypto/x509"
	"sync"
	"testing"

	"securesocket/tlsengine/tlstest"

	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/proto"
)

func TestConvertedCertificatesAreBounded(t *testing.T) {
	t.Parallel()
	der := tlstest.NewCA(t).Certificate.Raw
	certs := make([]*x509.Certificate, 2*maxConverted+1)
	for i := range certs {
		var err error
		certs[i], err = x509.ParseCertificate(der)
		require.NoError(t, err)
	}
	want := convertCertificate(certs[0])
	var cc convertedCertificates
	var wg sync.WaitGroup
	for range 2 {
		wg.Go(func() {
			for _, c := range certs {
				if m := cc.get(c); !proto.Equal(want, m) {
					t.Errorf("%v instead of %v", m, want)
				}
			}
		})
	}
	wg.Wait()
	require.LessOrEqual(t, len(cc.kept), maxConverted)
	last := certs[len(certs)-1]
	require.Same(t, cc.get(last), cc.get(last))
	require.Nil(t, toCertificate(nil))
}

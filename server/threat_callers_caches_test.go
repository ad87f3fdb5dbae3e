package server_test

import (
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"math/big"
	"net/http"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/proto"

	pb "securesocket/gen/securesocket/v1"
	"securesocket/server"
	"securesocket/server/servertest"
	"securesocket/session"
	"securesocket/session/quota"
	"securesocket/tlsengine/forge"
	"securesocket/tlsengine/tlstest"
)

// checker is a caller who has chains checked.
type checker struct {
	t  *testing.T
	c  pb.SecureSocketServiceClient
	ca *tlstest.CA
	as string
}

// check connects in a session of its own, and returns what was found out about the leaf.
func (k checker) check(addr string) *pb.RevocationResult {
	k.t.Helper()
	ctx := servertest.As(k.t.Context(), k.as)
	s := newIdle(ctx, k.t, k.c, k.ca, checking(soft))
	_, err := tryConnect(ctx, k.t, k.c, s, addr)
	if err != nil {
		require.Equal(k.t, "CERTIFICATE_REVOKED", reasonOf(k.t, err))
	}
	status, err := k.c.GetCertificateStatus(ctx, &pb.GetCertificateStatusRequest{SessionId: s.id})
	require.NoError(k.t, err)
	require.Len(k.t, status.GetReport().GetRevocation(), 1)
	_, err = k.c.DeleteSession(ctx, &pb.DeleteSessionRequest{SessionId: s.id})
	require.NoError(k.t, err)
	return status.GetReport().GetRevocation()[0]
}

// TestThreat56CachesOfOthers: what an authority has answered one caller, or has not, the next asks for himself. Neither the
// time that it takes nor the report tells him that somebody else has asked.
func TestThreat56CachesOfOthers(t *testing.T) {
	t.Parallel()
	for name, e := range map[string]evidence{
		"CRL, good":         {crl: lists},
		"CRL, revoked":      {crl: listsRevoked},
		"CRL, out of date":  {crl: listedBefore},
		"CRL, garbage":      {crl: garbage},
		"OCSP, good":        {ocsp: says},
		"OCSP, revoked":     {ocsp: saysRevoked},
		"OCSP, not known":   {ocsp: saysUnknown},
		"neither, one then": {crl: garbage, ocsp: garbage},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			ca, p := tlstest.NewCA(t), publish(t)
			addr := e.serve(t, ca, p)
			c := servertest.Start(t).Client(t)
			each := len(p.answers) // requests
			var first *pb.RevocationResult
			for i, who := range []string{theOwner, theNeighbour} {
				k := checker{t, c, ca, who}
				result := k.check(addr)
				require.Equal(t, (i+1)*each, p.times("/crl")+p.times("/ocsp"), "a request of his own")
				if first == nil {
					first = result
				}
				require.True(t, proto.Equal(first, result), "%v, not %v", result, first)
				for range 2 {
					again := k.check(addr)
					require.Equal(t, first.GetOutcome(), again.GetOutcome())
					require.Equal(t, (i+1)*each, p.times("/crl")+p.times("/ocsp"), "he has asked before")
				}
			}
			checker{t, c, ca, theOwner}.check(addr)
			require.Equal(t, 2*each, p.times("/crl")+p.times("/ocsp"))
		})
	}
}

// TestThreat56FetchesOfOthers: nobody gets aboard a fetch of another's that is under way.
func TestThreat56FetchesOfOthers(t *testing.T) {
	t.Parallel()
	ca, p := tlstest.NewCA(t), publish(t)
	list := ca.CRL(forge.List{})
	var here atomic.Int32
	both := make(chan struct{})
	p.at("/crl", func(w http.ResponseWriter, r *http.Request) {
		if here.Add(1) == 2 {
			close(both)
		}
		select {
		case <-both:
			_, _ = w.Write(list)
		case <-r.Context().Done():
		}
	})
	addr := serveChain(t, ca.Leaf(forge.CRLDistributionPoint(p.url+"/crl")))
	c := servertest.Start(t).Client(t)
	var all sync.WaitGroup
	for _, who := range []string{theOwner, theNeighbour} {
		all.Go(func() {
			result := checker{t, c, ca, who}.check(addr)
			require.Equal(t, good, result.GetOutcome(), result.GetDetail())
			require.Equal(t, fromCRL, result.GetSource())
		})
	}
	all.Wait()
	require.Equal(t, 2, p.times("/crl"))
}

// TestThreat56DestinationsOfOthers: where others have made the service fetch is no less new to a caller whose new
// destinations are used up, and theirs do not use up his.
func TestThreat56DestinationsOfOthers(t *testing.T) {
	t.Parallel()
	const burst = 2
	ca, p := tlstest.NewCA(t), publish(t)
	p.at("/crl", bytesAt(ca.CRL(forge.List{})))
	c := servertest.Start(t, func(sc *session.Config, _ *server.Config) {
		sc.DestinationsPerOwner = quota.Limit{PerSecond: 1, Burst: burst}
	}).Client(t)
	nobody := unusedURLs(t, burst)
	asked := serveChain(t, ca.Leaf(forge.CRLDistributionPoint(p.url+"/crl")))
	scans := serveChain(t, ca.Leaf(forge.CRLDistributionPoint(append(nobody, p.url+"/crl")...)))

	require.Equal(t, good, checker{t, c, ca, theOwner}.check(asked).GetOutcome())
	began := time.Now()
	result := checker{t, c, ca, theNeighbour}.check(scans)
	if time.Since(began) < time.Second { // none came back meanwhile
		require.Equal(t, notChecked, result.GetOutcome())
		require.Equal(t, 1, p.times("/crl"), "one destination more than he may")
	}
	before := p.times("/crl")
	require.Equal(t, good, checker{t, c, ca, "token:third"}.check(asked).GetOutcome())
	require.Equal(t, before+1, p.times("/crl"))
}

// unusedURLs lead to ports at which nobody listens.
func unusedURLs(t *testing.T, n int) (urls []string) {
	t.Helper()
	for range n {
		urls = append(urls, "http://"+tlstest.Refusing(t)+"/crl")
	}
	return urls
}

// TestThreat56CrowdedCaches: a caller whose lists are more than the cache holds, and who names thousands of URLs that have
// none, pushes nothing of his neighbour's out.
func TestThreat56CrowdedCaches(t *testing.T) {
	t.Parallel()
	const (
		crowd   = 12      // lists
		entries = 250_000 // of each, 4 MiB as they are kept
		failing = 3334    // leaves with three URLs each
	)
	if testing.Short() || raceEnabled {
		t.Skip("reads three million entries")
	}
	ca, p := tlstest.NewCA(t), publish(t)
	revoked := make([]*x509.Certificate, entries)
	for i := range revoked {
		revoked[i] = &x509.Certificate{SerialNumber: big.NewInt(int64(i) + 1)}
	}
	heavy := bytesAt(ca.CRL(forge.List{Revoked: revoked}))
	for i := range crowd {
		p.at(fmt.Sprintf("/heavy%d", i), heavy)
	}
	p.at("/crl", bytesAt(ca.CRL(forge.List{})))
	c := servertest.Start(t).Client(t)
	owner, neighbour := checker{t, c, ca, theOwner}, checker{t, c, ca, theNeighbour}

	small := serveChain(t, ca.Leaf(forge.CRLDistributionPoint(p.url+"/crl")))
	require.Equal(t, good, neighbour.check(small).GetOutcome())
	for i := range crowd {
		path := fmt.Sprintf("/heavy%d", i)
		addr := serveChain(t, ca.Leaf(forge.CRLDistributionPoint(p.url+path)))
		require.Equal(t, good, owner.check(addr).GetOutcome())
		require.Equal(t, fromCache, owner.check(addr).GetSource(), "it is kept")
	}
	first := serveChain(t, ca.Leaf(forge.CRLDistributionPoint(p.url+"/heavy0")))
	require.Equal(t, fromCRL, owner.check(first).GetSource(), "the cache was full")

	var n atomic.Int64
	nowhere := tlstest.Serve(t, &tls.Config{GetCertificate: func(*tls.ClientHelloInfo) (*tls.Certificate, error) {
		url := fmt.Sprintf("%s/%d/", p.url, n.Add(1))
		cert := ca.Leaf(forge.CRLDistributionPoint(url+"a", url+"b", url+"c")).Certificate()
		return &cert, nil
	}}, tlstest.Echo)
	ctx := servertest.As(t.Context(), theOwner)
	s := newIdle(ctx, t, c, ca, checking(soft))
	for range failing {
		connectTo(ctx, t, c, s, nowhere)
	}
	require.Equal(t, 1, p.times(fmt.Sprintf("/%d/c", failing)), "each was asked for")
	require.Equal(t, fromCache, neighbour.check(small).GetSource())
	require.Equal(t, 1, p.times("/crl"))
}

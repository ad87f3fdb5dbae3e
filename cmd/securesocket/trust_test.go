package main

import (
	"encoding/pem"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/encoding/protojson"

	pb "securesocket/gen/securesocket/v1"
	"securesocket/tlsengine/tlstest"
)

// Whom the user's defaults trust, all his sessions trust, and diagnose says so.
func TestTrust(t *testing.T) {
	t.Parallel()
	address, c := startService(t)
	p := startPeer(t, tlstest.Echo)
	ours := func(line string, args ...string) result {
		return runWith(t.Context(), strings.NewReader(""), append(append(strings.Fields(line), args...), "--server", address)...)
	}
	own := func(line string, args ...string) (own []*pb.TrustedCertificate) {
		r := ours("trust list -o json "+line, args...)
		require.Equal(t, exitDone, r.code, r.stderr)
		var all pb.ListCertificatesResponse
		require.NoError(t, protojson.Unmarshal([]byte(r.stdout), &all))
		for _, certificate := range all.GetCertificates() {
			if certificate.GetScope() != pb.TrustScope_TRUST_SCOPE_SYSTEM {
				own = append(own, certificate)
			}
		}
		return own
	}
	require.Empty(t, own(""))
	require.Equal(t, exitCertificate, ours("diagnose", p.address).code)

	r := ours("trust add", p.cafile)
	require.Equal(t, exitDone, r.code, r.stderr)
	require.Equal(t, "1 of 1 are new\n", r.stdout)
	require.Equal(t, "0 of 1 are new\n", ours("trust add", p.cafile).stdout)
	require.Len(t, own(""), 1)
	require.True(t, own("")[0].GetTrusted())
	r = ours("trust list")
	require.True(t, strings.HasPrefix(r.stdout, "LEVEL"))
	lines := strings.Split(strings.TrimSuffix(r.stdout, "\n"), "\n")
	require.Regexp(t, `^defaults +trust +\S+Z +[0-9a-f]{16} +CN=Test Root`, lines[len(lines)-1], "its own last")
	r = ours("diagnose", p.address)
	require.Equal(t, exitDone, r.code, r.stderr)
	require.Contains(t, r.stdout, "trust anchor, from the trust store")

	block, _ := pem.Decode(readFile(t, p.cafile))
	require.Equal(t, "0 of 1 are new\n", ours("trust add", writeFile(t, block.Bytes)).stdout, "the same in DER")
	require.Equal(t, exitDone, ours("trust reset").code)
	require.Empty(t, own(""))
	require.Equal(t, "1 of 1 are new\n", ours("trust add --chain-only", p.cafile).stdout)
	require.False(t, own("")[0].GetTrusted())
	require.Equal(t, exitDone, ours("trust reset").code)

	require.Equal(t, "1 trust anchor now\n", ours("trust set", p.cafile).stdout)
	require.Equal(t, 2, strings.Count(ours("trust list").stdout, "\n"), "the system's count no more")
	require.Equal(t, "0 trust anchors now\n", ours("trust set --none").stdout)
	require.Equal(t, 1, strings.Count(ours("trust list").stdout, "\n"))
	require.Equal(t, exitDone, ours("trust reset -o json").code)

	created, err := c.Service().CreateSession(t.Context(), &pb.CreateSessionRequest{})
	require.NoError(t, err)
	id := created.GetSession().GetSessionId()
	require.Equal(t, exitDone, ours("trust add --session "+id, p.cafile).code)
	require.Equal(t, pb.TrustScope_TRUST_SCOPE_SESSION, own("--scope session --session " + id)[0].GetScope())
	require.Empty(t, own(""))

	require.Equal(t, exitPolicy, ours("trust add --scope service", p.cafile).code, "for administrators")
	require.Equal(t, exitPolicy, ours("trust reset --scope system").code, "for nobody")
	require.Equal(t, exitOther, ours("trust list --session unknown").code)
}

func TestTrustRefusesNonsense(t *testing.T) {
	t.Parallel()
	ca := tlstest.NewCA(t)
	cafile, key := writeFile(t, ca.PEM()), writeFile(t, ca.Leaf().KeyPEM())
	for _, line := range []string{
		"trust", "trust nonsense", "trust list file", "trust list -o xml", "trust list --scope all", "trust list --scope unspecified",
		"trust list --scope session", "trust list --scope service --session x",
		"trust add", "trust add " + key, "trust add /nonexistent", "trust add " + cafile + " " + cafile,
		"trust set", "trust set " + key, "trust set --none " + cafile, "trust reset " + cafile,
	} {
		r := runWith(t.Context(), nil, append(strings.Fields(line), "--embedded")...)
		require.Equal(t, exitUsage, r.code, "%s: %s", line, r.stderr)
		require.Empty(t, r.stdout, line)
		require.Equal(t, 2, strings.Count(r.stderr, "\n"), "%s: %s", line, r.stderr)
	}
}

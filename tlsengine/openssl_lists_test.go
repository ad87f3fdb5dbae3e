package tlsengine

import (
	"bufio"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// opensslCodes says which of our codes stands for one of OpenSSL's X509_V_ERR.
var opensslCodes = map[int]ProblemCode{
	1:  NameConstraintViolated, // X509_V_ERR_UNSPECIFIED: too many names and constraints
	2:  UnableToGetLocalIssuerCertificate,
	7:  CertificateSignatureFailed,
	9:  CertificateNotYetValid,
	10: CertificateExpired,
	18: SelfSignedCertificate,
	19: SelfSignedCertificateInChain,
	20: UnableToGetLocalIssuerCertificate,
	21: UnableToVerifyFirstCertificate,
	25: PathLengthExceeded,
	26: InvalidPurpose,
	32: UnspecifiedError, // key usage without keyCertSign
	34: UnhandledCriticalExtension,
	47: NameConstraintViolated,
	48: NameConstraintViolated,
	51: NameConstraintViolated, // a type of name constraint that is not known
	62: HostNameMismatch,
	66: WeakKey,
	67: WeakKey,
	68: WeakSignature,
	79: InvalidCACertificate,
}

// opensslLists are OpenSSL's problems by the id of a vector, in our codes.
func opensslLists(tb testing.TB, name string) map[string][]string {
	tb.Helper()
	file, err := os.Open(filepath.Join(vectors(tb), name))
	require.NoError(tb, err)
	defer func() { _ = file.Close() }()
	lists := make(map[string][]string)
	for lines := bufio.NewScanner(file); lines.Scan(); {
		var line struct {
			ID     string
			Errors []struct{ Depth, Code int }
		}
		require.NoError(tb, json.Unmarshal(lines.Bytes(), &line))
		list := []string{}
		for _, e := range line.Errors {
			require.Contains(tb, opensslCodes, e.Code)
			list = append(list, fmt.Sprintf("%s@%d", opensslCodes[e.Code], e.Depth))
		}
		lists[line.ID] = list
	}
	return lists
}

// likeness counts the chains that both refuse, and those with the same list.
type likeness struct {
	both, equal, deadEnds int
	differ                []string // their ids
}

func compareWithOpenSSL(t *testing.T) likeness {
	t.Helper()
	var l likeness
	l.add(t, limbo(t), opensslLists(t, "limbo-openssl-problems.jsonl"))
	l.add(t, boringSSL(t), opensslLists(t, "boringssl-openssl-problems.jsonl"))
	return l
}

func (l *likeness) add(t *testing.T, suite []vector, lists map[string][]string) {
	t.Helper()
	for _, v := range suite {
		theirs, known := lists[v.id]
		r, judged := v.judge(t)
		if !known || len(theirs) == 0 || !judged || len(r.Problems) == 0 {
			continue
		}
		if opensslDeadEnd(theirs, r) {
			l.deadEnds++
			continue
		}
		var ours []string
		for _, p := range r.Problems {
			ours = append(ours, fmt.Sprintf("%s@%d", p.Code, p.Depth))
		}
		l.both++
		slices.Sort(ours)
		slices.Sort(theirs)
		if slices.Equal(ours, theirs) {
			l.equal++
		} else {
			t.Logf("%s: ours %v, OpenSSL's %v", v.id, ours, theirs)
			l.differ = append(l.differ, v.id)
		}
	}
}

// opensslDeadEnd reports whether OpenSSL, which does not go back, stopped at a missing issuer where an anchor can be
// reached: then the lists are about different paths. It refuses 26 good chains of BetterTLS in the same way.
func opensslDeadEnd(theirs []string, r *Report) bool {
	return slices.ContainsFunc(theirs, func(p string) bool { return strings.HasPrefix(p, UnableToGetLocalIssuerCertificate.String()) }) &&
		!slices.ContainsFunc(r.Problems, func(p Problem) bool { return p.status() == StatusUntrustedSigners }) &&
		len(r.JudgedPath) > 1
}

func TestListsAreLikeOpenSSLs(t *testing.T) {
	t.Parallel()
	l := compareWithOpenSSL(t)
	require.GreaterOrEqual(t, l.equal*100, l.both*90, l.differ)
	requireKnown(t, opensslDeviations, l.differ)
}

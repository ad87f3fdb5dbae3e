package benchpeers

import (
	"bytes"
	"encoding/xml"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// requireDocuments wants a well-formed table and picture of a report, in a file that is the same but for them.
func requireDocuments(t *testing.T, r *Report) {
	t.Helper()
	for _, lines := range [][][]string{r.cells(), r.ratios()} {
		for _, line := range lines {
			require.Len(t, line, len(lines[0]))
			for _, text := range line {
				require.NotEmpty(t, text)
				require.NotContains(t, text, "|")
			}
		}
	}
	require.Contains(t, r.Text(), r.Machine)
	requirePicture(t, r.SVG())

	dir := t.TempDir()
	path := filepath.Join(dir, documentName)
	const before, after = "# Title\n\n" + beginMark + "\n", endMark + "\nafter\n"
	require.NoError(t, os.WriteFile(path, []byte(before+"old\n"+after), 0o600))
	require.NoError(t, CheckDocs(dir))
	for range 2 { // the second time it replaces what the first has written
		require.NoError(t, r.WriteDocs(dir, "make bench-peers"))
		content, err := os.ReadFile(path)
		require.NoError(t, err)
		require.Equal(t, before+r.markdown("make bench-peers")+after, string(content))
	}
	picture, err := os.ReadFile(filepath.Join(dir, plotName))
	require.NoError(t, err)
	require.Equal(t, r.SVG(), picture)
}

// requirePicture parses a picture to its end and wants only elements that draw.
func requirePicture(t *testing.T, svg []byte) {
	t.Helper()
	allowed := map[string]bool{"svg": true, "title": true, "style": true, "rect": true, "text": true}
	for decoder := xml.NewDecoder(bytes.NewReader(svg)); ; {
		token, err := decoder.Token()
		if errors.Is(err, io.EOF) {
			return
		}
		require.NoError(t, err, "%s", svg)
		if start, ok := token.(xml.StartElement); ok {
			require.True(t, allowed[start.Name.Local], start.Name.Local)
		}
	}
}

func TestReport(t *testing.T) {
	t.Parallel()
	r := newReport(Config{Plan: Full(), Version: "1 < 2 & so on"})
	r.Took = time.Minute
	rate, memory := row{"bulk", "GiB/s", true}, row{"memory", "KiB", false}
	r.add(Direct, figure{rate, 4})
	r.add(Shared, figure{rate, 3}, figure{memory, 2}, figure{rate, 1}, figure{rate, 2})
	r.add(Stunnel, figure{memory, 4}, figure{memory, 12})
	r.Notes = append(r.Notes, "something is missing")

	require.Equal(t, []string{Direct, Shared, Stunnel}, r.Ways())
	require.Equal(t, [][]string{
		{"median of the run", "unit", Direct, Shared, Stunnel},
		{"bulk", "GiB/s", "4.00", "2.00", "-"},
		{"memory", "KiB", "-", "2.00", "8.00"},
	}, r.cells())
	require.Equal(t, [][]string{
		{"service, shared, divided by", Direct, Stunnel},
		{"bulk (more is better)", "0.50", "-"},
		{"memory (less is better)", "-", "0.25"},
	}, r.ratios())
	require.Contains(t, r.Text(), "note: something is missing\n")
	require.Contains(t, r.markdown("x"), "- something is missing\n")
	requireDocuments(t, r)
}

func TestDocumentWithoutMarks(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	require.ErrorIs(t, CheckDocs(dir), os.ErrNotExist)
	for _, content := range []string{"", beginMark + "\n", endMark + "\n" + beginMark + "\n"} {
		require.NoError(t, os.WriteFile(filepath.Join(dir, documentName), []byte(content), 0o600))
		require.Error(t, CheckDocs(dir))
		require.Error(t, newReport(Config{}).WriteDocs(dir, "x"))
		require.NoFileExists(t, filepath.Join(dir, plotName))
	}
}

func TestNumbers(t *testing.T) {
	t.Parallel()
	for want, v := range map[string]float64{"0.12": 0.123, "1.23": 1.234, "12.3": 12.34, "123": 123.4, "1,000": 999.6, "1,234": 1234.4, "1,234,567": 1234567, "-1.00": -1} {
		require.Equal(t, want, number(v))
	}
	require.Equal(t, "1,000,001", thousands(1_000_001))
	require.Equal(t, "100 B", bytesTitle(100))
	require.Equal(t, "16 KiB", bytesTitle(16<<10))
}

func TestWrap(t *testing.T) {
	t.Parallel()
	require.Empty(t, wrap("", 5))
	require.Equal(t, []string{"a bc", "wordword", "d"}, wrap("a bc wordword d", 5))
}

func TestPlansAreBounded(t *testing.T) {
	t.Parallel()
	for _, plan := range []Plan{Full(), Quick()} {
		require.Positive(t, plan.Rounds)
		require.Positive(t, plan.Slice)
		require.LessOrEqual(t, plan.Limit, 15*time.Minute-crowdTimeout/2)
		require.IsIncreasing(t, plan.Crowds)
	}
}

func TestVersions(t *testing.T) {
	t.Parallel()
	for said, want := range map[string]string{
		"HAProxy version 2.6.12-1+deb12u4 2026/10/17": "2.6.12-1+deb12u4", "stunnel 5.68 on x86_64": "5.68",
		"v1.11.1 (go1.26.8)": "1.11.1", "built with go1.26.8": "",
	} {
		found := versionPattern.FindStringSubmatch(said)
		require.Equal(t, want != "", found != nil, said)
		if found != nil {
			require.Equal(t, want, found[1])
		}
	}
}

func TestProc(t *testing.T) {
	t.Parallel()
	stat := "1 (a) b (c)) S 2 3 4 5 6 7 8 9 10 11 150 50 14 15\n"
	took, err := parseStat([]byte(stat))
	require.NoError(t, err)
	require.Equal(t, 2*time.Second, took)
	size, err := parseResident("Name:\tx\nVmRSS:\t   12 kB\nThreads: 1\n")
	require.NoError(t, err)
	require.Equal(t, int64(12<<10), size)
	for _, bad := range []string{"", "1", "1 (a) S 1 2", strings.Replace(stat, "150", "x", 1), strings.Replace(stat, "150", "-1", 1)} {
		_, err := parseStat([]byte(bad))
		require.Error(t, err, bad)
	}
	for _, bad := range []string{"", "VmRSS:", "VmRSS: -1 kB\n", "VmRSS: 1 MB\n"} {
		_, err := parseResident(bad)
		require.Error(t, err, bad)
	}
}

func TestMostSessions(t *testing.T) {
	t.Parallel()
	require.Zero(t, mostSessions(0))
	require.Zero(t, mostSessions(2*spareDescriptors))
	require.Equal(t, 9_500, mostSessions(20_000))
	require.GreaterOrEqual(t, mostSessions(10_000*256/125+2*spareDescriptors), 10_000)
	require.Positive(t, mostSessions(1<<62))
}

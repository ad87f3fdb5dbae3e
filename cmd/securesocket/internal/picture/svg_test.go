package picture

import (
	"bytes"
	"encoding/xml"
	"errors"
	"io"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	pb "securesocket/gen/securesocket/v1"
)

// requireXML parses a picture to its end and wants only elements that draw, without a way to anything outside. It
// returns all its text.
func requireXML(t require.TestingT, svg []byte) string {
	allowed := map[string]bool{"svg": true, "title": true, "style": true, "rect": true, "path": true, "text": true}
	var text strings.Builder
	for decoder := xml.NewDecoder(bytes.NewReader(svg)); ; {
		token, err := decoder.Token()
		if errors.Is(err, io.EOF) {
			return text.String()
		}
		require.NoError(t, err, "%s", svg)
		switch token := token.(type) {
		case xml.StartElement:
			require.True(t, allowed[token.Name.Local], token.Name.Local)
			for _, attribute := range token.Attr {
				require.NotContains(t, []string{"href", "src", "style"}, attribute.Name.Local)
				require.False(t, strings.HasPrefix(attribute.Name.Local, "on"), attribute.Name.Local)
			}
		case xml.CharData:
			text.Write(token)
			text.WriteByte('\n')
		case xml.Directive, xml.ProcInst:
			require.Fail(t, "neither a DTD nor an instruction")
		}
	}
}

func TestSVG(t *testing.T) {
	t.Parallel()
	trusted := &Diagnosis{Target: "www.example:443", Reply: trustedReply()}
	inOrder(t, requireXML(t, trusted.SVG()), "TRUSTED: www.example:443 (192.0.2.1:443)", "valid for www.example",
		"CN=Root\n", "trust anchor, from the trust store", "CN=Middle\n", "CN=www.example\n", "revocation: good",
		"handshake\n", "48.000 ms", "revocation\n", "19.000 ms")
	reply := refusedReply()
	refused := &Diagnosis{Target: "api.example:443", Reply: reply, Err: refusal(reply)}
	inOrder(t, requireXML(t, refused.SVG()), "UNTRUSTED_SIGNERS", "peer: send the intermediates", "CN=Middle\n", "missing, ",
		"CN=www.example\n", "HOST_NAME_MISMATCH: it is not for api.example", "failed here")
	require.Contains(t, string(refused.SVG()), `class="gap"`)
	require.NotContains(t, string(trusted.SVG()), `class="gap"`)
	for _, outside := range []string{"@import", "url(", "http:", "https:"} {
		require.NotContains(t, strings.ReplaceAll(string(refused.SVG()), `xmlns="http://www.w3.org/2000/svg"`, ""), outside)
	}
}

func TestHostileSVG(t *testing.T) {
	t.Parallel()
	reply := hostileReply()
	svg := (&Diagnosis{Target: hostile, Reply: reply, Err: refusal(reply)}).SVG()
	text := requireXML(t, svg)
	require.Contains(t, text, `CN=a\x1b[31m]]></text><script>alert('1')</script>"&\u202e\r\nfake: line\x00\u009b\xff`, "all of it, as text")
	require.NotContains(t, string(svg), "<script")
}

func FuzzSVG(f *testing.F) {
	f.Add(hostile, hostile)
	f.Add("\ufffe\ud7ff\U0010ffff", strings.Repeat("\u4e2d", 500))
	f.Fuzz(func(t *testing.T, subject, message string) {
		reply := refusedReply()
		reply.Report.JudgedPath = []*pb.Certificate{certificate(subject, message)}
		reply.Report.Problems[0].Message = message
		d := &Diagnosis{Target: subject, Reply: reply, Err: refusal(reply)}
		requireXML(t, d.SVG())
		require.Equal(t, strings.Count(textOf(&Diagnosis{Target: "", Reply: reply, Err: refusal(reply)}, true, false), "\n"),
			strings.Count(textOf(d, true, false), "\n"), "a text is part of a line")
	})
}

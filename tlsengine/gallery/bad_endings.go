package gallery

import (
	"crypto/tls"
	"slices"
)

func (c *curator) badEndings() {
	show := func(label, about, reason, cause string, end func(*tlsServer)) *exhibit {
		e := c.trusted(GroupEnding, label, about, c.leaf(c.issuing, label))
		e.end, e.Reason, e.Cause = end, reason, cause
		e.Events = []string{EventSecureConnected, EventIOError, EventRemoteClosed, EventClosed}
		if cause == "ERROR" { // found on the client's side
			e.Events = []string{EventSecureConnected, EventIOError, EventClosed}
		}
		return e
	}
	show("no-close-notify", "Closes without close_notify: something may be missing.", "PEER_TRUNCATED", "PEER_TRUNCATED",
		func(s *tlsServer) { s.wire.finish() })
	show("cut-record", "Closes inside a record: something is missing.", "PEER_TRUNCATED", "PEER_TRUNCATED_RECORD", func(s *tlsServer) {
		s.wire.spoil = func(p []byte) []byte { return p[:len(p)/2] }
		_, _ = s.Write(make([]byte, 100))
		s.wire.finish()
	})
	show("cut-header", "Closes inside the header of a record.", "PEER_TRUNCATED", "PEER_TRUNCATED_RECORD", func(s *tlsServer) {
		s.wire.spoil = func(p []byte) []byte { return p[:3] }
		_, _ = s.Write(make([]byte, 100))
		s.wire.finish()
	})
	show("reset", "Resets after the answer.", "PEER_RESET", "PEER_RESET", func(s *tlsServer) { s.wire.reset() })
	show("alert", "Ends with the alert bad_record_mac, for a record that the client never sent.", "PEER_ALERT", "PEER_ALERT",
		func(s *tlsServer) {
			record := make([]byte, 5+64)
			copy(record, []byte{23, 3, 3, 0, 64})
			s.wire.head = record
			_, _ = s.Read(make([]byte, 1))
			s.wire.finish()
		})
	show("bad-record", "Sends a record that does not decrypt.", "PEER_MISBEHAVED", "ERROR", func(s *tlsServer) {
		s.wire.spoil = func(p []byte) []byte {
			out := slices.Clone(p)
			out[len(out)-1] ^= 1
			return out
		}
		_, _ = s.Write(make([]byte, 100))
		s.wire.finish()
	})
	e := show("client-certificate", "Asks for a client certificate, and says only afterwards that it is needed (TLS 1.3).",
		"PEER_ALERT", "PEER_ALERT", nil)
	e.config.ClientAuth, e.config.MinVersion = tls.RequireAnyClientCert, tls.VersionTLS13
}

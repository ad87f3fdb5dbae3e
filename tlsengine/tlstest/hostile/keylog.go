package hostile

import (
	"bytes"
	"crypto/tls"
	"encoding/hex"
	"fmt"
	"strings"
)

// keyLog is what crypto/tls tells of its secrets, in NSS's format. It belongs to the goroutine of the handshake.
type keyLog struct{ strings.Builder }

// find returns the two values of the line that begins with label.
func (l *keyLog) find(label string) (clientRandom, secret []byte, err error) {
	for line := range strings.Lines(l.String()) {
		fields := strings.Fields(line)
		if len(fields) != 3 || fields[0] != label {
			continue
		}
		if clientRandom, err = hex.DecodeString(fields[1]); err == nil {
			secret, err = hex.DecodeString(fields[2])
		}
		return clientRandom, secret, err
	}
	return nil, nil, fmt.Errorf("hostile: no %s in the key log", label)
}

func (l *keyLog) has(label string) bool { return strings.Contains(l.String(), label+" ") }

// sealer makes the one for what this side, whose handshake is over, says next.
func (l *keyLog) sealer(cs tls.ConnectionState, wire *hellos) (*sealer, error) {
	if cs.Version == tls.VersionTLS13 {
		label := "CLIENT_TRAFFIC_SECRET_0"
		if wire.served() {
			label = "SERVER_TRAFFIC_SECRET_0"
		}
		_, secret, err := l.find(label)
		if err != nil {
			return nil, err
		}
		return newSealer13(cs.CipherSuite, secret)
	}
	clientRandom, master, err := l.find("CLIENT_RANDOM")
	if err != nil {
		return nil, err
	}
	if wire.served() {
		return newSealer12(master, clientRandom, wire.written[helloKept-32:], true)
	}
	return newSealer12(master, clientRandom, wire.read[helloKept-32:], false)
}

// served tells a ServerHello from a ClientHello in what this side wrote.
func (c *hellos) served() bool { return bytes.HasPrefix(c.written[headerLen:], []byte{2}) }

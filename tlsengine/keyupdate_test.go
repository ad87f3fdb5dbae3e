package tlsengine_test

import (
	"bytes"
	"crypto/aes"
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/sha256"
	"crypto/tls"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"io"
	"math/rand/v2"
	"net"
	"strings"
	"sync"
	"testing"

	"securesocket/tlsengine/tlstest"

	"github.com/stretchr/testify/require"
)

// sealer makes a server's records after the handshake (RFC 8446, sections 5.2 and 7), because crypto/tls has no way to ask
// for a KeyUpdate. It knows TLS_AES_128_GCM_SHA256.
type sealer struct {
	secret []byte
	seq    uint64
}

func newSealer(keyLog string) *sealer {
	for line := range strings.Lines(keyLog) {
		if fields := strings.Fields(line); fields[0] == "SERVER_TRAFFIC_SECRET_0" {
			secret, _ := hex.DecodeString(fields[2])
			return &sealer{secret: secret}
		}
	}
	return nil
}

func (s *sealer) expand(label string, length int) []byte {
	info := append([]byte{0, byte(length), byte(len("tls13 ") + len(label))}, "tls13 "+label+"\x00"...)
	out, _ := hkdf.Expand(sha256.New, s.secret, string(info), length)
	return out
}

func (s *sealer) record(contentType byte, content []byte) []byte {
	block, _ := aes.NewCipher(s.expand("key", 16))
	aead, _ := cipher.NewGCM(block)
	nonce := s.expand("iv", 12)
	last := nonce[4:]
	binary.BigEndian.PutUint64(last, binary.BigEndian.Uint64(last)^s.seq)
	s.seq++
	header := []byte{23, 3, 3, 0, byte(len(content) + 17)}
	return aead.Seal(header, nonce, append(content, contentType), header)
}

// keyUpdate asks for one in return.
func (s *sealer) keyUpdate() []byte {
	out := s.record(22, []byte{24, 0, 0, 1, 1})
	s.secret, s.seq = s.expand("traffic upd", 32), 0
	return out
}

// The answers to KeyUpdates are written by the reader, between the writer's records.
func TestKeyUpdateBesideCorkedWrites(t *testing.T) {
	t.Parallel()
	const updates = 100
	ca := tlstest.NewCA(t)
	ctx := t.Context()
	sums := make(chan [sha256.Size]byte, 1)
	address := tlstest.ServeRaw(t, func(raw net.Conn) {
		var keyLog bytes.Buffer
		config := serverConfig(ca.Leaf(), tls.VersionTLS13)
		config.KeyLogWriter, config.SessionTicketsDisabled = &keyLog, true
		c := tls.Server(raw, config)
		if c.HandshakeContext(ctx) != nil || c.ConnectionState().CipherSuite != tls.TLS_AES_128_GCM_SHA256 {
			return
		}
		var wg sync.WaitGroup
		defer wg.Wait()
		received := make(chan struct{}) // crypto/tls takes few answers in a row without data
		defer close(received)
		wg.Go(func() {
			s := newSealer(keyLog.String())
			for i := range updates {
				<-received
				out := s.keyUpdate()
				at := rand.IntN(len(out))
				_, _ = raw.Write(out[:at])
				_, _ = raw.Write(append(out[at:], s.record(23, []byte{byte(i)})...))
			}
			_, _ = raw.Write(s.record(21, []byte{1, 0})) // close_notify
		})
		hash := sha256.New()
		var err error
		for buf := make([]byte, 8<<10); err == nil; {
			var n int
			n, err = c.Read(buf)
			hash.Write(buf[:n])
			select {
			case received <- struct{}{}:
			default:
			}
		}
		if errors.Is(err, io.EOF) {
			sums <- [sha256.Size]byte(hash.Sum(nil))
		}
		close(sums)
	})
	conn, err := client(t, address, trusting(ca))
	require.NoError(t, err)
	if conn.State().CipherSuite != tls.TLS_AES_128_GCM_SHA256 {
		t.Skip("this machine prefers another suite")
	}
	var got []byte
	var readErr error
	var wg sync.WaitGroup
	done := make(chan struct{})
	wg.Go(func() {
		defer close(done)
		buf := make([]byte, 100)
		for readErr == nil {
			var n int
			n, readErr = tryRead(conn, buf)
			got = append(got, buf[:n]...)
		}
	})
	hash := sha256.New()
	for reading := true; reading; {
		select {
		case <-done:
			reading = false
		default:
		}
		p := make([]byte, rand.IntN(100<<10))
		for i := range p {
			p[i] = byte(i * len(p))
		}
		hash.Write(p)
		n, err := conn.Write(p)
		require.NoError(t, err)
		require.Equal(t, len(p), n)
	}
	wg.Wait()
	require.NoError(t, conn.CloseWrite())
	require.Equal(t, io.EOF, readErr)
	require.Len(t, got, updates)
	for i := range got {
		require.Equal(t, byte(i), got[i])
	}
	sum, ok := <-sums
	require.True(t, ok, "the server could decrypt it all")
	require.Equal(t, [sha256.Size]byte(hash.Sum(nil)), sum)
	require.NoError(t, conn.Close())
}

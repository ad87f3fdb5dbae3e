package door_test

import (
	"bytes"
	"encoding/binary"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/net/http2"
)

// message is one of gRPC's.
func message(size int) []byte {
	return append(binary.BigEndian.AppendUint32([]byte{0}, uint32(size)), make([]byte, size)...) //nolint:gosec // small
}

// sends has the other end write frames, and the door's read them.
func (v visitor) sends(t *testing.T, write func(fr *http2.Framer)) error {
	t.Helper()
	var wire bytes.Buffer
	write(http2.NewFramer(&wire, nil))
	return v.bytes(t, wire.Bytes())
}

// bytes has the other end write them, and the door's read them.
func (v visitor) bytes(t *testing.T, p []byte) error {
	t.Helper()
	go func() { _, _ = v.far.Write(p) }()
	for n, buf := 0, make([]byte, 777); n < len(p); {
		m, err := v.Read(buf)
		if err != nil {
			return err
		}
		n += m
	}
	return nil
}

// answers has the door's end write frames, and the other read them.
func (v visitor) answers(t *testing.T, write func(fr *http2.Framer) error) {
	t.Helper()
	go func() { _, _ = v.far.Read(make([]byte, 1<<10)) }()
	require.NoError(t, write(http2.NewFramer(v, nil)))
}

func (v visitor) greets(t *testing.T) {
	t.Helper()
	go func() { _, _ = v.far.Write([]byte(http2.ClientPreface)) }()
	for n := 0; n < len(http2.ClientPreface); {
		m, err := v.Read(make([]byte, 100))
		require.NoError(t, err)
		n += m
	}
}

func begins(stream uint32) func(fr *http2.Framer) {
	return func(fr *http2.Framer) {
		_ = fr.WriteHeaders(http2.HeadersFrameParam{StreamID: stream, EndHeaders: true})
	}
}

func data(stream uint32, end bool, p []byte) func(fr *http2.Framer) {
	return func(fr *http2.Framer) {
		for part := range slices.Chunk(p, 16<<10) {
			_ = fr.WriteData(stream, end, part)
		}
	}
}

func trailers(stream uint32) func(fr *http2.Framer) error {
	return func(fr *http2.Framer) error {
		return fr.WriteHeaders(http2.HeadersFrameParam{StreamID: stream, EndHeaders: true, EndStream: true})
	}
}

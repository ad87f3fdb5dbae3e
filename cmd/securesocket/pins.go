package main

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"strings"
)

// parsePins reads SHA-256 hashes of public keys as other programs write them: in hex, with or without colons, or in
// base64 as by curl's --pinnedpubkey and RFC 7469, with "sha256/", "sha256//" or "sha256:" before it or not.
func parsePins(values []string) (pins [][]byte, err error) {
	for _, value := range values {
		text := value
		for _, prefix := range []string{"sha256//", "sha256/", "sha256:"} {
			if after, ok := strings.CutPrefix(strings.ToLower(text), prefix); ok {
				text = text[len(text)-len(after):]
				break
			}
		}
		pin, ok := parsePin(text)
		if !ok {
			return nil, usagef("--pin: %q is no SHA-256 of a public key: 64 digits of hex, or 44 characters of base64", value)
		}
		pins = append(pins, pin)
	}
	return pins, nil
}

func parsePin(text string) ([]byte, bool) {
	if pin, err := hex.DecodeString(strings.ReplaceAll(text, ":", "")); err == nil && len(pin) == sha256.Size {
		return pin, true
	}
	text = strings.TrimRight(text, "=")
	for _, encoding := range []*base64.Encoding{base64.RawStdEncoding, base64.RawURLEncoding} {
		if pin, err := encoding.Strict().DecodeString(text); err == nil && len(pin) == sha256.Size {
			return pin, true
		}
	}
	return nil, false
}

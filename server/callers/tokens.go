package callers

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"strconv"
	"strings"
)

const (
	// tokenPrefix lets people and scanners see what a stray string is.
	tokenPrefix = "sst_"
	hashPrefix  = "sha256:"
	maxTokens   = 10_000
	maxLine     = 1024
)

// NewToken returns a new static token: 256 random bits, in characters that every
// shell and header takes.
func NewToken() string {
	var random [32]byte
	_, _ = rand.Read(random[:]) // never fails
	return tokenPrefix + base64.RawURLEncoding.EncodeToString(random[:])
}

// HashToken returns what stands for a token in a file of tokens. One round of
// SHA-256 hides a token because nobody can guess 256 bits; it would not hide a
// password. The token stays the caller's.
func HashToken(token []byte) string {
	sum := sha256.Sum256(token)
	return hashPrefix + hex.EncodeToString(sum[:])
}

// tokens is a file of static tokens, by the hash of each. To look one up compares
// hashes only, and of these nobody can choose the bytes: how long it takes says
// nothing about a token.
type tokens map[[sha256.Size]byte]string // principals

func (t tokens) principal(token string) (string, error) {
	if p, ok := t[sha256.Sum256([]byte(token))]; ok {
		return p, nil
	}
	return "", &TokenError{TokenUnknown}
}

// maxMistakes is how many of a file of tokens are told at once.
const maxMistakes = 50

// parseTokens reads lines of NAME sha256:HEX. Empty lines, and those that begin
// with "#", are passed over. A name may have several tokens, so that one can be
// replaced while callers move; a token has one name. Its error joins a *FileError
// for each line that is wrong.
func parseTokens(file string, text []byte) (*tokens, error) {
	found := tokens{}
	number := 0
	var wrong []error
	for line := range strings.Lines(string(text)) {
		number++
		why := found.add(line)
		if why == "" {
			continue
		}
		last := len(wrong) == maxMistakes || len(found) == maxTokens
		if len(wrong) == maxMistakes {
			why = "this line is wrong too, and those after it were not looked at"
		}
		wrong = append(wrong, &FileError{File: file, Line: number, Why: why})
		if last {
			break
		}
	}
	if err := errors.Join(wrong...); err != nil {
		return nil, err
	}
	return &found, nil
}

// add reads a line, and says what is wrong with it; "": nothing is. The rest of a line
// is not quoted: it may be a token by mistake.
func (t tokens) add(line string) (why string) {
	if len(line) > maxLine {
		return "the line is longer than " + strconv.Itoa(maxLine) + " bytes"
	}
	line = strings.Trim(line, " \t\r\n")
	if line == "" || line[0] == '#' {
		return ""
	}
	name, hash, ok := strings.Cut(line, " ")
	digits, hashed := strings.CutPrefix(strings.TrimLeft(hash, " \t"), hashPrefix)
	switch {
	case !ok || !hashed:
		return "it is not NAME sha256:HEX"
	case !validTokenName(name):
		return "the name is not 1 to 64 letters, digits, dots, hyphens and underscores, the first a letter or digit"
	}
	var sum [sha256.Size]byte
	if len(digits) != hex.EncodedLen(len(sum)) || strings.ToLower(digits) != digits {
		return "the hash is not 64 hexadecimal digits in lower case"
	}
	if _, err := hex.Decode(sum[:], []byte(digits)); err != nil {
		return "the hash is not 64 hexadecimal digits in lower case"
	}
	if _, twice := t[sum]; twice {
		return "the token is there already"
	}
	if len(t) == maxTokens {
		return "there are more than " + strconv.Itoa(maxTokens) + " tokens"
	}
	t[sum] = KindToken + ":" + name
	return ""
}

func validTokenName(name string) bool {
	if name == "" || len(name) > 64 || strings.ContainsRune(".-_", rune(name[0])) {
		return false
	}
	return !strings.ContainsFunc(name, func(r rune) bool {
		return (r < 'a' || r > 'z') && (r < 'A' || r > 'Z') && (r < '0' || r > '9') && r != '.' && r != '-' && r != '_'
	})
}

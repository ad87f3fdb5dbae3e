package main

import (
	"bytes"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"strings"

	"github.com/spf13/pflag"
)

const (
	// maxAnchors is what the service takes for one session.
	maxAnchors = 100
	// maxAnchorFile bounds what is read of a file, in bytes; maxAnchors of usual size have a tenth of it.
	maxAnchorFile = 4 << 20
)

// registerCafile gives a command the flag whose files readAnchors reads.
func registerCafile(flags *pflag.FlagSet, files *[]string) {
	flags.StringArrayVar(files, "cafile", nil, fmt.Sprintf("trust the certificates in the `FILE` too, PEM or DER, at most %d in all (more: see trust --help); repeatable", maxAnchors))
}

// readAnchors reads the certificates of flag's files, PEM or DER, in DER. Errors name the file and never show what is in it: it
// may be the wrong file, with a secret.
func readAnchors(flag string, files []string) (anchors [][]byte, err error) {
	for _, file := range files {
		content, err := readBounded(file)
		if err != nil {
			return nil, usagef("%s %q cannot be read: %w", flag, file, err)
		}
		found, err := parseAnchors(content)
		if err != nil {
			return nil, usagef("%s %q %w", flag, file, err)
		}
		anchors = append(anchors, found...)
	}
	if len(anchors) > maxAnchors {
		return nil, usagef("%s: there are %d certificates; the service takes at most %d with a request. Give it a larger file once, "+
			"by `securesocket trust add FILE` or `trust set FILE`, or have its operator name it by --bundle", flag, len(anchors), maxAnchors)
	}
	return anchors, nil
}

func readBounded(file string) ([]byte, error) {
	f, err := os.Open(file)
	if err != nil {
		return nil, withoutPath(err)
	}
	defer f.Close()
	content, err := io.ReadAll(io.LimitReader(f, maxAnchorFile+1))
	switch {
	case err != nil:
		return nil, withoutPath(err)
	case len(content) > maxAnchorFile:
		return nil, errors.New("it is too large for certificates")
	}
	return content, nil
}

// withoutPath leaves out the path, which the message around it has, quoted.
func withoutPath(err error) error {
	if e, ok := errors.AsType[*fs.PathError](err); ok {
		return e.Err
	}
	return err
}

func parseAnchors(content []byte) (anchors [][]byte, err error) {
	if !bytes.Contains(content, []byte("-----BEGIN")) {
		certificates, err := x509.ParseCertificates(content)
		if err != nil || len(certificates) == 0 {
			return nil, errors.New("has no certificate in PEM or DER")
		}
		for _, c := range certificates {
			anchors = append(anchors, c.Raw)
		}
		return anchors, nil
	}
	for {
		var block *pem.Block
		block, content = pem.Decode(content)
		switch {
		case block == nil && bytes.Contains(content, []byte("-----BEGIN")):
			return nil, errors.New("has a PEM block that cannot be read")
		case block == nil && len(anchors) == 0:
			return nil, errors.New("has no certificate in PEM or DER")
		case block == nil:
			return anchors, nil
		case strings.Contains(block.Type, "PRIVATE KEY"):
			return nil, errors.New("has a private key; a file of trust anchors must have none")
		case block.Type != "CERTIFICATE":
			return nil, errors.New("has a PEM block that is no CERTIFICATE")
		}
		if _, err := x509.ParseCertificate(block.Bytes); err != nil {
			return nil, errors.New("has a certificate that cannot be read")
		}
		anchors = append(anchors, block.Bytes)
	}
}

package main

import (
	"bytes"
	"encoding/json"

	"github.com/spf13/cobra"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"

	"securesocket/cmd/securesocket/internal/terminal"
)

// outputFlag is -o: for people or for programs.
type outputFlag struct{ format string }

func (f *outputFlag) register(cmd *cobra.Command) {
	cmd.Flags().StringVarP(&f.format, "output", "o", "text", "`FORMAT` of the output: text or json")
}

// json reports which of the two it is.
func (f *outputFlag) json() (bool, error) {
	switch f.format {
	case "json":
		return true, nil
	case "text":
		return false, nil
	}
	return false, usagef("--output: %q is neither text nor json", f.format)
}

// toJSON is one message.
func toJSON(m proto.Message) ([]byte, error) {
	content, err := protojson.Marshal(m)
	if err != nil {
		return nil, err
	}
	return indentJSON(content)
}

// indentJSON makes JSON readable, the same way each time: protojson's own white space differs from build to build.
func indentJSON(content []byte) ([]byte, error) {
	var out bytes.Buffer
	if err := json.Indent(&out, content, "", "  "); err != nil {
		return nil, err
	}
	out.WriteByte('\n')
	return terminal.EscapeJSON(out.Bytes()), nil
}

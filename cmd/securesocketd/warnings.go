package main

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"strings"
)

// warnings writes a line for each warning that the start would log, and nothing else. It is for one goroutine.
type warnings struct{ w io.Writer }

// Enabled says what is written.
func (warnings) Enabled(_ context.Context, level slog.Level) bool { return level >= slog.LevelWarn }

// Handle writes it.
func (h warnings) Handle(_ context.Context, r slog.Record) error {
	var line strings.Builder
	line.WriteString("warning: " + r.Message)
	r.Attrs(func(a slog.Attr) bool {
		fmt.Fprintf(&line, " %s=%q", a.Key, a.Value.String())
		return true
	})
	_, err := fmt.Fprintln(h.w, line.String())
	return err
}

// WithAttrs and WithGroup are for loggers that are made of it, of which there are none.
func (h warnings) WithAttrs([]slog.Attr) slog.Handler { return h }

// WithGroup is like WithAttrs.
func (h warnings) WithGroup(string) slog.Handler { return h }

package main

import (
	"io"
	"log/slog"
	"strconv"
)

// logger writes to w what log.level asks for.
func (s settings) logger(w io.Writer) *slog.Logger {
	var level slog.Level
	_ = level.UnmarshalText([]byte(s.Log.Level)) // it is one of slog's names
	if s.Log.Format == "json" {
		return slog.New(slog.NewJSONHandler(w, &slog.HandlerOptions{Level: level, ReplaceAttr: inSeconds}))
	}
	return slog.New(slog.NewTextHandler(w, &slog.HandlerOptions{Level: level, ReplaceAttr: inSecondsAsText}))
}

// inSeconds writes a duration as a number of seconds, which its name then says: slog's JSON would have nanoseconds, and
// its text another unit in each line.
func inSeconds(_ []string, a slog.Attr) slog.Attr {
	if a.Value.Kind() != slog.KindDuration {
		return a
	}
	return slog.Float64(a.Key+"_seconds", a.Value.Duration().Seconds())
}

// inSecondsAsText is inSeconds, without the exponents that slog's text has for floats and its JSON has not.
func inSecondsAsText(groups []string, a slog.Attr) slog.Attr {
	a = inSeconds(groups, a)
	if a.Value.Kind() == slog.KindFloat64 {
		a.Value = slog.StringValue(strconv.FormatFloat(a.Value.Float64(), 'f', -1, 64))
	}
	return a
}

// Package secret holds passwords, tokens and keys in a form that prints nothing.
//
// A [Bytes] shows [Redacted] to fmt, with every verb, to log/slog, to JSON and to whatever asks for text; encoding/gob
// refuses it. That holds too where it is in an unexported field of another struct, of which fmt asks no methods: the bytes
// are in a closure, and fmt shows an address. [Bytes.Expose] is the one way to them.
//
// # What is not promised
//
// [Bytes.Clear] overwrites the bytes that a Bytes owns, and no copy that anybody made of them: not the string or the
// message that they came from, not what a library computed with them, not what is left on a stack. A debugger sees them. Nothing is
// locked into memory: a machine with a swap should have it encrypted.
//
// # Concurrency
//
// Everything but Clear may run beside itself. Clear is for the owner, when nobody uses the bytes any more.
package secret

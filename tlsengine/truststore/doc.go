// Package truststore holds the certificates that chains are judged by: which are anchors, which only help to build a
// chain, where they come from, and how one level of them follows another.
//
// A [Set] is what a chain is judged by. [ParseBundle] makes certificates from what a caller sends, [LoadSystem] makes
// the set of the machine, and a [Level] is what one caller or session has laid over the level above it. It judges
// nothing, and keeps nothing: whoever holds a Level stores it, by MarshalBinary.
//
// # Concurrency
//
// Sets and levels are immutable; a change makes another one. All methods may run at the same time, and none blocks.
// LoadSystem and Bundled do their work anew on each call, LoadSystem with files: call them once.
//
// # Errors
//
// A [BundleError] is the caller's: it says which certificate of the bundle, and why. A [SystemError] is the machine's. A
// [LevelError] is about bytes that are no level. None of them repeats a byte of what was given.
package truststore

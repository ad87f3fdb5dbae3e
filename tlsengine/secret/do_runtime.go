//go:build goexperiment.runtimesecret

package secret

import "runtime/secret"

// Do runs f, with what it leaves behind erased as runtime/secret has it: registers and stack at its end, and whatever it
// has allocated, its results included, when the collector finds that nobody uses them any more. Without
// GOEXPERIMENT=runtimesecret, with which this is built, it is f alone.
func Do(f func()) { secret.Do(f) }

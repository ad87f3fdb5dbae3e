//go:build !unix

package terminal

import "os"

// isTerminal says no where it is not known: plain output is right everywhere.
func isTerminal(*os.File) bool { return false }

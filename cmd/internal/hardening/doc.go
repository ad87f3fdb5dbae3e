// Package hardening keeps what a process holds in memory from leaving it by way of the operating system.
//
// [Apply] is for the first line of main, before there is anything to keep. On Linux the process is then not dumpable: no
// core file is written, also none that the kernel would pipe to a collector, which ignores the limit on core files; and
// another process of the same user can neither attach a debugger nor read its memory, its environment or where its
// descriptors lead. On other systems there is the limit on core files alone, and on those without one nothing.
//
// # What is not promised
//
// Root, and whoever has CAP_SYS_PTRACE, reads everything. Pages may go to swap. A crash still prints the stacks of
// goroutines, with the arguments of functions as numbers: addresses and lengths of what is secret, and never what is there.
// How much a crash prints is the operator's choice by GOTRACEBACK, under which Go lets nobody go; without it that is the
// goroutine that crashed.
//
// crypto/tls writes its secrets only where a program asks it to. This one never does, so that SSLKEYLOGFILE means nothing
// to it.
package hardening

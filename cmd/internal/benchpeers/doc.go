// Package benchpeers measures the service beside what people use today: crypto/tls itself, stunnel, haproxy and
// ghostunnel, all of them on the way to the same TLS peer, over loopback, in turn. It makes a table and a plot.
//
// [Run] starts what it measures as processes of their own: the peer and the service out of this program ([RunRole]), the
// others as they are installed. What is not there is left out, with a reason. The service is package server as the daemon
// has it, on a Unix socket, except that one caller may have as many sessions as all together.
//
// # What the figures are good for
//
// Ratios within one run. Everything shares the machine: the load, the peer, and what is between them. Throughput and
// latency are of the whole of it; CPU and memory are those of the process in between alone, out of /proc.
//
// # Concurrency
//
// One thing is measured at a time; whatever else runs meanwhile is not ours. Run waits for every process that it has
// started, and ends each by its own id. A process out of this program also ends with its standard input, so that none is
// left behind by a Run that was killed.
//
// # Errors
//
// Run fails where nothing could be measured: no peer, no service. What fails later, or for one of them alone, is in
// [Report].Notes, and its cells are empty.
package benchpeers

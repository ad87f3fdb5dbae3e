// Package proxytest has real proxies for tests: HTTP CONNECT and SOCKS5, which
// dial what they are asked for and splice. They share nothing with package proxy
// but the RFCs.
//
// A [Proxy] listens on 127.0.0.1 and ends with its test: its connections are
// closed then, and none of its goroutines is left. It may be used from any
// goroutine. What goes wrong with a connection is told to its client and is no
// failure of the test.
package proxytest

// Package tlstest makes certificate authorities, chains with any flaw, and scripted TLS peers, for tests.
//
// Nothing in it is secret or random enough for anything else. Everything that it starts ends with the test.
package tlstest

// Package tlstest puts package forge into a test's terms, and has scripted TLS peers: authorities and chains with any flaw
// that fail the test instead of returning an error.
//
// Nothing in it is secret or random enough for anything else. Everything that it starts ends with the test.
package tlstest

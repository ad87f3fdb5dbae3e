// Package realserver runs servers that people run, each of which goes into TLS
// in its own protocol's way: Exim, Dovecot, OpenLDAP, PostgreSQL, MariaDB,
// vsftpd and Prosody, as their packages install them.
//
// A server has a folder, a configuration and a port on 127.0.0.1 of its own, and
// takes nothing from /etc. It needs no privilege: a test that runs as root runs
// it as nobody. It answers when the function that started it returns, and is
// ended with the test; if that failed, what the server printed is in its log.
//
// The functions may be called where a test may be ended, since that is how they
// fail. They share nothing.
//
// For tests only.
package realserver

package truststore

// searchPaths returns where crypto/x509 looks on a platform: files, of which the first that is there counts, and folders,
// which all count. None: the operating system keeps the anchors, or there are none.
func searchPaths(goos string) (files, dirs []string) {
	switch goos {
	case "linux", "android":
		files = []string{
			"/etc/ssl/certs/ca-certificates.crt",                // Debian, Ubuntu, Gentoo
			"/etc/pki/tls/certs/ca-bundle.crt",                  // Fedora, RHEL 6
			"/etc/ssl/ca-bundle.pem",                            // openSUSE
			"/etc/pki/tls/cacert.pem",                           // OpenELEC
			"/etc/pki/ca-trust/extracted/pem/tls-ca-bundle.pem", // CentOS, RHEL 7
			"/etc/ssl/cert.pem",                                 // Alpine
		}
		dirs = []string{"/etc/ssl/certs", "/etc/pki/tls/certs"}
		if goos == "android" {
			dirs = append(dirs, "/system/etc/security/cacerts", "/data/misc/keychain/certs-added")
		}
	case "dragonfly", "freebsd", "netbsd", "openbsd":
		files = []string{
			"/usr/local/etc/ssl/cert.pem",            // FreeBSD
			"/etc/ssl/cert.pem",                      // OpenBSD
			"/usr/local/share/certs/ca-root-nss.crt", // DragonFly
			"/etc/openssl/certs/ca-certificates.crt", // NetBSD
		}
		dirs = []string{"/etc/ssl/certs", "/usr/local/share/certs", "/etc/openssl/certs"}
	case "solaris", "illumos":
		files = []string{"/etc/certs/ca-certificates.crt", "/etc/ssl/certs/ca-certificates.crt", "/etc/ssl/cacert.pem"}
		dirs = []string{"/etc/certs/CA"}
	case "aix":
		files = []string{"/var/ssl/certs/ca-bundle.crt"}
		dirs = []string{"/var/ssl/certs"}
	case "plan9":
		files = []string{"/sys/lib/tls/ca.pem"}
	}
	return files, dirs
}

package egress

import "strings"

// isLocalhost reports whether name means the local host wherever it is resolved
// (RFC 6761 section 6.3).
func isLocalhost(name string) bool {
	return name == "localhost" || strings.HasSuffix(name, ".localhost")
}

// isMetadataName reports whether name is that of a cloud's metadata service.
// Their addresses are denied anyway; the names are known so that the denial does
// not hang on what a resolver answers.
func isMetadataName(name string) bool {
	switch name {
	case "metadata.google.internal", "metadata.goog", // Google Cloud
		"instance-data", "instance-data.ec2.internal", // AWS
		"metadata.tencentyun.com",      // Tencent Cloud
		"metadata.platformequinix.com": // Equinix Metal
		return true
	}
	return false
}

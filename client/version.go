package client

import (
	"crypto/tls"
	"fmt"

	pb "securesocket/gen/securesocket/v1"
)

// versions pairs the numbers of package crypto/tls with those of the contract. The service refuses what is too old.
var versions = []struct {
	number uint16
	wire   pb.ProtocolVersion
}{
	{0x0300, pb.ProtocolVersion_PROTOCOL_VERSION_SSL3}, // tls.VersionSSL30 is deprecated, the number is not
	{tls.VersionTLS10, pb.ProtocolVersion_PROTOCOL_VERSION_TLS1_0},
	{tls.VersionTLS11, pb.ProtocolVersion_PROTOCOL_VERSION_TLS1_1},
	{tls.VersionTLS12, pb.ProtocolVersion_PROTOCOL_VERSION_TLS1_2},
	{tls.VersionTLS13, pb.ProtocolVersion_PROTOCOL_VERSION_TLS1_3},
}

// wireVersion is the contract's version for number, or base where that is 0.
func wireVersion(field string, number uint16, base pb.ProtocolVersion) (pb.ProtocolVersion, error) {
	if number == 0 {
		return base, nil
	}
	for _, v := range versions {
		if v.number == number {
			return v.wire, nil
		}
	}
	return 0, invalidField(field, fmt.Sprintf("0x%04x is no version of TLS", number))
}

// tlsVersion is the number of package crypto/tls; 0 for what it does not have.
func tlsVersion(wire pb.ProtocolVersion) uint16 {
	for _, v := range versions {
		if v.wire == wire {
			return v.number
		}
	}
	return 0
}

package gallery

import (
	"strconv"

	"securesocket/tlsengine"
)

// String writes the problem as tables do: "CERTIFICATE_EXPIRED@0".
func (e Expect) String() string { return e.Code.String() + "@" + strconv.Itoa(e.Depth) }

// reasons of a chain that is refused, by the contract's names.
var reasons = map[tlsengine.Status]string{
	tlsengine.StatusUnknown:           "CERTIFICATE_UNDETERMINED",
	tlsengine.StatusExpired:           "CERTIFICATE_EXPIRED",
	tlsengine.StatusNotYetValid:       "CERTIFICATE_NOT_YET_VALID",
	tlsengine.StatusPrincipalMismatch: "CERTIFICATE_PRINCIPAL_MISMATCH",
	tlsengine.StatusInvalidChain:      "CERTIFICATE_INVALID_CHAIN",
	tlsengine.StatusUntrustedSigners:  "CERTIFICATE_UNTRUSTED_SIGNERS",
	tlsengine.StatusRevoked:           "CERTIFICATE_REVOKED",
	tlsengine.StatusInvalid:           "CERTIFICATE_INVALID",
}

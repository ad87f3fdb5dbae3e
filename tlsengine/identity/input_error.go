package identity

// InputError reports an identity that cannot be used as it was handed over. It holds nothing of the input but sizes,
// counts and names of algorithms.
type InputError struct {
	// Field is "certificate_chain", "private_key", "passphrase", "pkcs12", "signature_schemes" or, for the operator's
	// identities, "identity_ref".
	Field string
	Why   string
	Key   bool // it is about the private key, or what opens it; otherwise about the certificates
}

func (e *InputError) Error() string { return "identity: " + e.Field + ": " + e.Why }

// The fields of what is handed over.
const (
	fieldChain      = "certificate_chain"
	fieldKey        = "private_key"
	fieldPassphrase = "passphrase"
	fieldPKCS12     = "pkcs12"
	fieldSchemes    = "signature_schemes"
	fieldRef        = "identity_ref"
)

// What a passphrase opens.
const (
	aKey  = "the private key"
	aFile = "the PKCS#12 file"
)

func chainError(why string) *InputError { return &InputError{Field: fieldChain, Why: why} }

func passphraseError(why string) *InputError {
	return &InputError{Field: fieldPassphrase, Why: why, Key: true}
}

// needsPassphrase and wrongPassphrase are about what, such as "the private key".
func needsPassphrase(what string) *InputError {
	return passphraseError(what + " is encrypted and needs a passphrase")
}

func wrongPassphrase(what string) *InputError {
	return passphraseError("the passphrase does not open " + what)
}

func keyError(why string) *InputError { return &InputError{Field: fieldKey, Why: why, Key: true} }

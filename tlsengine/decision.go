package tlsengine

// DecisionError reports a chain with problems that whoever decides did not accept.
type DecisionError struct {
	Report *Report // never nil; never trusted
	Err    error   // what Config.Decide returned
}

func (e *DecisionError) Error() string {
	return "tlsengine: peer's certificate not accepted: " + e.Report.Status.String() + ": " + e.Err.Error()
}

// Unwrap returns Err.
func (e *DecisionError) Unwrap() error { return e.Err }

package revocation

import "fmt"

// evidence is what was found about one certificate. Revoked is final.
type evidence struct {
	found          Result // Outcome 0: nothing definite
	said           []error
	spoiled        bool // by a defect of ours: nothing but revoked counts
	stapleRequired bool
}

func (e *evidence) add(r Result, err error) {
	switch {
	case err != nil:
		e.said = append(e.said, err)
	case e.found.Outcome == 0, r.Outcome == Revoked && e.found.Outcome != Revoked:
		e.found = r
	}
}

// spoil notes a defect; nil is none.
func (e *evidence) spoil(err error) {
	if err != nil {
		e.said, e.spoiled = append(e.said, err), true
	}
}

// open says whether other sources may still be of use.
func (e *evidence) open() bool { return e.found.Outcome == 0 && !e.spoiled }

func (e *evidence) result(depth int) Result {
	r := e.found
	if r.Outcome == 0 || e.spoiled && r.Outcome != Revoked {
		r = Result{Outcome: NotChecked, Detail: detail(e.said)}
	}
	r.Depth, r.StapleRequired = depth, e.stapleRequired
	return r
}

func (e *evidence) askStaple(staple []byte, s *subject) {
	e.stapleRequired = mustStaple(s.cert)
	if staple == nil {
		return
	}
	a, err := readOCSP(staple, s)
	if err == nil {
		var r Result
		if r, err = a.judge(s, source{}); err == nil {
			r.Source, e.stapleRequired = Staple, false
			e.add(r, nil)
			return
		}
	}
	e.add(Result{}, fmt.Errorf("staple: %w", err))
}

package revocation

import (
	"fmt"
	"testing"
)

func TestZZSecondResponder(t *testing.T) {
	a := newAuthority(t)
	l := a.leaf(withOCSP("http://down.test/", "http://up.test/"))
	f := &serves{answers: map[string][]byte{"http://up.test/": a.ocsp(l, nil)}}
	c := NewChecker(Config{Fetcher: f})
	r, said := explained(t, c, a.query(l))
	fmt.Println("outcome", r.Outcome, "fetches", f.fetches.Load(), said)
}
func TestZZPanic(t *testing.T) {
	a := newAuthority(t)
	l := a.leaf(withOCSP("http://up.test/"))
	_ = l
}

package egress

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"sync"
	"time"

	"cel.dev/cel-go/cel"
	"cel.dev/cel-go/common/ast"
)

const (
	maxCondition = 2048 // bytes of an expression
	// conditionCost bounds an evaluation in CEL's units, of which a comparison is
	// about one; conditionTime ends one that is slow all the same.
	conditionCost = 10_000
	conditionTime = time.Second
)

// condition is the CEL expression of a rule. Its methods may run at once.
type condition struct {
	program cel.Program
	// needsAddress: the expression mentions the address, and so has no answer
	// before DNS.
	needsAddress bool
}

// conditionEnv declares what an expression may name; it is made when the first
// expression is read.
var conditionEnv = sync.OnceValues(func() (*cel.Env, error) {
	return cel.NewEnv(
		cel.Variable("caller", cel.StringType),
		cel.Variable("host", cel.StringType),
		cel.Variable("port", cel.IntType),
		cel.Variable("address", cel.StringType),
		cel.ParserExpressionSizeLimit(maxCondition),
		cel.ParserRecursionLimit(32),
		cel.ASTValidators(cel.ValidateRegexLiterals(), cel.ValidateComprehensionNestingLimit(2)),
	)
})

// parseCondition compiles an expression, which has to give a bool.
func parseCondition(text string) (*condition, error) {
	env, err := conditionEnv()
	if err != nil {
		return nil, err
	}
	if len(text) > maxCondition {
		return nil, fmt.Errorf("it is longer than %d bytes", maxCondition)
	}
	compiled, issues := env.Compile(text)
	if issues.Err() != nil {
		if all := issues.Errors(); len(all) > 0 && all[0].Location.Line() > 0 {
			return nil, fmt.Errorf("line %d, column %d: %s", all[0].Location.Line(), all[0].Location.Column()+1, all[0].Message)
		}
		return nil, issues.Err()
	}
	if !compiled.OutputType().IsExactType(cel.BoolType) {
		return nil, fmt.Errorf("it gives %s, not bool", compiled.OutputType())
	}
	program, err := env.Program(compiled,
		cel.CostLimit(conditionCost), cel.InterruptCheckFrequency(64), cel.EvalOptions(cel.OptOptimize))
	if err != nil {
		return nil, err
	}
	c := &condition{program: program}
	ast.PreOrderVisit(compiled.NativeRep().Expr(), ast.NewExprVisitor(func(e ast.Expr) {
		// A variable of a macro that has the same name counts too: the rule then
		// only waits for the address.
		if e.Kind() == ast.IdentKind && e.AsIdent() == "address" {
			c.needsAddress = true
		}
	}))
	return c, nil
}

var errNoBool = errors.New("the condition gave no bool")

// eval answers for one address, which is invalid before DNS.
func (c *condition) eval(q question, at netip.Addr) (bool, error) {
	ctx, cancel := context.WithTimeout(context.Background(), conditionTime)
	defer cancel()
	address := ""
	if at.IsValid() {
		address = at.String()
	}
	host := q.name
	if host == "" {
		host = address
	}
	out, _, err := c.program.ContextEval(ctx, map[string]any{
		"caller": q.caller, "host": host, "port": int64(q.port), "address": address,
	})
	if err != nil {
		return false, err
	}
	ok, isBool := out.Value().(bool)
	if !isBool {
		return false, errNoBool
	}
	return ok, nil
}

package authz

import (
	"encoding/json"
	"math"
	"slices"
	"strconv"
	"strings"

	"github.com/open-policy-agent/opa/v1/ast"
)

const (
	maxDigits   = 64   // of a number
	maxExponent = 308  // as that of a double
	maxFactors  = 2000 // digits of the factors of a product, with their exponents
	// Numbers of so many digits, with exponents up to this, are compared by arithmetic
	// of the machine; others take some hundred times as long.
	decimalDigits = 15
	quickExponent = 250
	maxExtreme    = 1000 // numbers with larger exponents in data
	extremeBytes  = 200  // of an input, one counts for
)

// outsize reports whether a number has more digits, or a larger exponent, than
// functions take.
func outsize(n ast.Number) bool {
	if len(n) > maxDigits {
		return true
	}
	e, ok := exponent(n)
	return !ok || e > maxExponent || e < -maxExponent
}

// exponent is what stands behind the e of a number; not ok if it is no small integer.
func exponent(n ast.Number) (e int, ok bool) {
	i := strings.IndexByte(string(n), 'e')
	if i < 0 {
		i = strings.IndexByte(string(n), 'E')
	}
	if i < 0 {
		return 0, true
	}
	e, err := strconv.Atoi(string(n)[i+1:])
	return e, err == nil
}

// isInt reports whether a number is written as an integer of 64 bits.
func isInt(n ast.Number) bool {
	_, ok := n.Int64()
	return ok
}

// isLong reports whether a number takes long to be compared.
func isLong(n ast.Number) bool {
	if len(n) > decimalDigits {
		return !isInt(n)
	}
	e, ok := exponent(n)
	return !ok || e > quickExponent || e < -quickExponent
}

// farther reports whether there are more integers between two numbers.
func farther(from, to ast.Number, than int64) bool {
	a, ok1 := from.Int64()
	b, ok2 := to.Int64()
	if !ok1 || !ok2 {
		// The function takes floats that are integers too.
		x, ok1 := from.Float64()
		y, ok2 := to.Float64()
		return !ok1 || !ok2 || math.Abs(x-y) > float64(than)
	}
	return uint64(max(a, b))-uint64(min(a, b)) > uint64(than)
}

// extreme reports whether the exponent of a number makes it take long to be compared;
// endless, whether no function would come to an end with it.
func extreme(n ast.Number) (is, endless bool) {
	e, ok := exponent(n)
	e = max(e, -e)
	return e > quickExponent, !ok || e > maxExponent
}

// comparable reports whether JSON has only numbers that can be compared in time. Not
// all comparisons are calls of functions.
func comparable(v any, left *int) bool {
	switch v := v.(type) {
	case json.Number:
		is, endless := extreme(ast.Number(v))
		if is {
			*left--
		}
		return !endless && *left >= 0
	case []any:
		return !slices.ContainsFunc(v, func(e any) bool { return !comparable(e, left) })
	case map[string]any:
		for _, e := range v {
			if !comparable(e, left) {
				return false
			}
		}
	}
	return true
}

// hasOutsize reports whether there is a number in a value that functions don't take.
func hasOutsize(t *ast.Term) bool {
	found := false
	ast.WalkTerms(t, func(x *ast.Term) bool {
		if n, ok := x.Value.(ast.Number); ok && !found {
			found = outsize(n)
		}
		return found
	})
	return found
}

// summable refuses members that sum and product would have to work on for long.
func summable(name string, operand *ast.Term) error {
	digits, failed := 0, false
	add := func(x *ast.Term) {
		n, ok := x.Value.(ast.Number)
		if !ok || failed {
			return
		}
		failed = outsize(n)
		e, _ := exponent(n)
		digits += len(n) + max(e, -e)
	}
	switch v := operand.Value.(type) {
	case *ast.Array:
		v.Foreach(add)
	case ast.Set:
		v.Foreach(add)
	}
	if failed || name == "product" && digits > maxFactors {
		return errNumber
	}
	return nil
}

package rpc

import (
	"math"
	"math/big"
	"strconv"
	"strings"
)

// decimal is a JSON number without loss: digits × 10^exp, digits free of zeros at both ends, zero has none.
type decimal struct {
	negative bool
	digits   string
	exp      int64
}

// hugeExponent stands for every exponent that no message can spell out.
const hugeExponent = 1 << 60

func parseDecimal(text string) decimal {
	var d decimal
	if strings.HasPrefix(text, "-") {
		d.negative, text = true, text[1:]
	}
	if at := strings.IndexAny(text, "eE"); at >= 0 {
		exp, err := strconv.ParseInt(text[at+1:], 10, 64)
		if err != nil || exp > hugeExponent || exp < -hugeExponent {
			exp = hugeExponent
			if text[at+1] == '-' {
				exp = -hugeExponent
			}
		}
		d.exp, text = exp, text[:at]
	}
	if at := strings.IndexByte(text, '.'); at >= 0 {
		d.exp -= int64(len(text) - at - 1)
		text = text[:at] + text[at+1:]
	}
	text = strings.TrimLeft(text, "0")
	d.digits = strings.TrimRight(text, "0")
	d.exp += int64(len(text) - len(d.digits))
	if d.digits == "" {
		return decimal{}
	}
	return d
}

func isInteger(text string) bool {
	return !strings.ContainsAny(text, ".eE") || parseDecimal(text).exp >= 0
}

func (d decimal) sign() int {
	switch {
	case d.digits == "":
		return 0
	case d.negative:
		return -1
	}
	return 1
}

// compare is negative, zero or positive as d is less than, equal to or greater than e.
func (d decimal) compare(e decimal) int {
	if d.sign() != e.sign() || d.sign() == 0 {
		return d.sign() - e.sign()
	}
	order := 0
	if left, right := d.exp+int64(len(d.digits)), e.exp+int64(len(e.digits)); left != right {
		order = 1
		if left < right {
			order = -1
		}
	} else {
		order = strings.Compare(d.digits, e.digits)
	}
	return order * d.sign()
}

// multipleOf reports whether d is a whole multiple of e, without ever writing a power of ten out.
func (d decimal) multipleOf(e decimal) bool {
	if d.digits == "" || e.digits == "" {
		return d.digits == ""
	}
	shift := d.exp - e.exp
	if shift < 0 {
		// d has no factor of ten left, a multiple of e would have.
		return false
	}
	modulus, _ := new(big.Int).SetString(e.digits, 10)
	rest := new(big.Int).Exp(big.NewInt(10), big.NewInt(shift), modulus)
	rest.Mul(rest, remainder(d.digits, modulus))
	return rest.Mod(rest, modulus).Sign() == 0
}

// remainder is the number of these digits modulo m; by chunks, since converting a long number is quadratic.
func remainder(digits string, m *big.Int) *big.Int {
	const chunk = 18
	rest, scale, part := new(big.Int), big.NewInt(0), new(big.Int)
	for len(digits) > 0 {
		n := min(chunk, len(digits))
		value, _ := strconv.ParseInt(digits[:n], 10, 64)
		scale.SetInt64(int64(math.Pow10(n)))
		rest.Mul(rest, scale).Add(rest, part.SetInt64(value)).Mod(rest, m)
		digits = digits[n:]
	}
	return rest
}

// key is equal for equal numbers only.
func (d decimal) key() string {
	if d.digits == "" {
		return "0"
	}
	sign := ""
	if d.negative {
		sign = "-"
	}
	return sign + d.digits + "e" + strconv.FormatInt(d.exp, 10)
}

// Digits that an integer written with a fraction or an exponent may take when it is written without: as many
// as 64 bits have where it becomes an int64, and where its text is kept as many as every reader gets right,
// also one that takes such a number for a float64.
const (
	digits64   = 20
	digitsSafe = 15
)

// integerText is the plain form of an integer (`1.0` and `1e2` as 1 and 100); ok is false for other numbers.
// An integer written with a fraction or an exponent that has more digits than most keeps its text.
func integerText(text string, most int64) (plain string, ok bool) {
	if !strings.ContainsAny(text, ".eE") {
		if text == "-0" {
			return "0", true
		}
		return text, true
	}
	d := parseDecimal(text)
	if d.exp < 0 {
		return text, false
	}
	if d.digits == "" {
		return "0", true
	}
	if d.exp+int64(len(d.digits)) > most {
		return text, true
	}
	plain = d.digits + strings.Repeat("0", int(d.exp))
	if d.negative {
		plain = "-" + plain
	}
	return plain, true
}

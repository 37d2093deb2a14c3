// Package address reads e-mail addresses as they come in lists and campaign files, and refuses those that could not go over
// SMTP as they are.
//
// Parse trims invisible padding and normalises an address that is not ASCII to NFC. Then it checks the local part (RFC 5321
// and 6531) and turns the domain into lower-case A-labels. Key is the identity by which duplicates are found.
package address

import (
	"errors"
	"fmt"
	"net/netip"
	"strings"
	"unicode"
	"unicode/utf8"

	"golang.org/x/net/idna"
	"golang.org/x/text/unicode/norm"

	"mailblast/campaign/text"
)

const (
	maxLocal   = 64   // octets, RFC 5321 section 4.5.3.1.1
	maxAddress = 254  // octets: a path is 256 with its angle brackets, RFC 5321 section 4.5.3.1.3
	maxWritten = 2048 // octets before a domain is shortened to A-labels: more than four for each of the 254
)

// An Address is a checked addr-spec (RFC 5321 section 4.1.2) that can stand in MAIL FROM and RCPT TO as it is: the local part
// quoted if it has to be, the domain in A-labels.
type Address struct {
	Local  string // as it goes on the wire, with quotes if needed
	Domain string // lower-case A-labels, or an address literal with its brackets
	UTF8   bool   // the local part needs SMTPUTF8 (RFC 6531)
}

// Parse reads one bare address: atoms or a quoted string, @, and a domain or an address literal. It drops the white space
// around it. It refuses comments, folding, source routes, display names and angle brackets, and everything that could end
// the path of an SMTP command early: white space, < and >, and control characters are refused even inside quotes, where
// RFC 5321 would allow some of them, because too many servers read quotes loosely (`"v@x> ORCPT=a@b"@c`).
//
// A domain of a single label (user@localhost) is accepted, because intranets and tests need it. An underscore in a domain is
// not: RFC 5321 allows letters, digits and hyphens only, servers refuse it, and in a list it is a typing error. A trailing
// dot is refused as well: in a list it ended a sentence, and the grammar has none.
//
// The error quotes the address; errors.Unwrap gives the reason alone.
func Parse(s string) (Address, error) {
	s = TrimPadding(s)
	a, err := parse(s)
	if err != nil {
		return Address{}, fmt.Errorf("invalid address %s: %w", text.Quoted(s), err)
	}
	return a, nil
}

// Mend returns the form in which Parse accepts an address that it refuses only for the dots before the @. Some Japanese
// providers gave out addresses such as a..b@docomo.ne.jp and a.@docomo.ne.jp, and their owners write them so; in SMTP the part
// before the @ has to be quoted. For any other text Mend returns "".
func Mend(s string) string {
	s = TrimPadding(s)
	local, domain, found := strings.Cut(s, "@")
	if !found || !strings.Contains(local, ".") || strings.HasPrefix(local, `"`) {
		return ""
	}
	if _, err := Parse(s); err == nil {
		return ""
	}
	quoted := text.QuotedString(local) + "@" + domain
	if _, err := Parse(quoted); err != nil || checkDotAtom(strings.ReplaceAll(local, ".", "")) != nil {
		return ""
	}
	return quoted
}

// String returns the address as it stands between the angle brackets of an SMTP command.
func (a Address) String() string { return a.Local + "@" + a.Domain }

// Key returns the identity of the address for finding duplicates: the local part unquoted and case-folded, and the domain.
// The folding goes rune by rune, because the full folding of Unicode makes ß and ss the same, and one of two people would
// get no mail. A letter may have a composed form in lower case only, so the result is normalised once more.
func (a Address) Key() string {
	local := a.Local
	if strings.HasPrefix(local, `"`) {
		local = unquote(local)
	}
	if !a.UTF8 {
		local = strings.ToLower(local)
	} else {
		local = norm.NFC.String(strings.Map(foldRune, local))
	}
	return local + "@" + a.Domain
}

func parse(s string) (Address, error) {
	if s == "" {
		return Address{}, errors.New("it is empty")
	}
	if len(s) > maxWritten {
		return Address{}, fmt.Errorf("it is longer than %d octets", maxAddress)
	}
	ascii := text.IsASCII(s)
	if !ascii {
		if !utf8.ValidString(s) {
			return Address{}, errors.New("it is not valid UTF-8")
		}
		// This comes before any check, because normalising can make ASCII of other characters (U+037E becomes a semicolon).
		s = norm.NFC.String(s)
	}
	local, domain, err := splitAddress(s)
	if err != nil {
		return Address{}, err
	}
	if domain, err = ParseDomain(domain); err != nil {
		return Address{}, err
	}
	a := Address{Local: local, Domain: domain, UTF8: !ascii && !text.IsASCII(local)}
	if len(a.Local) > maxLocal {
		return Address{}, fmt.Errorf("the part before @ is longer than %d octets", maxLocal)
	}
	if len(a.Local)+1+len(a.Domain) > maxAddress {
		return Address{}, fmt.Errorf("it is longer than %d octets", maxAddress)
	}
	return a, nil
}

// splitAddress returns the checked local part as it goes on the wire, and the unchecked rest after the @.
func splitAddress(s string) (local, rest string, err error) {
	if s[0] != '"' {
		at := strings.IndexByte(s, '@')
		if at < 0 {
			return "", "", errors.New("it has no @")
		}
		if err := checkDotAtom(s[:at]); err != nil {
			return "", "", err
		}
		return s[:at], s[at+1:], nil
	}
	end := 1
	for ; end < len(s) && s[end] != '"'; end++ {
		if s[end] == '\\' {
			end++
		}
	}
	if end >= len(s) {
		return "", "", errors.New("the quotation mark before @ is not closed")
	}
	if !strings.HasPrefix(s[end+1:], "@") {
		return "", "", errors.New("after the quoted part there must be an @")
	}
	if err := checkQuoted(s[1:end]); err != nil {
		return "", "", err
	}
	content := unquote(s[:end+1])
	if checkDotAtom(content) == nil {
		return content, s[end+2:], nil
	}
	return text.QuotedString(content), s[end+2:], nil
}

// checkDotAtom checks a local part without quotes (RFC 5322 section 3.2.3, RFC 6531 section 3.3).
func checkDotAtom(s string) error {
	if s == "" {
		return errors.New("nothing stands before the @")
	}
	for i := 0; i < len(s); {
		c := s[i]
		switch {
		case IsAtext(c):
			i++
		case c == '.':
			if i == 0 || i == len(s)-1 || s[i-1] == '.' {
				return errors.New("a dot stands at the wrong place before the @")
			}
			i++
		case c < utf8.RuneSelf:
			return badByte(c)
		default:
			r, n := utf8.DecodeRuneInString(s[i:])
			if err := checkRune(r, i == 0); err != nil {
				return err
			}
			i += n
		}
	}
	return nil
}

// checkQuoted checks what stands between the quotation marks of a local part (RFC 5321 section 4.1.2), as narrowly as Parse
// says.
func checkQuoted(s string) error {
	if s == "" {
		return errors.New("nothing stands before the @")
	}
	escaped := false
	for i, r := range s {
		switch {
		case r <= ' ' || r == 0x7f || r == '<' || r == '>':
			return fmt.Errorf("the quoted part has a %q in it, which could end the address early", r)
		case r < utf8.RuneSelf:
			escaped = r == '\\' && !escaped
			continue
		case escaped:
			return fmt.Errorf("the quoted part has a backslash before %q", r)
		}
		if err := checkRune(r, i == 0); err != nil {
			return err
		}
	}
	return nil
}

// checkRune says whether a character outside ASCII may stand in a local part. A combining mark must not come first: it would
// join the angle bracket before it.
func checkRune(r rune, first bool) error {
	if r == utf8.RuneError || !unicode.IsGraphic(r) || unicode.IsSpace(r) || first && unicode.IsMark(r) {
		return fmt.Errorf("%q cannot stand before the @", r)
	}
	return nil
}

// ParseDomain returns a domain in lower-case A-labels, or an address literal in its shortest form.
func ParseDomain(s string) (string, error) {
	if s == "" {
		return "", errors.New("nothing stands after the @")
	}
	if strings.IndexByte(s, '@') >= 0 {
		return "", errors.New("it has more than one @")
	}
	if s[0] == '[' {
		return parseLiteral(s)
	}
	if text.IsASCII(s) {
		s = strings.ToLower(s)
		if !strings.HasPrefix(s, "xn--") && !strings.Contains(s, ".xn--") {
			return s, checkDomain(s)
		}
	}
	for _, r := range s {
		if r < utf8.RuneSelf && !isLDH(byte(unicode.ToLower(r))) && r != '.' {
			return "", badByte(byte(r)) // idna would refuse it too, but less clearly
		}
	}
	// Lookup is UTS 46 without the transitional mappings, so faß.example stays apart from fass.example.
	ascii, err := idna.Lookup.ToASCII(s)
	if err != nil {
		return "", fmt.Errorf("%q is not a domain name", s)
	}
	return ascii, checkDomain(ascii)
}

// checkDomain checks a lower-case ASCII domain name (RFC 5321 section 4.1.2, RFC 1035 section 2.3.4).
func checkDomain(s string) error {
	label := 0 // where the label begins
	numeric := true
	for i := 0; i <= len(s); i++ {
		if i < len(s) && s[i] != '.' {
			if !isLDH(s[i]) {
				return badByte(s[i])
			}
			numeric = numeric && '0' <= s[i] && s[i] <= '9'
			continue
		}
		switch {
		case i == label:
			return errors.New("a dot stands at the wrong place after the @")
		case i-label > 63:
			return errors.New("a part of the domain is longer than 63 octets")
		case s[label] == '-' || s[i-1] == '-':
			return errors.New("a part of the domain begins or ends with a hyphen")
		}
		if i < len(s) {
			label, numeric = i+1, true
		}
	}
	if numeric {
		return errors.New("the domain ends in a number (an IP address stands in brackets: user@[192.0.2.1])")
	}
	return nil
}

// parseLiteral checks an address literal (RFC 5321 section 4.1.3).
func parseLiteral(s string) (string, error) {
	inner, ok := strings.CutSuffix(s[1:], "]")
	if !ok {
		return "", errors.New("the bracket after the @ is not closed")
	}
	const tag = "IPv6:"
	six := len(inner) > len(tag) && strings.EqualFold(inner[:len(tag)], tag)
	if six {
		inner = inner[len(tag):]
	}
	ip, err := netip.ParseAddr(inner)
	if err != nil || ip.Is4() == six || ip.Zone() != "" {
		return "", errors.New("in brackets there must be an IP address, as in [192.0.2.1] or [IPv6:2001:db8::1]")
	}
	if six {
		return "[" + tag + ip.String() + "]", nil
	}
	return "[" + ip.String() + "]", nil
}

// badByte says in helpful words what is wrong with an ASCII character that does not belong in an address.
func badByte(c byte) error {
	switch c {
	case '<', '>':
		return errors.New("only the bare address is wanted, without a name or angle brackets")
	case ',', ';':
		return errors.New("only one address is wanted")
	case ' ', '\t':
		return errors.New("there is white space inside it")
	}
	return fmt.Errorf("%q does not belong there", c)
}

// IsAtext reports whether c may stand in an atom (RFC 5322 section 3.2.3).
func IsAtext(c byte) bool {
	if 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9' {
		return true
	}
	switch c {
	case '!', '#', '$', '%', '&', '\'', '*', '+', '-', '/', '=', '?', '^', '_', '`', '{', '|', '}', '~':
		return true
	}
	return false
}

// isLDH reports whether c is a letter in lower case, a digit or a hyphen.
func isLDH(c byte) bool {
	return 'a' <= c && c <= 'z' || '0' <= c && c <= '9' || c == '-'
}

// TrimPadding drops the white space and the invisible characters around an address or a name.
func TrimPadding(s string) string { return strings.TrimFunc(s, isPadding) }

// isPadding accepts what spreadsheets, address books and copied web pages leave around an address without anyone seeing it.
func isPadding(r rune) bool {
	switch r {
	case '\u00ad', '\u200b', '\u200c', '\u200d', '\u2060', '\ufeff':
		return true
	}
	return unicode.IsSpace(r) || unicode.Is(unicode.Bidi_Control, r)
}

// unquote removes the quotation marks and the backslashes of a quoted string that is known to be complete.
func unquote(s string) string {
	s = s[1 : len(s)-1]
	if strings.IndexByte(s, '\\') < 0 {
		return s
	}
	b := make([]byte, 0, len(s))
	for i := 0; i < len(s); i++ {
		if s[i] == '\\' {
			i++
		}
		b = append(b, s[i])
	}
	return string(b)
}

// foldRune maps all runes that differ in case only to one of them, in lower case if there is one.
func foldRune(r rune) rune {
	least, lower := r, rune(-1)
	for f := r; ; {
		least = min(least, f)
		if unicode.IsLower(f) && (lower < 0 || f < lower) {
			lower = f
		}
		if f = unicode.SimpleFold(f); f == r {
			break
		}
	}
	if lower >= 0 {
		return lower
	}
	return least
}

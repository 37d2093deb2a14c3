package markup

import (
	"errors"
	"fmt"
	"strings"
	"unicode"
)

// escaper is what a value becomes in a context, or why none may stand there.
func (c context) escaper() (escape func(string) (string, error), wrong string) {
	switch c.state {
	case stateText:
		return c.contentEscaper()
	case stateTagName:
		return tagName, ""
	case stateName:
		return c.nameEscaper()
	case stateValue:
		return c.valueEscaper()
	case stateComment, stateBogus:
		return always(htmlEscape), ""
	}
	return nil, "a value cannot stand here"
}

// always is an escaper that takes every value.
func always(f func(string) string) func(string) (string, error) {
	return func(s string) (string, error) { return f(s), nil }
}

// both escapes by f and then by g.
func both(f func(string) (string, error), g func(string) string) func(string) (string, error) {
	return func(s string) (string, error) {
		s, err := f(s)
		if err != nil {
			return "", err
		}
		return g(s), nil
	}
}

func (c context) contentEscaper() (func(string) (string, error), string) {
	switch c.element {
	case 0, elementTitle, elementTextarea:
		return always(htmlEscape), ""
	case elementStyle:
		return c.cssEscaper()
	case elementScript:
		return c.scriptEscaper()
	}
	return noMarkup, ""
}

func (c context) nameEscaper() (func(string) (string, error), string) {
	if c.name != "" && !strings.HasPrefix(c.name, "data-") && !strings.HasPrefix(c.name, "aria-") {
		return nil, "a value cannot be a part of the name of an attribute"
	}
	return attributeName, ""
}

func (c context) valueEscaper() (escape func(string) (string, error), wrong string) {
	switch c.attribute {
	case attributePlain:
		escape = always(func(s string) string { return s })
	case attributeHTML:
		escape = always(htmlEscape)
	case attributeURL:
		escape = c.urlEscaper()
	case attributeSrcset:
		escape = both(c.urlEscaper(), func(s string) string { return strings.ReplaceAll(s, ",", "%2C") })
	case attributeCSS:
		escape, wrong = c.cssEscaper()
	case attributeScript:
		escape, wrong = c.scriptEscaper()
	case attributeRefused:
		wrong = "a value cannot be made safe in an address of this kind"
	}
	if wrong != "" {
		return nil, wrong
	}
	switch {
	case c.bare:
		return both(escape, bareEscape), ""
	case c.quote == 0:
		return both(escape, unquotedEscape), ""
	}
	return both(escape, htmlEscape), ""
}

var htmlEscaped = strings.NewReplacer("\x00", "\ufffd", `"`, "&#34;", "&", "&amp;", "'", "&#39;", "<", "&lt;", ">", "&gt;")

// htmlEscape is for text and for the values of attributes in quotes.
func htmlEscape(s string) string { return htmlEscaped.Replace(s) }

// unquotedEscape is for the values of attributes that stand in no quotes: white space would end them.
func unquotedEscape(s string) string {
	var out strings.Builder
	for _, r := range s {
		switch {
		case r == 0:
			out.WriteString("\ufffd")
		case strings.ContainsRune("\t\n\v\f\r \"&'<=>`", r):
			fmt.Fprintf(&out, "&#%d;", r)
		default:
			out.WriteRune(r)
		}
	}
	return out.String()
}

// bareEscape is unquotedEscape where nothing of the value stands yet: empty, it would make the next attribute the value.
func bareEscape(s string) string {
	if s == "" {
		return `""`
	}
	return unquotedEscape(s)
}

// tagName lets through what can be a part of a tag's name, as the number in <h2>.
func tagName(s string) (string, error) {
	for _, r := range s {
		if r >= unicode.MaxASCII || !isLetter(byte(r)) && !unicode.IsDigit(r) {
			return "", errors.New("is no part of a tag's name: letters and digits")
		}
	}
	return s, nil
}

// attributeName lets through the names of attributes whose values are plain text, as checked.
func attributeName(s string) (string, error) {
	for _, r := range s {
		if r >= unicode.MaxASCII || !isLetter(byte(r)) && !unicode.IsDigit(r) && r != '-' {
			return "", errors.New("is no name of an attribute: letters, digits and -")
		}
	}
	if attributeKind(strings.ToLower(s)) != attributePlain {
		return "", fmt.Errorf("is the name of an attribute that cannot come from a field: %s", s)
	}
	return s, nil
}

// noMarkup is for elements whose content cannot be escaped.
func noMarkup(s string) (string, error) {
	if strings.ContainsAny(s, "<") {
		return "", errors.New("holds a <, which cannot be escaped in this element")
	}
	return s, nil
}

// scriptEscaper is for JSON and JavaScript: in a string a value is a part of it, elsewhere it is a string of its own.
func (c context) scriptEscaper() (func(string) (string, error), string) {
	switch c.code {
	case codeBare:
		return always(func(s string) string { return `"` + scriptEscape(s) + `"` }), ""
	case codeComment, codeLine:
		return nil, "a value cannot stand in a comment of a script"
	}
	if c.code == codeTemplate {
		return always(func(s string) string { return strings.ReplaceAll(scriptEscape(s), "$", `\u0024`) }), ""
	}
	return always(scriptEscape), ""
}

// scriptEscape is for strings in JSON (RFC 8259 section 7) and in JavaScript.
func scriptEscape(s string) string {
	var out strings.Builder
	for _, r := range s {
		switch {
		case r < ' ' || strings.ContainsRune("\"'`\\<>&\u2028\u2029\x7f", r):
			fmt.Fprintf(&out, `\u%04x`, r)
		default:
			out.WriteRune(r)
		}
	}
	return out.String()
}

// cssEscaper is for style sheets and the attribute style.
func (c context) cssEscaper() (func(string) (string, error), string) {
	switch c.code {
	case codeDouble, codeSingle:
		return always(cssString), ""
	case codeComment:
		return nil, "a value cannot stand in a comment of a style sheet"
	case codeURL, codeURLDouble, codeURLSingle:
		return c.urlEscaper(), ""
	}
	return cssValue, ""
}

// cssString is for strings in CSS: all but letters, digits and what is harmless is written as an escape (CSS Syntax Module
// Level 3, section 4.3.7).
func cssString(s string) string {
	var out strings.Builder
	for _, r := range s {
		switch {
		case r == 0:
			out.WriteString("\ufffd")
		case r < ' ' || strings.ContainsRune("\"'\\<>&(){};:/@\x7f", r):
			fmt.Fprintf(&out, `\%x `, r)
		default:
			out.WriteRune(r)
		}
	}
	return out.String()
}

// cssValue lets through what the value of a property can be, and nothing that ends it: font lists, colours, lengths, calc().
func cssValue(s string) (string, error) {
	s = strings.TrimSpace(s)
	if strings.Contains(s, "/*") || strings.Contains(s, "*/") {
		return "", errors.New("holds a comment of CSS")
	}
	var quote rune
	depth := 0
	for i, r := range s {
		switch {
		case quote != 0:
			if r == quote {
				quote = 0
			}
			if strings.ContainsRune("\\<>\n\r\f", r) {
				return "", fmt.Errorf("holds %q in a string of CSS", r)
			}
		case r == '"' || r == '\'':
			quote = r
		case r == '(':
			if err := cssFunction(s[:i], s[i+1:]); err != nil {
				return "", err
			}
			depth++
		case r == ')':
			depth--
		case r == ':' && depth > 0, strings.ContainsRune(" _-.,#%+*/!?=&", r), unicode.IsLetter(r), unicode.IsDigit(r):
		default:
			return "", fmt.Errorf("holds %q, which cannot stand in a value of CSS", r)
		}
		if depth < 0 {
			break
		}
	}
	if quote != 0 || depth != 0 {
		return "", errors.New("has a quotation mark or a parenthesis without its other half")
	}
	return s, nil
}

// cssFunction refuses functions that run something or load from elsewhere than the web. before ends with the name, and
// argument is what follows the parenthesis.
func cssFunction(before, argument string) error {
	name := strings.ToLower(before[strings.LastIndexFunc(before, func(r rune) bool { return r != '-' && r != '_' && !unicode.IsLetter(r) && !unicode.IsDigit(r) })+1:])
	switch name {
	case "url", "src", "image", "image-set", "-webkit-image-set":
		address, _, _ := strings.Cut(argument, ")")
		if err := checkScheme(strings.Trim(address, "\"' ")); err != nil {
			return err
		}
	case "expression":
		return errors.New("holds expression(), which some readers would run")
	}
	return nil
}

package markup

import (
	"bytes"
	"strings"
)

// urls follows a URL through a part of the text, and finds out what it refers to.
func (s *scanner) urls(from, to int) {
	for i := from; i < to; i++ {
		i = s.urlOctet(i, to)
	}
}

// urlOctet follows a URL through one octet, or through the space before it. It returns the last one that it has read.
func (s *scanner) urlOctet(i, to int) int {
	c := s.text[i]
	if s.url == urlStart {
		if isSpace(c) {
			return i
		}
		s.url = urlScheme
		if to-i >= len("cid:") && strings.EqualFold(string(s.text[i:i+len("cid:")]), "cid:") {
			end := i + len("cid:")
			for end < to && !isSpace(s.text[end]) && bytes.IndexByte([]byte(`"'),;&`), s.text[end]) < 0 {
				end++
			}
			s.references = append(s.references, span{i + len("cid:"), end})
			s.url = urlPath
			return end - 1
		}
		for _, scheme := range []string{"javascript:", "vbscript:"} {
			if to-i >= len(scheme) && strings.EqualFold(string(s.text[i:i+len(scheme)]), scheme) {
				s.attribute = attributeRefused
			}
		}
	}
	switch {
	case c == '&' && to-i >= len("&amp;") && string(s.text[i:i+len("&amp;")]) == "&amp;":
		s.url = urlParameter
		return i + len("amp;")
	case c == '?' || c == '&':
		s.url = urlParameter
	case c == '=' || c == '#' || s.url == urlParameter:
		s.url = urlQuery
	case s.url != urlQuery && (c == '/' || c == ':') || s.url == urlScheme && !isScheme(c):
		s.url = urlPath
	}
	return i
}

// isScheme says whether an octet can stand in the scheme of a URL (RFC 3986 section 3.1).
func isScheme(c byte) bool {
	return isLetter(c) || '0' <= c && c <= '9' || c == '+' || c == '-' || c == '.'
}

// srcset follows a list of URLs with descriptors: "a.png 1x, b.png 2x".
func (s *scanner) srcset(from, to int) {
	for i := from; i < to; i++ {
		switch c := s.text[i]; {
		case s.url == urlDescriptor:
			if c == ',' {
				s.url = urlStart
			}
		case s.url == urlStart && c == ',':
		case isSpace(c) && s.url != urlStart:
			s.url = urlDescriptor
			if i > from && s.text[i-1] == ',' {
				s.url = urlStart
			}
		default:
			i = s.urlOctet(i, to)
		}
	}
}

// quoteAt is the quotation mark at i, in an attribute also as a reference, and how many octets it takes; 0: there is none.
func (s *scanner) quoteAt(i, to int, inAttribute bool) (quote byte, n int) {
	switch c := s.text[i]; {
	case c == '"' || c == '\'':
		return c, 1
	case c != '&' || !inAttribute:
		return 0, 1
	}
	for _, r := range quoteReferences {
		if end := i + len(r.name); end <= to && strings.EqualFold(string(s.text[i:end]), r.name) {
			return r.quote, len(r.name)
		}
	}
	return 0, 1
}

var quoteReferences = []struct {
	name  string
	quote byte
}{{"&quot;", '"'}, {"&#34;", '"'}, {"&#x22;", '"'}, {"&apos;", '\''}, {"&#39;", '\''}, {"&#x27;", '\''}}

// css follows CSS through a part of the text (CSS Syntax Module Level 3, section 4.3). It has no comments that begin with //.
func (s *scanner) css(from, to int, inAttribute bool) {
	for i := from; i < to; {
		quote, n := s.quoteAt(i, to, inAttribute)
		c := s.text[i]
		switch s.code {
		case codeBare:
			switch {
			case quote == '"':
				s.code = codeDouble
			case quote == '\'':
				s.code = codeSingle
			case c == '/' && i+1 < to && s.text[i+1] == '*':
				s.code, n = codeComment, 2
			case c == '\\':
				n = 2
			case s.beginsURL(i, to):
				n = s.beginURL(i+len("url("), to, inAttribute) - i
			}
		case codeComment:
			if c == '*' && i+1 < to && s.text[i+1] == '/' {
				s.code, n = codeBare, 2
			}
		case codeDouble, codeSingle:
			if closes(s.code, quote) || c == '\n' {
				s.code = codeBare
			} else if c == '\\' {
				n = 2
			}
		case codeURL, codeURLDouble, codeURLSingle:
			if closes(s.code, quote) || c == ')' && s.code == codeURL {
				s.code, s.url = codeBare, urlStart
			} else {
				n = max(n, s.urlOctet(i, to)+1-i)
			}
		}
		i += n
	}
}

func closes(in code, quote byte) bool {
	return quote == '"' && (in == codeDouble || in == codeURLDouble) || quote == '\'' && (in == codeSingle || in == codeURLSingle)
}

func (s *scanner) beginsURL(i, to int) bool {
	if to-i < len("url(") || !strings.EqualFold(string(s.text[i:i+len("url(")]), "url(") {
		return false
	}
	return i == 0 || !isScheme(s.text[i-1]) && s.text[i-1] != '_'
}

// beginURL reads what stands between url( and the URL, and returns where that begins.
func (s *scanner) beginURL(i, to int, inAttribute bool) int {
	s.code, s.url = codeURL, urlStart
	for i < to && isSpace(s.text[i]) {
		i++
	}
	if i == to {
		return i
	}
	switch quote, n := s.quoteAt(i, to, inAttribute); quote {
	case '"':
		s.code = codeURLDouble
		return i + n
	case '\'':
		s.code = codeURLSingle
		return i + n
	}
	return i
}

// script follows JSON or JavaScript through a part of the text, but for regular expressions.
func (s *scanner) script(from, to int) {
	quotes := map[byte]code{'"': codeDouble, '\'': codeSingle, '`': codeTemplate}
	for i := from; i < to; i++ {
		c := s.text[i]
		switch s.code {
		case codeBare:
			switch {
			case quotes[c] != 0:
				s.code = quotes[c]
			case c == '/' && i+1 < to && s.text[i+1] == '*':
				s.code = codeComment
				i++
			case c == '/' && i+1 < to && s.text[i+1] == '/':
				s.code = codeLine
			}
		case codeComment:
			if c == '*' && i+1 < to && s.text[i+1] == '/' {
				s.code = codeBare
				i++
			}
		case codeLine:
			if c == '\n' {
				s.code = codeBare
			}
		default:
			switch {
			case c == '\\':
				i++
			case quotes[c] == s.code, c == '\n' && s.code != codeTemplate:
				s.code = codeBare
			}
		}
	}
}

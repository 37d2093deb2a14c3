package markup

import (
	"errors"
	"fmt"
	"strings"
)

// schemes are those of URLs that a field may bring along, in lower case. Every other one can be written into the template.
var schemes = map[string]bool{"http": true, "https": true, "mailto": true, "tel": true, "sms": true, "webcal": true, "cid": true}

// urlEscaper is for a value in a URL, by what stands before it.
func (c context) urlEscaper() func(string) (string, error) {
	switch c.url {
	case urlStart, urlUnknown:
		first := c.url == urlStart
		return func(s string) (string, error) {
			s = trimSpace(s) // WHATWG URL, section 4.4
			if !first && strings.HasPrefix(s, "://") {
				return urlEscape(s), nil // behind a value that was the scheme
			}
			if err := checkScheme(s); err != nil {
				return "", err
			}
			return urlEscape(s), nil
		}
	case urlScheme:
		return func(s string) (string, error) {
			if i := strings.IndexAny(s, ":/?#"); i >= 0 && s[i] == ':' && !startsPort(s[i+1:]) {
				return "", errors.New("would be the end of a URL's scheme that the template began")
			}
			return urlEscape(s), nil
		}
	case urlQuery:
		return always(queryEscape)
	case urlParameter:
		return always(parameterEscape)
	}
	return always(urlEscape)
}

// trimSpace drops what readers drop around a URL: white space and control characters.
func trimSpace(s string) string { return strings.TrimFunc(s, func(r rune) bool { return r <= ' ' }) }

// checkScheme refuses a URL whose scheme a field may not bring along. "shop.example.com:8080/x" has none.
func checkScheme(url string) error {
	url = strings.Map(func(r rune) rune { // readers leave these out before they look (WHATWG URL, section 4.4)
		if r == '\t' || r == '\n' || r == '\r' {
			return -1
		}
		return r
	}, trimSpace(url))
	i := strings.IndexAny(url, ":/?#")
	if i < 0 && isScript(url) { // its colon may stand in the template
		return fmt.Errorf("is the scheme %q, which may not come from a field", strings.ToLower(url))
	}
	if i < 0 || url[i] != ':' || startsPort(url[i+1:]) && strings.Trim(url[:i], "0123456789") != "" && !schemes[strings.ToLower(url[:i])] && !isScript(url[:i]) {
		return nil
	}
	scheme := strings.ToLower(url[:i])
	if schemes[scheme] || scheme == "data" && hasPrefixFold(url[i+1:], "image/") {
		return nil
	}
	if scheme == "data" {
		return errors.New("is a data: URL, of which only data:image/ may come from a field")
	}
	return fmt.Errorf("is a URL with the scheme %q, which may not come from a field", scheme)
}

// isScript says whether a scheme runs what follows.
func isScript(scheme string) bool {
	scheme = strings.ToLower(strings.TrimFunc(scheme, func(r rune) bool { return r <= ' ' }))
	return scheme == "javascript" || scheme == "vbscript" || scheme == "data"
}

// startsPort says whether what follows a colon is the number of a port.
func startsPort(s string) bool {
	n := len(s) - len(strings.TrimLeft(s, "0123456789"))
	return n > 0 && n <= 5 && (n == len(s) || strings.IndexByte("/?#", s[n]) >= 0)
}

func hasPrefixFold(s, prefix string) bool {
	return len(s) >= len(prefix) && strings.EqualFold(s[:len(prefix)], prefix)
}

// urlEscape percent-encodes what cannot stand in a URL (RFC 3986 section 2), and leaves the rest as it is, escapes included.
func urlEscape(s string) string { return percentEncode(s, "-._~!#$&*+,/:;=?@[]", true) }

// queryEscape percent-encodes all but what RFC 3986 section 2.3 calls unreserved.
func queryEscape(s string) string { return percentEncode(s, "-._~", false) }

// parameterEscape is for a value directly behind ? or &: pairs of name=value that a field brings along stay such.
func parameterEscape(s string) string {
	if strings.Contains(s, "=") {
		return percentEncode(s, "-._~!$&*+,/:;=?@", true)
	}
	return queryEscape(s)
}

func percentEncode(s, kept string, escapes bool) string {
	const upperHex = "0123456789ABCDEF"
	var out []byte
	written := 0
	for i := range len(s) {
		c := s[i]
		if isLetter(c) || '0' <= c && c <= '9' || strings.IndexByte(kept, c) >= 0 {
			continue
		}
		if escapes && c == '%' && i+2 < len(s) && isHex(s[i+1]) && isHex(s[i+2]) {
			continue
		}
		out = append(append(out, s[written:i]...), '%', upperHex[c>>4], upperHex[c&15])
		written = i + 1
	}
	if written == 0 {
		return s
	}
	return string(append(out, s[written:]...))
}

func isHex(c byte) bool { return '0' <= c && c <= '9' || 'a' <= c|0x20 && c|0x20 <= 'f' }

package header

import (
	"net/netip"
	"net/url"
	"strconv"
	"strings"

	"mailblast/campaign/list/address"
	"mailblast/campaign/text"
)

// A place is where in a URL a Hole stands.
type place int

const (
	inPath    place = iota // before the query: the value may bring its slashes along
	inStart                // at the very beginning: the value is an address, or the beginning of one
	inQuery                // behind a ?, &, = or #: the value is only data
	inMailbox              // in the address of a mailto:
)

// readURL escapes the template's own text of a URL and finds the places of its holes. If none of them is in the part that
// says where the URL leads, that part is checked now, and settled is true: the values cannot make anything wrong.
func readURL(p pattern) (read pattern, places []place, settled bool, err error) {
	var out []byte
	query, mailto := false, false
	p.each(func(s string, number int) {
		if number < 0 {
			out = append(out, escapeURL(s)...)
			query = query || strings.ContainsAny(s, "?&=#")
			mailto = mailto || len(places) == 0 && hasScheme(s, "mailto")
			return
		}
		at := inPath
		switch {
		case len(out) == 0:
			at = inStart
		case query:
			at = inQuery
		case mailto:
			at = inMailbox
		}
		places = append(places, at)
		out = append(out, Hole)
	})
	first := strings.IndexByte(string(out), Hole)
	head, rest := string(out[:first]), string(out[first:])
	scheme, address, ok := strings.Cut(head, ":")
	if !ok {
		return pattern{head + rest, p.first}, places, false, nil
	}
	if err := checkScheme(scheme, address); err != nil {
		return p, nil, false, err
	}
	if i := strings.IndexAny(strings.TrimPrefix(address, "//"), "/?#"); mailto && strings.Contains(address, "?") || !mailto && i >= 0 {
		head, err = completeURL(head)
		settled = true
	}
	return pattern{head + rest, p.first}, places, settled, err
}

// appendURL appends a URL with each value escaped for its place.
func appendURL(dst []byte, p pattern, places []place, values []string) []byte {
	for i := 0; i < len(p.text); {
		end := strings.IndexByte(p.text[i:], Hole)
		if end < 0 {
			return append(dst, p.text[i:]...)
		}
		dst = append(dst, p.text[i:i+end]...)
		dst = places[0].append(dst, values[p.first])
		p.first, places, i = p.first+1, places[1:], i+end+1
	}
	return dst
}

func (at place) append(dst []byte, s string) []byte {
	switch at {
	case inQuery:
		return appendPercent(dst, s, "", false)
	case inMailbox:
		return appendPercent(dst, strings.TrimSpace(s), "@+", false)
	case inStart:
		s = strings.TrimSpace(s)
	}
	return appendPercent(dst, s, urlMarks, true)
}

// urlMarks are what RFC 3986 section 2.2 reserves.
const urlMarks = "!#$&'()*+,/:;=?@[]"

// escapeURL percent-encodes what cannot stand in a URL (RFC 3986 section 2) and leaves the rest as it is, escapes included.
func escapeURL(s string) string { return string(appendPercent(nil, s, urlMarks, true)) }

// appendPercent percent-encodes all but the unreserved characters (RFC 3986 section 2.3), those that are kept and, if
// wanted, the escapes that are there already.
func appendPercent(dst []byte, s, kept string, escapes bool) []byte {
	for i := range len(s) {
		switch c := s[i]; {
		case 'a' <= c && c <= 'z', 'A' <= c && c <= 'Z', '0' <= c && c <= '9', strings.IndexByte("-._~", c) >= 0, strings.IndexByte(kept, c) >= 0,
			escapes && c == '%' && i+2 < len(s) && isHex(s[i+1]) && isHex(s[i+2]):
			dst = append(dst, c)
		default:
			dst = append(dst, '%', upperHex[c>>4], upperHex[c&15])
		}
	}
	return dst
}

func isHex(c byte) bool {
	return '0' <= c && c <= '9' || 'a' <= c|0x20 && c|0x20 <= 'f'
}

func hasScheme(url, scheme string) bool {
	return len(url) > len(scheme) && url[len(scheme)] == ':' && strings.EqualFold(url[:len(scheme)], scheme)
}

// schemes are those that RFC 2369 speaks of, and those of later years.
var schemes = map[string]bool{"http": true, "https": true, "mailto": true, "ftp": true, "ftps": true, "news": true, "nntp": true, "tel": true, "sms": true, "mid": true}

func checkScheme(scheme, rest string) error {
	scheme = strings.ToLower(scheme)
	switch {
	case !schemes[scheme]:
		return &Fault{Problem: text.Quoted(scheme+":") + " does not begin an address that this field can have", Hint: "https:// or mailto:"}
	case (scheme == "http" || scheme == "https") && !strings.HasPrefix(rest, "//"):
		return &Fault{Problem: text.Quoted(scheme+":"+rest) + " has no // before its host"}
	}
	return nil
}

// completeURL checks an escaped URL, and writes its domain in A-labels, because no reader looks up another.
func completeURL(s string) (string, error) {
	scheme, rest, ok := strings.Cut(s, ":")
	switch {
	case s == "":
		return "", &Fault{Problem: "has an empty URL"}
	case !ok || strings.ContainsAny(scheme, "/?#%@"):
		return "", &Fault{Problem: text.Quoted(s) + " is not a URL", Hint: "as in <https://example.com/unsubscribe> or <mailto:leave@example.com>"}
	}
	if err := checkScheme(scheme, rest); err != nil {
		return "", err
	}
	switch strings.ToLower(scheme) {
	case "http", "https":
		authority, path := rest[len("//"):], ""
		if i := strings.IndexAny(authority, "/?#"); i >= 0 {
			authority, path = authority[:i], authority[i:]
		}
		user := ""
		if i := strings.LastIndexByte(authority, '@'); i >= 0 {
			user, authority = authority[:i+1], authority[i+1:]
		}
		host, err := completeHost(authority)
		if err != nil {
			return "", err
		}
		return scheme + "://" + user + host + path, nil
	case "mailto":
		to, query := rest, ""
		if i := strings.IndexByte(rest, '?'); i >= 0 {
			to, query = rest[:i], rest[i:]
		}
		mailboxes, err := completeMailboxes(to)
		if err != nil {
			return "", err
		}
		return scheme + ":" + mailboxes + query, nil
	}
	return s, nil
}

// completeHost checks a host with or without a port.
func completeHost(s string) (string, error) {
	no := &Fault{Problem: text.Quoted(s) + " is not the host of a URL"}
	host, port := s, ""
	if i := strings.LastIndexByte(s, ':'); i > strings.LastIndexByte(s, ']') {
		host, port = s[:i], s[i:]
		if n, err := strconv.ParseUint(port[1:], 10, 16); err != nil || n == 0 {
			return "", no
		}
	}
	if bare, ok := strings.CutPrefix(host, "["); ok {
		if ip, err := netip.ParseAddr(strings.TrimSuffix(bare, "]")); err != nil || !ip.Is6() || !strings.HasSuffix(bare, "]") {
			return "", no
		}
		return s, nil
	}
	host, err := url.PathUnescape(host)
	if err != nil {
		return "", no
	}
	if _, err := netip.ParseAddr(host); err == nil {
		return s, nil
	}
	// The names of intranets have underscores; the dot at the end says that the name is complete.
	plain := strings.ReplaceAll(strings.TrimSuffix(host, "."), "_", "u")
	labels, err := address.ParseDomain(plain)
	if err != nil || strings.HasPrefix(host, "[") || !text.IsASCII(host) && strings.Contains(host, "_") {
		return "", no
	}
	if text.IsASCII(host) {
		return host + port, nil
	}
	return labels + port, nil
}

// completeMailboxes checks the addresses of a mailto: (RFC 6068 section 2).
func completeMailboxes(s string) (string, error) {
	all := strings.Split(s, ",")
	for i, escaped := range all {
		plain, err := url.PathUnescape(escaped)
		if err != nil {
			return "", &Fault{Problem: text.Quoted(escaped) + " is not an address"}
		}
		a, err := address.Parse(plain)
		if err != nil {
			return "", err
		}
		if at := strings.LastIndexByte(plain, '@'); !text.IsASCII(plain[at:]) {
			all[i] = string(appendPercent(nil, a.Local, "+", false)) + "@" + a.Domain
		}
	}
	return strings.Join(all, ","), nil
}

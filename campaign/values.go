package campaign

import (
	"errors"
	"fmt"
	"math"
	"net/mail"
	"net/netip"
	"regexp"
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"mailblast/campaign/finding"
	"mailblast/campaign/list/address"
	"mailblast/campaign/text"
)

// A fault says what is wrong with a value, worded as the rest of a sentence that begins with the value: "is not …".
type fault struct {
	problem string
	detail  string // follows the problem; may quote the value, so it is dropped when the value comes from a variable
	hint    string // what to do; may be empty
}

func (f fault) Error() string {
	if f.detail != "" {
		return f.problem + ": " + f.detail
	}
	return f.problem
}

// checkText refuses what no value may hold: a control character could begin a new header field or a new command.
func checkText(s string) error {
	switch {
	case len(s) > maxText:
		return fault{problem: fmt.Sprintf("is longer than %d octets", maxText)}
	case !utf8.ValidString(s):
		return fault{problem: "is not valid UTF-8"}
	case strings.ContainsFunc(s, unicode.IsControl):
		return fault{
			problem: "holds a line break or another control character",
			hint:    "write a long text in one line, or as a block that begins with >- and has no empty line",
		}
	}
	return nil
}

func parseText(s string) (string, error) { return s, nil }

// CheckName says why a text cannot be the name of a campaign, which is 1 to 200 characters, all visible except for single
// spaces inside, the first of them no hyphen. A message is identified by the name and the address, and commands take the
// name as an argument.
func CheckName(name string) error {
	if _, err := parseName(name); err != nil {
		return fmt.Errorf("campaign name %s %w", text.Quoted(name), err)
	}
	return nil
}

func parseName(s string) (string, error) {
	if err := checkText(s); err != nil {
		return "", err
	}
	switch {
	case s == "":
		return "", fault{problem: "is empty"}
	case utf8.RuneCountInString(s) > 200:
		return "", fault{problem: "is longer than 200 characters"}
	case s[0] == '-':
		return "", fault{problem: "begins with a hyphen, so that commands would take it for an option"}
	case s != strings.Join(strings.Fields(s), " "), strings.ContainsFunc(s, func(r rune) bool { return !unicode.IsPrint(r) }):
		return "", fault{problem: "has white space or invisible characters where nobody would see them"}
	}
	return s, nil
}

// parsePath takes any path. Whether the file exists shows when it is read.
func parsePath(s string) (string, error) {
	if s == "-" {
		return "", fault{problem: "is standard input, which only recipients can come from"}
	}
	return s, nil
}

// parseMailbox reads one mailbox: a bare address, or a display name and the address in angle brackets (RFC 5322
// section 3.4).
func parseMailbox(s string) (Mailbox, error) {
	s = strings.TrimSpace(s)
	if strings.Contains(s, "{{") {
		return Mailbox{}, fault{problem: "holds a template action, but is the same for every recipient"}
	}
	several := fault{
		problem: "is not one address, or one name and address",
		hint:    `put a name with commas or other marks into double quotes: '"Example, Inc." <news@example.com>'`,
	}
	if !strings.HasSuffix(s, ">") {
		bare, err := parseEnvelope(s)
		if err != nil && strings.ContainsAny(s, ",;") {
			err = several
		}
		return Mailbox{Address: bare}, err
	}
	open := strings.LastIndexByte(s, '<')
	if open < 0 {
		return Mailbox{}, fault{problem: "has a > without its <"}
	}
	// Only the name is read by net/mail, in front of an address that it accepts. Our own parser judges the true address.
	named, err := mail.ParseAddress(s[:open] + "<name@example.com>")
	if err != nil {
		return Mailbox{}, several
	}
	if err := checkText(named.Name); err != nil { // encoded words can hide a line break
		return Mailbox{}, err
	}
	a, err := parseEnvelope(s[open+1 : len(s)-1])
	return Mailbox{Name: named.Name, Address: a}, err
}

// parseEnvelope reads an address for bounces or answers. It refuses the empty reverse-path <>: a campaign without bounces
// would mail dead addresses for ever.
func parseEnvelope(s string) (address.Address, error) {
	if s == "<>" {
		return address.Address{}, fault{problem: "is the empty address, and bounces have to go somewhere"}
	}
	a, err := address.Parse(s)
	if err != nil {
		detail := err
		if inner := errors.Unwrap(err); inner != nil {
			detail = inner // without the address, which the finding quotes already
		}
		f := fault{problem: "is not an e-mail address", detail: detail.Error()}
		if mended := address.Mend(s); mended != "" {
			f.hint = "if the dots belong to it, write it as '" + mended + "'"
		}
		return address.Address{}, f
	}
	return a, nil
}

// checkHeaderName checks the name of a header field (RFC 5322 section 3.6.8). It refuses the fields that mailblast writes
// and those that servers write. Sender, List-Unsubscribe and the like are free.
func checkHeaderName(s string) error {
	for i := 0; i < len(s); i++ {
		if s[i] < 33 || s[i] > 126 || s[i] == ':' {
			return fault{problem: "is not the name of a header field", hint: "letters, digits and hyphens"}
		}
	}
	lower := strings.ToLower(s)
	switch {
	case s == "" || len(s) > 76: // a line has 78 characters, with the colon and a space (RFC 5322 section 2.1.1)
		return fault{problem: "is not the name of a header field", hint: "1 to 76 characters"}
	case strings.ContainsAny(s, "{}"):
		return fault{problem: "is not the name of a header field", hint: "variables and template actions stand in values only"}
	case lower == "from" || lower == "reply-to" || lower == "return-path" || lower == "subject":
		return fault{
			problem: "is written by mailblast",
			hint:    fmt.Sprintf("use the key %s at the top level", strings.ReplaceAll(lower, "-", "_")),
		}
	case lower == "to" || lower == "cc" || lower == "bcc":
		return fault{problem: "cannot be set", hint: "every recipient of the CSV gets a message of its own"}
	case lower == "date" || lower == "message-id" || lower == "mime-version" || strings.HasPrefix(lower, "content-"):
		return fault{problem: "is written by mailblast", hint: "remove it"}
	case lower == "received" || strings.HasPrefix(lower, "resent-"):
		return fault{problem: "is written by servers on the way", hint: "remove it"}
	}
	return nil
}

// parseHost reads a host name or an IP address. Names outside ASCII become A-labels. An underscore is accepted against
// RFC 1123, because the names of containers have them.
func parseHost(s string) (string, error) {
	bare := s
	if inner, ok := strings.CutPrefix(s, "["); ok && strings.HasSuffix(inner, "]") {
		bare = strings.TrimSuffix(inner, "]")
	}
	if ip, err := netip.ParseAddr(bare); err == nil {
		return ip.String(), nil
	}
	no := fault{problem: "is not a host name or an IP address"}
	switch {
	case strings.Contains(s, "://"):
		no.hint = "only the name, without smtp:// in front"
	case strings.Contains(s, ":"):
		no.hint = "the port has a key of its own: smtp.port"
	}
	if no.hint != "" || strings.HasPrefix(s, "[") {
		return "", no
	}
	if _, err := address.ParseDomain(strings.ReplaceAll(s, "_", "u")); err != nil {
		return "", no
	}
	if strings.Contains(s, "_") {
		if !text.IsASCII(s) {
			return "", no
		}
		return strings.ToLower(s), nil
	}
	return address.ParseDomain(s)
}

// parseHelo reads what EHLO may say (RFC 5321 section 4.1.1.1).
func parseHelo(s string) (string, error) {
	name, err := address.ParseDomain(s)
	if err != nil {
		return "", fault{
			problem: "is not a domain name",
			hint:    "an IP address stands in brackets: [192.0.2.1] or [IPv6:2001:db8::1]",
		}
	}
	return name, nil
}

// parseSourceIP reads an address of this machine. Whether the machine has it shows when the campaign is sent.
func parseSourceIP(s string) (netip.Addr, error) {
	ip, err := netip.ParseAddr(s)
	switch {
	case err != nil:
		return netip.Addr{}, fault{problem: "is not an IP address", hint: "as in 192.0.2.1 or 2001:db8::1, without a port"}
	case ip.IsUnspecified() || ip.IsMulticast():
		return netip.Addr{}, fault{problem: "is not an address that a connection could come from", hint: "one of this machine's, or no source_ip for the one that the system chooses"}
	}
	return ip.Unmap(), nil
}

// parsePattern reads a regular expression.
func parsePattern(s string) (*regexp.Regexp, error) {
	re, err := regexp.Compile(s)
	switch {
	case err != nil:
		return nil, fault{problem: "is not a regular expression", detail: strings.TrimPrefix(err.Error(), "error parsing regexp: "), hint: "the syntax is that of Go (RE2), without look-ahead and back-references"}
	case re.MatchString(""):
		return nil, fault{problem: "finds something in every reply", hint: "say what stands in those that are meant"}
	}
	return re, nil
}

// oneOf returns a function that reads one of a few words.
func oneOf[T ~string](words ...T) func(string) (T, error) {
	return func(s string) (T, error) {
		names := make([]string, len(words))
		for i, w := range words {
			if s == string(w) {
				return w, nil
			}
			names[i] = string(w)
		}
		last := len(names) - 1
		return "", fault{
			problem: "is not " + strings.Join(names[:last], ", ") + " or " + names[last],
			hint:    finding.DidYouMean(s, names),
		}
	}
}

// wholeNumber returns a function that reads a decimal number without a plus sign. It refuses 010, which is eight to YAML
// and ten to people.
func wholeNumber(least, most int) func(string) (int, error) {
	return func(s string) (int, error) {
		n, err := strconv.Atoi(s)
		if err != nil || strconv.Itoa(n) != s || n < least || n > most {
			if most == math.MaxInt32 {
				return 0, fault{problem: fmt.Sprintf("is not a whole number of %d or more", least)}
			}
			return 0, fault{problem: fmt.Sprintf("is not a whole number from %d to %d", least, most)}
		}
		return n, nil
	}
}

// parseBackoff reads MIN..MAX: the first and the longest wait before a retry.
func parseBackoff(s string) (backoff, error) {
	const shortest, longest = time.Second, 30 * 24 * time.Hour
	low, high, found := strings.Cut(s, "..")
	least, ok1 := parseDuration(low)
	most, ok2 := parseDuration(high)
	switch {
	case !found || !ok1 || !ok2:
		return backoff{}, fault{problem: "is not a range of durations", hint: "as in 1m..4h: the first wait and the longest one"}
	case least < shortest || most > longest:
		return backoff{}, fault{problem: "is not between 1s and 720h"}
	case least > most:
		return backoff{}, fault{problem: "has its longest wait first", hint: "the shorter one comes first"}
	}
	return backoff{least, most}, nil
}

type backoff struct{ min, max time.Duration }

// parseDuration reads what time.ParseDuration reads, but no sign.
func parseDuration(s string) (time.Duration, bool) {
	d, err := time.ParseDuration(s)
	return d, err == nil && s[0] >= '0' && s[0] <= '9'
}

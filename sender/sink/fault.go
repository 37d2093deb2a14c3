package sink

import (
	"errors"
	"fmt"
	"hash/maphash"
	"math/rand/v2"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"

	"github.com/emersion/go-smtp"
	"golang.org/x/time/rate"
)

// A Stage is the place in a session where a reply is given, by its name in SMTP.
type Stage string

// The stages at which a [Rule] can refuse, in the order of a session.
const (
	Connect Stage = "CONNECT" // instead of the greeting; the connection is closed after it
	Ehlo    Stage = "EHLO"    // EHLO and HELO
	Auth    Stage = "AUTH"
	Mail    Stage = "MAIL"
	Rcpt    Stage = "RCPT"
	Data    Stage = "DATA" // DATA, or the first BDAT of a message
	Dot     Stage = "DOT"  // after the final dot, or BDAT LAST
)

var stages = []Stage{Connect, Ehlo, Auth, Mail, Rcpt, Data, Dot}

// A Rule is one scripted fault. Without Pattern, Probability and First it refuses always.
type Rule struct {
	Stage Stage

	// Pattern has to match what the stage is about; nil matches everything. CONNECT: the client's IP address. EHLO:
	// the name it gives. AUTH: the user. MAIL: the sender. RCPT: the recipient. DATA: any recipient. DOT: any
	// header field of the message, unfolded ("Subject: hello").
	Pattern *regexp.Regexp

	Probability float64 // above 0, at most 1; 0: always

	// First limits the rule to the first N times that it meets the same thing (as in Pattern; at DATA and DOT the same
	// recipients), as greylisting does; 0: every time.
	First int

	Reply Reply
}

// A Reply is what the server answers: "550 5.1.1 no such user". A code of 421 also closes the connection (RFC 5321
// section 3.8).
type Reply struct {
	Code int    // 400 to 599
	Text string // the rest of the line, with the enhanced status code if there is to be one
}

func (r Reply) String() string { return fmt.Sprintf("%d %s", r.Code, r.Text) }

func (r Reply) smtpError() *smtp.SMTPError {
	return &smtp.SMTPError{Code: r.Code, EnhancedCode: smtp.NoEnhancedCode, Message: r.Text}
}

// A Rate is how many messages a second are taken before Reply is given to MAIL.
type Rate struct {
	Limit rate.Limit
	Burst int // messages that may come at once after a pause
	Kind  Kind
	Reply Reply
}

const (
	ruleExample = `RCPT~@example\.net$=550 5.1.1 no such user`
	rateExample = `14/s=454 4.7.0 Throttling failure: faster than the account may send.`

	// One reply line, code and line end included, has at most 512 octets (RFC 5321 section 4.5.3.1.5).
	maxReplyText = 506
)

// replyMark is where the reply of a rule begins. So a pattern may hold "=", but not in front of three digits and a
// space.
var replyMark = regexp.MustCompile(`=[0-9]{3}( |$)`)

// ParseRule reads STAGE[@PROBABILITY|#N][~REGEXP]=REPLY:
//
//	DOT=452 4.3.1 disk full                     always
//	RCPT~^bob@=550 5.1.1 no such user           this address
//	MAIL@0.1=451 4.3.0 try later                one time in ten
//	RCPT#2=450 4.2.0 greylisted                 the first two times for each address
//
// STAGE is one of CONNECT, EHLO, AUTH, MAIL, RCPT, DATA, DOT; REPLY is a code from 400 to 599 and text. The first
// "=" followed by three digits and a space ends the pattern. Errors name the column, from 1.
func ParseRule(s string) (Rule, error) {
	fail := func(column int, format string, args ...any) (Rule, error) {
		return Rule{}, fmt.Errorf("column %d of %q: %s; write for example %s", column+1, s, fmt.Sprintf(format, args...), ruleExample)
	}
	var rule Rule
	at := strings.IndexAny(s, "@#~=")
	if at < 0 {
		return fail(len(s), "no =REPLY")
	}
	for _, stage := range stages {
		if strings.EqualFold(s[:at], string(stage)) {
			rule.Stage = stage
		}
	}
	if rule.Stage == "" {
		return fail(0, "unknown stage %q, not one of CONNECT, EHLO, AUTH, MAIL, RCPT, DATA, DOT", s[:at])
	}
	if kind := s[at]; kind == '@' || kind == '#' {
		end := at + 1 + strings.IndexAny(s[at+1:]+"=", "@#~=")
		number := s[at+1 : end]
		var err error
		if kind == '@' {
			rule.Probability, err = strconv.ParseFloat(number, 64)
			// Written so that NaN is refused too.
			if err != nil || !(rule.Probability > 0 && rule.Probability <= 1) {
				return fail(at+1, "probability %q is not a number above 0 and up to 1", number)
			}
		} else {
			rule.First, err = strconv.Atoi(number)
			if err != nil || rule.First < 1 {
				return fail(at+1, "count %q is not a whole number from 1", number)
			}
		}
		at = end
	}
	mark := replyMark.FindStringIndex(s[at:])
	if mark == nil {
		return fail(max(at, strings.LastIndexByte(s, '=')+1), "no reply: = and a code of three digits")
	}
	end := at + mark[0]
	if end > at {
		if s[at] != '~' {
			return fail(at, "%q where ~REGEXP or =REPLY should be", s[at:end])
		}
		if at+1 == end {
			return fail(at+1, "empty pattern")
		}
		var err error
		if rule.Pattern, err = regexp.Compile(s[at+1 : end]); err != nil {
			return fail(at+1, "%q", err)
		}
	}
	reply, err := parseReply(s[end+1:])
	if err != nil {
		return fail(end+1, "%v", err)
	}
	rule.Reply = reply
	return rule, nil
}

// ParseRate reads N/UNIT[:KIND]=REPLY with a unit of s, m or h, and a kind of fixed, sliding, connection or warmup;
// without one N messages may come at once after a pause. Errors name the column, from 1.
func ParseRate(s string) (Rate, error) {
	fail := func(column int, format string, args ...any) (Rate, error) {
		return Rate{}, fmt.Errorf("column %d of %q: %s; write for example %s", column+1, s, fmt.Sprintf(format, args...), rateExample)
	}
	number, rest, ok := strings.Cut(s, "/")
	n, err := strconv.Atoi(number)
	if !ok || err != nil || n < 1 {
		return fail(0, "no N/UNIT with a whole N from 1")
	}
	counted, text, ok := strings.Cut(rest, "=")
	unit, kind, named := strings.Cut(counted, ":")
	seconds := map[string]float64{"s": 1, "m": 60, "h": 3600}[unit]
	if seconds == 0 {
		return fail(len(number)+1, "unit %q is not s, m or h", unit)
	}
	if named && !slices.Contains([]Kind{Fixed, Sliding, Connection, Warmup}, Kind(kind)) {
		return fail(len(number)+len(unit)+2, "kind %q is not fixed, sliding, connection or warmup", kind)
	}
	at := len(number) + 1 + len(counted)
	if !ok {
		return fail(at, "no =REPLY")
	}
	reply, err := parseReply(text)
	if err != nil {
		return fail(at+1, "%v", err)
	}
	return Rate{Limit: rate.Limit(float64(n) / seconds), Burst: n, Kind: Kind(kind), Reply: reply}, nil
}

func parseReply(s string) (Reply, error) {
	digits, text, _ := strings.Cut(s, " ")
	code, err := strconv.Atoi(digits)
	switch {
	case err != nil || len(digits) != 3 || code < 400 || code > 599:
		return Reply{}, fmt.Errorf("reply code %q is not from 400 to 599", digits)
	case text == "":
		return Reply{}, errors.New("the reply has no text")
	case len(text) > maxReplyText:
		return Reply{}, fmt.Errorf("the reply is longer than %d octets (RFC 5321 section 4.5.3.1.5)", maxReplyText)
	case strings.ContainsFunc(text, func(r rune) bool { return r < ' ' || r == 0x7f }):
		return Reply{}, errors.New("the reply has a control character")
	}
	return Reply{Code: code, Text: text}, nil
}

// faults decides, for every stage, whether a rule applies. The first rule that applies answers.
type faults struct {
	rules map[Stage][]*countedRule
}

type countedRule struct {
	Rule
	seed maphash.Seed
	mu   sync.Mutex
	seen map[uint64]int // times met, by hash, for Rule.First; guarded by mu
}

func newFaults(rules []Rule) *faults {
	f := &faults{rules: map[Stage][]*countedRule{}}
	for _, rule := range rules {
		f.rules[rule.Stage] = append(f.rules[rule.Stage], &countedRule{Rule: rule, seed: maphash.MakeSeed(), seen: map[uint64]int{}})
	}
	return f
}

// patterns reports whether a rule of the stage has a pattern.
func (f *faults) patterns(stage Stage) bool {
	for _, rule := range f.rules[stage] {
		if rule.Pattern != nil {
			return true
		}
	}
	return false
}

// at returns the reply of the first rule that applies, nil when there is none. The rule's pattern has to match one of
// subjects. The rule counts how often it meets key.
func (f *faults) at(stage Stage, key string, subjects ...string) *Reply {
	for _, rule := range f.rules[stage] {
		if rule.applies(key, subjects) {
			return &rule.Reply
		}
	}
	return nil
}

func (r *countedRule) applies(key string, subjects []string) bool {
	if r.Pattern != nil {
		matched := false
		for _, subject := range subjects {
			matched = matched || r.Pattern.MatchString(subject)
		}
		if !matched {
			return false
		}
	}
	if r.First > 0 {
		r.mu.Lock()
		defer r.mu.Unlock()
		hash := maphash.String(r.seed, key)
		r.seen[hash]++
		return r.seen[hash] <= r.First
	}
	return r.Probability == 0 || rand.Float64() < r.Probability
}

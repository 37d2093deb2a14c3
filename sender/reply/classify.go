package reply

import (
	"regexp"
	"strings"
	"sync"
	"time"
)

// A Class is a verdict and its scope in one word for a person.
type Class string

const (
	Accepted     Class = "sent"
	Throttled    Class = "throttle"       // send more slowly; the recipient is tried again later, and no attempt is used up
	Transient    Class = "transient"      // the recipient is tried again later; the attempt counts
	HardBounce   Class = "hard_bounce"    // the recipient is dead: never mail it again
	Rejected     Class = "rejected"       // this message or its sender is refused for good
	AuthOrConfig Class = "auth_or_config" // stop sending: a person has to change something, or the quota of the day is used up
	Unanswered   Class = "in_doubt"       // only the server knows; no rule can give this class
)

// An Explanation says what a reply means, or that there was none, and why.
type Explanation struct {
	Class      Class
	Verdict    Verdict
	Scope      Scope
	Quota      time.Duration // a quota is used up, and is new within this time; 0 for everything else
	RetryAfter time.Duration // the time after which the server wants the message again; 0: it names none
	Closing    bool          // the server closes the session with it, so it says little about the message
	Rule       string        // name of the rule that decided
	Reason     string        // what the rule is based on: an RFC, a server or a provider
}

// A Classifier explains replies: by the user's own rules first, then by those of providers (providers.tsv), then by
// those for all servers (rules.go). Goroutines may share it, and a run needs only one. It compiles its rules at the
// first refusal that it is asked about, which takes some milliseconds.
type Classifier struct {
	own  []OwnRule
	book func() *rulebook
}

// NewClassifier makes a classifier with the user's own rules, of which the first that fits decides; own may be nil.
func NewClassifier(own []OwnRule) *Classifier {
	return &Classifier{own: own, book: sync.OnceValue(newRulebook)}
}

// An OwnRule gives a class to every reply that Match matches, in the form of Reply.String.
type OwnRule struct {
	Name  string // for Explanation.Rule
	Match *regexp.Regexp
	Class Class
}

// Answer returns a reply with its explanation.
func (c *Classifier) Answer(stage Stage, r Reply) Answer {
	return Answer{stage, r, c.Explain(stage, r.Code, r.Status, r.Text)}
}

// Explain says what a reply means.
//
// A 2xx reply is success, whatever it says. For all others the text decides first, as code and enhanced status are
// often wrong in either direction; then the enhanced status; then the code. A recipient counts as dead only by a 5xx
// reply that says so and says nothing else: a wrong hard bounce loses a customer, a wrong rejection costs another try.
//
// The stage says what the reply is about. Before MAIL there is no message yet, so a refusal is about the session, and
// one that would be permanent stops the sending, so that it does not fail the recipients one after the other.
func (c *Classifier) Explain(stage Stage, code int, status, text string) Explanation {
	if code/100 == 2 {
		return Explanation{Class: Accepted, Verdict: Sent, Scope: Message, Rule: "accepted", Reason: "the server took it (RFC 5321 section 4.2.1)"}
	}
	e := c.explain(stage, code, strings.TrimPrefix(status, "#"), text)
	if after, exact := retryAfter(text); exact {
		e.RetryAfter = after
	}
	e.Closing = code == 421 // RFC 5321 section 3.8
	return e
}

// explain is the part of Explain that asks the rules.
func (c *Classifier) explain(stage Stage, code int, status, text string) Explanation {
	if len(c.own) > 0 {
		line := Reply{Code: code, Status: status, Text: text}.String()
		for i := range c.own {
			if r := &c.own[i]; r.Match.MatchString(line) {
				return inStage(stage, &rule{name: r.Name, class: r.Class, scope: r.Class.scope(), why: "a rule of the campaign file"})
			}
		}
	}
	said, inside := words(text)
	if statusLen(status) != len(status) || status == "" {
		status = inside
	}
	book := c.book()
	r := book.ofProvider(code, status, text)
	if r == nil {
		r = book.decide(stage, severity(code, status), code, status, said)
	}
	e := inStage(stage, r)
	if r.quota > 0 {
		e.Quota = r.quota
		if after, _ := retryAfter(text); after > 0 {
			e.Quota = after
		}
	}
	return e
}

// scope returns how much a class hits when nothing else is known.
func (c Class) scope() Scope {
	switch c {
	case HardBounce:
		return Recipient
	case Throttled, AuthOrConfig:
		return Server
	}
	return Message
}

// severity returns '4' or '5': the class of the code, or of the enhanced status when there is no such code.
func severity(code int, status string) byte {
	switch {
	case code/100 == 5:
		return '5'
	case code/100 != 4 && strings.HasPrefix(status, "5"):
		return '5'
	}
	return '4'
}

// decide returns the first rule that fits.
func (book *rulebook) decide(stage Stage, severity byte, code int, status, said string) *rule {
	reading := book.read(said)
	for i := range book.rules {
		r := &book.rules[i]
		if strings.IndexByte(r.codes, severity) < 0 || r.code != 0 && r.code != code {
			continue
		}
		if !r.fitsStatus(status) {
			continue
		}
		if r.match != nil && !reading.matches(r.match) || reading.matches(r.veto) {
			continue
		}
		if logInCode(code) && r.class != Throttled && r.class != AuthOrConfig {
			break
		}
		return r
	}
	return byCode(stage, severity, code, status)
}

// byCode returns the rule for a reply whose text says nothing.
func byCode(stage Stage, severity byte, code int, status string) *rule {
	switch {
	case code == 0 && status == "":
		return &nothing
	case severity == '4':
		return &passing
	case stage == Auth, logInCode(code):
		return &logIn
	case strings.HasPrefix(status, "4"):
		return &passing
	}
	return &refused
}

// logInCode reports whether code is reserved for the log-in (RFC 4954 section 6; 530 also RFC 3207 section 4; 525 in
// the registry of RFC 5248, X.7.13).
func logInCode(code int) bool {
	return code == 525 || code == 530 || code == 534 || code == 535 || code == 538
}

// NoRule is the Rule of an Explanation for a text without a code that no rule knows.
const NoRule = "no-code"

var (
	nothing = rule{name: NoRule, class: Transient, scope: Message, why: "it has no code, and says nothing that is known"}
	passing = rule{name: "code-4xx", class: Transient, scope: Message, why: "not now (RFC 5321 section 4.2.1)"}
	refused = rule{name: "code-5xx", class: Rejected, scope: Message, why: "refused; it does not say that the recipient is unknown (RFC 5321 section 4.2.1)"}
	logIn   = rule{name: "code-auth", class: AuthOrConfig, scope: Server, why: "the log-in was refused, or is missing (RFC 4954 section 6)"}
)

// inStage returns what a rule means at a stage.
func inStage(stage Stage, r *rule) Explanation {
	e := Explanation{Class: r.class, Scope: r.scope, Rule: r.name, Reason: r.why}
	switch r.class {
	case Throttled:
		e.Verdict = Throttle
	case Transient:
		e.Verdict = Retry
	case AuthOrConfig:
		e.Verdict = Stop
	default:
		e.Verdict = Permanent
	}
	switch stage {
	case Mail:
		if e.Class == HardBounce { // no recipient was named yet
			e.Class, e.Scope = Rejected, Message
		}
	case Rcpt, Data, Dot:
	default:
		switch e.Verdict {
		case Retry:
			e.Scope = Session
		case Permanent:
			e.Class, e.Verdict, e.Scope = Rejected, Stop, Server
			if stage == Auth {
				e.Class = AuthOrConfig
			}
		}
	}
	return e
}

package reply

import "fmt"

// An Error is why a session could not be opened, or broke.
type Error struct {
	Stage       Stage
	Reply       Reply       // what the server answered; Code 0: nothing that could be read
	Explanation Explanation // what the error means for the message of this moment, and for the server
	Err         error       // what happened, when it was not an answer
	Hint        string      // what a person can change; ""
}

// Broken is the error for a session that broke at a stage, or whose server went out of step. A message whose last octet
// has not left cannot have been taken. If the server had seen the recipient, it may have broken off because of the
// recipient, so the attempt counts. At Dot the last octet may have left, so the message is in doubt.
func Broken(stage Stage, err error) *Error {
	e := &Error{Stage: stage, Err: err, Explanation: Explanation{Class: Transient, Verdict: Retry, Scope: Message, Rule: "session-broken", Reason: "the session broke before the message was complete"}}
	switch stage {
	case Dot:
		return e.InDoubt()
	case Rcpt, Data:
	default:
		e.Explanation.Scope = Session
	}
	return e
}

// InDoubt returns e for a message whose last octet may have left.
func (e *Error) InDoubt() *Error {
	d := *e
	d.Explanation = Explanation{Class: Unanswered, Verdict: InDoubt, Scope: Message, Rule: "no-answer", Reason: "the message may have left whole, and no answer came: only the server knows (RFC 1047)"}
	return &d
}

// Unusable is the error for a server that cannot be used until a person has changed something.
func Unusable(stage Stage, err error, hint string) *Error {
	return &Error{Stage: stage, Err: err, Hint: hint, Explanation: Explanation{Class: AuthOrConfig, Verdict: Stop, Scope: Server, Rule: "unusable", Reason: "a person has to change something"}}
}

// Final reports whether it is useless to try again before a person has changed something.
func (e *Error) Final() bool { return e.Explanation.Verdict == Stop }

func (e *Error) Error() string {
	s := e.Stage.String() + ": "
	if e.Reply.Code != 0 {
		s += e.Reply.String()
	}
	if e.Err != nil {
		if e.Reply.Code != 0 {
			s += ": "
		}
		s += e.Err.Error()
	}
	if e.Hint != "" {
		s = fmt.Sprintf("%s: %s", s, e.Hint)
	}
	return s
}

func (e *Error) Unwrap() error { return e.Err }

package reply

import "fmt"

// An Error is why a session could not be opened, or broke.
type Error struct {
	Stage Stage
	Reply Reply  // what the server answered; Code 0: nothing that could be read
	Err   error  // what happened, when it was not an answer
	Final bool   // trying again does not help until a person changes something
	Hint  string // what to change; ""
}

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

// String is what the client was doing at this stage.
func (s Stage) String() string {
	switch s {
	case Connect:
		return "connect"
	case Ehlo:
		return "EHLO"
	case StartTLS:
		return "STARTTLS"
	case Auth:
		return "log in"
	case Mail:
		return "MAIL"
	case Rcpt:
		return "RCPT"
	case Data:
		return "DATA"
	case Dot:
		return "end of the message"
	case Rset:
		return "RSET"
	}
	return fmt.Sprintf("stage %d", int(s))
}

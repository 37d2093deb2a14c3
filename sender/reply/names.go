package reply

import (
	"fmt"
	"slices"
	"strings"
)

var stageNames = []string{"connect", "ehlo", "starttls", "auth", "mail", "rcpt", "data", "dot", "rset"}

// ParseStage returns the stage of a name in any case: connect, ehlo, starttls, auth, mail, rcpt, data, dot or rset.
func ParseStage(s string) (Stage, error) {
	i := slices.Index(stageNames, strings.ToLower(s))
	if i < 0 {
		return 0, fmt.Errorf("unknown stage %q: use one of %s", s, strings.Join(stageNames, ", "))
	}
	return Stage(i), nil
}

// String returns what the client does at this stage.
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

var scopeNames = []string{"recipient", "message", "session", "server"}

// String returns the scope in one word: "recipient", "message", "session" or "server".
func (s Scope) String() string {
	if s < 0 || int(s) >= len(scopeNames) {
		return fmt.Sprintf("scope %d", int(s))
	}
	return scopeNames[s]
}

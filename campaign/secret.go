package campaign

import (
	"fmt"
	"io"
)

// A Secret is a text that no print, log or JSON shows. string(s) gives it to the one place that needs it.
type Secret string

// String is "[redacted]", or "" for the empty secret: whether there is one may be seen.
func (s Secret) String() string {
	if s == "" {
		return ""
	}
	return "[redacted]"
}

// Format redacts under every verb. String alone would not: %d and other wrong verbs print the value.
func (s Secret) Format(f fmt.State, _ rune) { io.WriteString(f, s.String()) }

// MarshalText redacts in JSON, YAML and log/slog.
func (s Secret) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

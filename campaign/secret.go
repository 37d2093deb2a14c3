package campaign

import (
	"fmt"
	"io"
)

// A Secret is a text that no print, log or JSON shows. string(s) hands it to the code that needs it.
type Secret string

// String returns "[redacted]", or "" for the empty secret: whether there is a secret may be seen.
func (s Secret) String() string {
	if s == "" {
		return ""
	}
	return "[redacted]"
}

// Format redacts under every verb. String alone would not do that: %d and other wrong verbs print the value.
func (s Secret) Format(f fmt.State, _ rune) { io.WriteString(f, s.String()) }

// MarshalText redacts in JSON, YAML and log/slog.
func (s Secret) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

package sink

import (
	"bytes"
	"iter"
	"mime"
	"strings"

	"github.com/emersion/go-message"
	_ "github.com/emersion/go-message/charset" // character sets other than UTF-8
)

// headerFields yields the fields of a message's header, unfolded, as "Name: value". It takes any input: a line that is
// no field comes out as it is.
func headerFields(data []byte) iter.Seq[string] {
	return func(yield func(string) bool) {
		var field []byte
		for len(data) > 0 {
			var line []byte
			line, data, _ = bytes.Cut(data, []byte("\n"))
			line = bytes.TrimSuffix(line, []byte("\r"))
			if len(line) > 0 && (line[0] == ' ' || line[0] == '\t') {
				field = append(field, line...)
				continue
			}
			if len(field) > 0 && !yield(string(field)) {
				return
			}
			if len(line) == 0 {
				return
			}
			field = append(field[:0], line...)
		}
		if len(field) > 0 {
			yield(string(field))
		}
	}
}

// headerValue returns the value of the first field of that name.
func headerValue(data []byte, name string) string {
	for field := range headerFields(data) {
		if key, value, ok := strings.Cut(field, ":"); ok && strings.EqualFold(strings.TrimSpace(key), name) {
			return strings.TrimSpace(value)
		}
	}
	return ""
}

func messageID(data []byte) string {
	return strings.Trim(headerValue(data, "Message-ID"), "<>")
}

// decodeText decodes encoded words (RFC 2047). What cannot be decoded stays as it is.
func decodeText(value string) string {
	decoder := mime.WordDecoder{CharsetReader: message.CharsetReader}
	if text, err := decoder.DecodeHeader(value); err == nil {
		value = text
	}
	return strings.ToValidUTF8(value, "\uFFFD")
}

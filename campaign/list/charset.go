package list

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"strings"

	"golang.org/x/text/encoding"
	"golang.org/x/text/encoding/htmlindex"
	"golang.org/x/text/encoding/ianaindex"
	"golang.org/x/text/encoding/unicode"
	"golang.org/x/text/transform"

	"mailblast/campaign/finding"
	"mailblast/campaign/text"
)

// A charset says how the octets of a file become UTF-8.
type charset int

const (
	utf8Strict  charset = iota // no encoding was named: the first octet that is not UTF-8 refuses the file
	utf8Lenient                // UTF-8 was named: such an octet refuses its row only
	decoded                    // by x/text, which writes U+FFFD for octets that are no character
)

// encodingExamples stands in hints.
const encodingExamples = "utf-8, utf-16, utf-16le, utf-16be, latin1, iso-8859-15, windows-1252, macintosh, shift_jis or gb18030"

var bomUTF8 = []byte("\xef\xbb\xbf")

// decodeUTF8 returns r as UTF-8 without a byte order mark, and the octets that the mark took. An empty name means UTF-8. Other
// names are those of the WHATWG Encoding Standard, and after them those of IANA. latin1 is windows-1252 there, which has the
// same letters, and also what Windows programs call Latin-1. The errors do not name the file.
func decodeUTF8(r io.Reader, name string) (src *bufio.Reader, cs charset, skipped int64, err error) {
	const size = 64 << 10
	src = bufio.NewReaderSize(r, size)
	start, err := src.Peek(3)
	if err != nil && err != io.EOF {
		return nil, 0, 0, err
	}
	marked := bytes.HasPrefix(start, bomUTF8)
	name = strings.ToLower(strings.TrimSpace(name))
	switch name {
	case "", "utf-8", "utf8":
		if bytes.HasPrefix(start, []byte("\xff\xfe")) || bytes.HasPrefix(start, []byte("\xfe\xff")) {
			return nil, 0, 0, finding.Finding{Message: "this is UTF-16, not UTF-8", Hint: "read it with --encoding utf-16, or save it as UTF-8"}
		}
		if name != "" {
			cs = utf8Lenient
		}
		if marked {
			n, _ := src.Discard(len(bomUTF8))
			skipped = int64(n)
		}
		return src, cs, skipped, nil
	}
	enc, err := lookupEncoding(name)
	if err != nil {
		return nil, 0, 0, err
	}
	if marked {
		return nil, 0, 0, finding.Finding{Message: fmt.Sprintf("the file begins with the mark of UTF-8, but the encoding is given as %q", name), Hint: "leave --encoding out"}
	}
	src = bufio.NewReaderSize(transform.NewReader(src, enc.NewDecoder()), size)
	if start, _ := src.Peek(len(bomUTF8)); bytes.Equal(start, bomUTF8) {
		src.Discard(len(bomUTF8))
	}
	return src, decoded, 0, nil
}

func lookupEncoding(name string) (encoding.Encoding, error) {
	switch name {
	// A byte order mark in the file overrides the name. Without one, utf-16 means what Windows writes.
	case "utf-16", "utf16", "utf-16le", "utf16le":
		return unicode.UTF16(unicode.LittleEndian, unicode.UseBOM), nil
	case "utf-16be", "utf16be":
		return unicode.UTF16(unicode.BigEndian, unicode.UseBOM), nil
	}
	enc, err := htmlindex.Get(name)
	if err != nil {
		enc, err = ianaindex.IANA.Encoding(name)
	}
	if err != nil || enc == nil || enc == encoding.Replacement {
		return nil, finding.Finding{Message: fmt.Sprintf("unknown encoding %s", text.Quoted(name)), Hint: "use " + encodingExamples}
	}
	return enc, nil
}

package message

import (
	"bytes"
	"fmt"
	"unicode/utf8"
)

const (
	maxLine   = 998      // octets without CRLF, RFC 5322 section 2.1.1
	maxQPLine = 75       // octets without the = of a soft break, RFC 2045 section 6.7
	maxPart   = 10 << 20 // octets of one rendered part; no mailbox accepts more, and a runaway template stops here
)

// A segment is a stretch of text that is the same for every recipient, encoded beforehand in both ways.
type segment struct {
	id   int    // its number within the message
	text []byte // clean, line ends are LF
	size int    // octets of the template's text for which it stands

	crlf        []byte // for 7bit
	ascii       bool
	breaks      bool // it contains a line end
	first, last int  // octets before the first and after the last line end
	longest     int  // octets of the longest line

	qp              []byte // as quoted-printable, from column 0
	qpBreaks        bool   // there is a line end in qp, hard or soft
	qpFirst, qpLast int
}

func newSegment(text []byte) *segment {
	s := &segment{text: appendClean(nil, text), size: len(text)}
	s.ascii, s.breaks, s.first, s.last, s.longest = measure(s.text)
	s.crlf = appendCRLF(nil, s.text)
	s.qp, s.qpLast = appendQP(nil, s.text, 0)
	s.qpFirst = bytes.Index(s.qp, crlf)
	s.qpBreaks = s.qpFirst >= 0
	if !s.qpBreaks {
		s.qpFirst = len(s.qp)
	}
	return s
}

// A piece of a body is a segment or, if that is nil, the octets lo to hi of what was written for this recipient only.
type piece struct {
	seg    *segment
	lo, hi int
}

// A body is one rendered part of a message. It is the io.Writer for the execution of a template.
//
// text/template writes each static text with one Write of the slice that lies in the parse tree. The address of its first
// octet therefore identifies the segment, whose encoded form only needs to be copied. An unknown slice is encoded when the
// message is assembled, which is slower but gives the same result.
type body struct {
	known  map[*byte]*segment
	pieces []piece
	own    []byte // what is not in segments; clean, line ends are LF
	size   int
	rounds roundCounter
}

func (b *body) reset() {
	b.pieces, b.own, b.size = b.pieces[:0], b.own[:0], 0
	b.rounds.reset()
}

func (b *body) Write(p []byte) (int, error) {
	if ok, err := b.rounds.isMark(p); ok {
		return 0, err
	}
	const overhead = 32 // an empty piece takes memory as well
	if b.size += len(p) + overhead; b.size > maxPart {
		return 0, b.rounds.fault(fmt.Sprintf("the rendered message is larger than %d octets", maxPart))
	}
	if len(p) > 0 {
		if s := b.known[&p[0]]; s != nil && s.size == len(p) {
			b.pieces = append(b.pieces, piece{seg: s})
			return len(p), nil
		}
	}
	lo := len(b.own)
	b.own = appendClean(b.own, p)
	b.pieces = append(b.pieces, piece{lo: lo, hi: len(b.own)})
	return len(p), nil
}

// source returns the text of a piece with LF line ends.
func (b *body) source(p piece) []byte {
	if p.seg != nil {
		return p.seg.text
	}
	return b.own[p.lo:p.hi]
}

// all returns the whole text with LF line ends.
func (b *body) all() []byte { return b.from(0) }

// isPlain reports whether the body can travel as 7bit (RFC 2045 section 2.7): ASCII in lines of at most 998 octets.
func (b *body) isPlain() bool {
	column := 0
	for _, p := range b.pieces {
		var ascii, breaks bool
		var first, last, longest int
		if s := p.seg; s != nil {
			ascii, breaks, first, last, longest = s.ascii, s.breaks, s.first, s.last, s.longest
		} else {
			ascii, breaks, first, last, longest = measure(b.own[p.lo:p.hi])
		}
		if !ascii || longest > maxLine || column+first > maxLine {
			return false
		}
		if breaks {
			column = last
		} else {
			column += last
		}
	}
	return true
}

// appendPlain appends the body as 7bit. The result ends with a line end, as that of appendQuoted does.
func (b *body) appendPlain(dst []byte) []byte {
	for _, p := range b.pieces {
		if p.seg != nil {
			dst = append(dst, p.seg.crlf...)
		} else {
			dst = appendCRLF(dst, b.own[p.lo:p.hi])
		}
	}
	return endLine(dst)
}

// appendQuoted appends the body as quoted-printable. A segment continues the current line if its first line fits; otherwise
// a soft break brings it to column 0, for which it was encoded.
func (b *body) appendQuoted(dst []byte) []byte {
	column := 0
	for _, p := range b.pieces {
		s := p.seg
		if s == nil {
			dst, column = appendQP(dst, b.own[p.lo:p.hi], column)
			continue
		}
		room := maxQPLine - column
		if s.qpBreaks {
			room++ // a line that ends needs no room for the = of a soft break
		}
		if column > 0 && s.qpFirst > room {
			dst, column = append(dst, "=\r\n"...), 0
		}
		dst = append(dst, s.qp...)
		if s.qpBreaks {
			column = s.qpLast
		} else {
			column += s.qpLast
		}
	}
	return endLine(dst)
}

var crlf = []byte("\r\n")

func endLine(dst []byte) []byte {
	if bytes.HasSuffix(dst, crlf) {
		return dst
	}
	return append(dst, crlf...)
}

// measure finds what isPlain needs to know about a text with LF line ends.
func measure(text []byte) (ascii, breaks bool, first, last, longest int) {
	ascii = true
	for _, c := range text {
		switch {
		case c == '\n':
			if !breaks {
				breaks, first = true, last
			}
			longest = max(longest, last)
			last = 0
			continue
		case c >= utf8.RuneSelf:
			ascii = false
		}
		last++
	}
	if !breaks {
		first = last
	}
	return ascii, breaks, first, last, max(longest, last)
}

// isClean reports whether appendClean would change nothing.
func isClean[T ~string | ~[]byte](text T) bool {
	ascii := true
	for i := 0; i < len(text); i++ {
		switch c := text[i]; {
		case c < ' ' && c != '\n' && c != '\t', c == 0x7f:
			return false
		case c >= utf8.RuneSelf:
			ascii = false
		}
	}
	return ascii || utf8.ValidString(string(text))
}

// appendClean appends text as it may stand in a part: line ends become LF, control characters other than tab become spaces,
// and what is not UTF-8 becomes U+FFFD.
func appendClean[T ~string | ~[]byte](dst []byte, text T) []byte {
	if isClean(text) {
		return append(dst, text...)
	}
	s := string(text)
	for i, r := range s {
		switch {
		case r == '\r':
			if i+1 == len(s) || s[i+1] != '\n' {
				dst = append(dst, '\n')
			}
		case r < ' ' && r != '\n' && r != '\t', r == 0x7f:
			dst = append(dst, ' ')
		default:
			dst = utf8.AppendRune(dst, r)
		}
	}
	return dst
}

// appendCRLF appends text with each LF turned into CRLF.
func appendCRLF(dst, text []byte) []byte {
	for {
		i := bytes.IndexByte(text, '\n')
		if i < 0 {
			return append(dst, text...)
		}
		dst = append(append(dst, text[:i]...), crlf...)
		text = text[i+1:]
	}
}

const upperHex = "0123456789ABCDEF"

// appendQP appends text as quoted-printable from a column on, and returns the column after it. It encodes white space at the
// end of text even if more may follow, so that texts can be joined without a look at what comes next.
func appendQP(dst, text []byte, column int) ([]byte, int) {
	for i, c := range text {
		if c == '\n' {
			dst, column = append(dst, crlf...), 0
			continue
		}
		literal := '!' <= c && c <= '~' && c != '='
		if c == ' ' || c == '\t' {
			literal = i+1 < len(text) && text[i+1] != '\n'
		}
		width := 3
		if literal {
			width = 1
		}
		if column+width > maxQPLine {
			dst, column = append(dst, "=\r\n"...), 0
		}
		if literal {
			dst = append(dst, c)
		} else {
			dst = append(dst, '=', upperHex[c>>4], upperHex[c&15])
		}
		column += width
	}
	return dst, column
}

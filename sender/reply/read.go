package reply

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"strings"

	"mailblast/campaign/text"
)

// The bounds of a reply. RFC 5321 section 4.5.3.1.5 allows 512 octets a line; real servers exceed it.
const (
	maxLine  = 2 << 10  // octets a line, line end included
	maxReply = 64 << 10 // octets a reply
	maxLines = 1000     // lines a reply
)

// ErrSyntax is wrapped by every error that says that the server does not speak SMTP. The text of the error says what is
// wrong and where. The reader is then somewhere inside the output of the server, so the connection can only be closed.
var ErrSyntax = errors.New("not an SMTP reply")

// Read reads one reply (RFC 5321 section 4.2), of one line or several ("250-…" up to "250 …").
//
// It is lenient where that is harmless: a code without text, lines that end in a bare LF, text in any encoding. It is
// strict where a guess could take one reply for another: three digits from 200 to 599, followed by a space, a hyphen or
// the end of the line; the same code on all lines; no NUL. Bounds: 2 KB a line, 64 KB and 1,000 lines a reply.
//
// The error is io.EOF when the server closed the connection before the first octet, io.ErrUnexpectedEOF when it did so
// inside the reply, one that wraps ErrSyntax, or whatever the connection returned.
func Read(r *bufio.Reader) (Reply, error) {
	raw, err := readLine(r)
	if err != nil {
		return Reply{}, lineError(1, err)
	}
	code, last, rest, err := splitLine(raw)
	if err != nil {
		return Reply{}, lineError(1, err)
	}
	first := Reply{Code: code}
	first.Status, first.Text = splitStatus(code, text.StripControl(rest))
	if last {
		return first, nil
	}
	return readMore(r, first, len(raw))
}

// readMore reads the lines after the first, which was of size octets.
func readMore(r *bufio.Reader, reply Reply, size int) (Reply, error) {
	var lines strings.Builder
	lines.WriteString(reply.Text)
	for n := 2; ; n++ {
		if n > maxLines {
			return Reply{}, lineError(n, fmt.Errorf("%w: reply longer than %d lines", ErrSyntax, maxLines))
		}
		raw, err := readLine(r)
		if err == io.EOF {
			err = io.ErrUnexpectedEOF
		}
		if err != nil {
			return Reply{}, lineError(n, err)
		}
		if size += len(raw); size > maxReply {
			return Reply{}, lineError(n, fmt.Errorf("%w: reply longer than %d octets", ErrSyntax, maxReply))
		}
		code, last, rest, err := splitLine(raw)
		if err != nil {
			return Reply{}, lineError(n, err)
		}
		if code != reply.Code {
			return Reply{}, lineError(n, fmt.Errorf("%w: code %d inside a %d reply", ErrSyntax, code, reply.Code))
		}
		line := text.StripControl(rest)
		status, after := splitStatus(code, line)
		if reply.Status == "" {
			reply.Status = status
		}
		if status == reply.Status {
			line = after // a different status stays in the text: it may be the one that tells
		}
		lines.WriteByte('\n')
		lines.WriteString(line)
		if last {
			reply.Text = lines.String()
			return reply, nil
		}
	}
}

// Parse reads one reply from a string, as Read does from a connection. The line end of the last line may be absent;
// anything after the reply is an error that wraps ErrSyntax.
func Parse(s string) (Reply, error) {
	s = strings.TrimRight(s, "\r\n")
	if s == "" {
		return Reply{}, fmt.Errorf("%w: nothing there", ErrSyntax)
	}
	r := bufio.NewReader(strings.NewReader(s + "\n"))
	reply, err := Read(r)
	switch {
	case errors.Is(err, io.ErrUnexpectedEOF):
		return Reply{}, fmt.Errorf("%w: the last line has to be %q and then a space, not a hyphen", ErrSyntax, s[:3])
	case err != nil:
		return Reply{}, err
	case r.Buffered() > 0:
		rest, _ := r.Peek(r.Buffered())
		return Reply{}, fmt.Errorf("%w: more text after the last line: %q", ErrSyntax, clip(rest))
	}
	return reply, nil
}

// Lines returns the lines of the reply, without code and enhanced status; at least one, which may be empty. The lines
// after the first of an EHLO reply are its keywords: none can look like an enhanced status code, as a keyword has no
// dot (RFC 5321 4.1.1.1).
func (r Reply) Lines() []string {
	return strings.Split(r.Text, "\n")
}

// String returns the reply on one line, as a person reads it: "550 5.1.1 no such user".
func (r Reply) String() string {
	s := fmt.Sprintf("%03d", r.Code)
	if r.Status != "" {
		s += " " + r.Status
	}
	if r.Text != "" {
		s += " " + strings.ReplaceAll(r.Text, "\n", " ")
	}
	return s
}

// lineError adds the line of the reply to err, unless err is about the connection.
func lineError(n int, err error) error {
	if errors.Is(err, ErrSyntax) {
		return fmt.Errorf("line %d: %w", n, err)
	}
	return err
}

// readLine returns the next line with its line end, valid until the next read.
func readLine(r *bufio.Reader) ([]byte, error) {
	line, err := r.ReadSlice('\n')
	if err == bufio.ErrBufferFull { // a reader smaller than maxLine, or a line larger than any
		line = bytes.Clone(line)
		for err == bufio.ErrBufferFull && len(line) <= maxLine {
			var more []byte
			more, err = r.ReadSlice('\n')
			line = append(line, more...)
		}
	}
	if len(line) > maxLine {
		return nil, fmt.Errorf("%w: longer than %d octets: %q", ErrSyntax, maxLine, clip(line))
	}
	if err == io.EOF && len(line) > 0 {
		err = io.ErrUnexpectedEOF
	}
	return line, err
}

// splitLine splits one line into its code, whether it is the last of the reply, and the rest.
func splitLine(line []byte) (code int, last bool, rest []byte, err error) {
	fail := func(why string) (int, bool, []byte, error) {
		return 0, false, nil, fmt.Errorf("%w: %s: %q", ErrSyntax, why, clip(line))
	}
	line = bytes.TrimRight(line, "\r\n")
	if len(line) < 3 || !digit(line[0]) || !digit(line[1]) || !digit(line[2]) {
		return fail("no three-digit code at the start")
	}
	code = int(line[0]-'0')*100 + int(line[1]-'0')*10 + int(line[2]-'0')
	if code < 200 || code > 599 {
		return fail("code outside 200 to 599")
	}
	if bytes.IndexByte(line, 0) >= 0 {
		return fail("NUL inside")
	}
	if len(line) == 3 {
		return code, true, nil, nil
	}
	if line[3] != ' ' && line[3] != '-' {
		return fail("neither space nor hyphen after the code")
	}
	return code, line[3] == ' ', line[4:], nil
}

func digit(c byte) bool { return '0' <= c && c <= '9' }

// clip shortens the part that an error quotes.
func clip(b []byte) []byte {
	const most = 80
	return b[:min(len(b), most)]
}

// splitStatus takes the enhanced status code (RFC 2034, RFC 3463) off the front of a line of text. One whose class
// disagrees with the code of the reply does not count (RFC 2034 section 4) and stays. One widespread gateway writes
// "#5.1.1".
func splitStatus(code int, text string) (status, rest string) {
	n := statusLen(strings.TrimPrefix(text, "#"))
	if n == 0 {
		return "", text
	}
	start := len(text) - len(strings.TrimPrefix(text, "#"))
	status, rest = text[start:start+n], text[start+n:]
	if status[0] != byte('0'+code/100) {
		return "", text
	}
	return status, strings.TrimLeft(rest, " ")
}

// statusLen returns how many octets of s are an enhanced status code, 0 when s does not start with one: class 2, 4 or
// 5, subject and detail of one to three digits each, and then a space or nothing.
func statusLen(s string) int {
	if len(s) < 5 || (s[0] != '2' && s[0] != '4' && s[0] != '5') {
		return 0
	}
	i := 1
	for range 2 {
		if i >= len(s) || s[i] != '.' {
			return 0
		}
		i++
		start := i
		for i < len(s) && digit(s[i]) {
			i++
		}
		if i == start || i-start > 3 {
			return 0
		}
	}
	if i < len(s) && s[i] != ' ' {
		return 0
	}
	return i
}

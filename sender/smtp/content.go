package smtp

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"time"

	"mailblast/sender/reply"
)

// ErrBareNewline says that content does not consist of lines that end in CR LF. Such content is not sent: a server
// might take a part of it for the end of the message (CVE-2023-51764).
var ErrBareNewline = errors.New("the message has a CR or LF of its own, outside a line end")

// blockSize is how much is written at a time. A shorter message leaves in one write.
const blockSize = 256 << 10

// interrupted closes the session if the server said something, or closed the connection, while it had to wait for
// content.
func (s *Session) interrupted() error {
	if !s.hasSpoken() {
		return nil
	}
	r, err := reply.Read(s.r)
	if err != nil {
		return s.fail(reply.Data, fmt.Errorf("the server broke off before the message was complete: %w", err))
	}
	r = s.redacted(r)
	e := s.fail(reply.Data, errors.New("the server said this before the message was complete"))
	e.Reply = r
	return e
}

// hasSpoken reports, without waiting, whether the server said something that nobody has read, or closed the connection.
func (s *Session) hasSpoken() bool {
	if s.unread() > 0 {
		return true
	}
	if !readable(s.tcp) {
		return false
	}
	// A reply is there to be read. Half a reply has to be waited for, and so has a message of TLS itself, which is no
	// reply.
	const moment = 200 * time.Millisecond
	s.conn.SetReadDeadline(time.Now().Add(moment))
	_, err := s.r.Peek(1)
	return !errors.Is(err, os.ErrDeadlineExceeded)
}

// write writes what is outgoing, and returns how much of it may have left.
func (s *Session) write() (int, error) {
	s.conn.SetWriteDeadline(time.Now().Add(s.timeouts.DataBlock))
	n, err := s.conn.Write(s.outgoing)
	s.outgoing = s.outgoing[:0]
	return n, err
}

// firstBlock returns the start of a piece that goes into one block, so that a long piece is not copied whole. It does
// not end inside a line end.
func firstBlock(piece []byte) []byte {
	n := min(len(piece), blockSize)
	if n < len(piece) && piece[n-1] == '\r' {
		n--
	}
	return piece[:n]
}

// stuff appends content to dst, with each dot doubled that begins a line (RFC 5321 section 4.5.2). It refuses a CR or
// LF that is not part of a line end. start says that content begins a line.
func stuff(dst, content []byte, start bool) ([]byte, error) {
	if start && len(content) > 0 && content[0] == '.' {
		dst = append(dst, '.')
	}
	copied, lines := 0, 0
	for i := 0; ; lines++ {
		n := bytes.IndexByte(content[i:], '\n')
		if n < 0 {
			break
		}
		i += n + 1
		if i < 2 || content[i-2] != '\r' {
			return dst, ErrBareNewline
		}
		if i < len(content) && content[i] == '.' {
			dst = append(append(dst, content[copied:i]...), '.')
			copied = i
		}
	}
	if bytes.Count(content, []byte{'\r'}) != lines { // each line end has one
		return dst, ErrBareNewline
	}
	return append(dst, content[copied:]...), nil
}

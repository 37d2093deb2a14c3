package smtp

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"time"

	"mailblast/sender/reply"
)

// ErrBareNewline says that content is not made of lines that end in CR LF. Such content does not leave: what a server
// takes for the end of the message would not be what was meant (CVE-2023-51764).
var ErrBareNewline = errors.New("the message has a CR or LF of its own, outside a line end")

// blockSize is how much is written at a time. A shorter message leaves in one write.
const blockSize = 256 << 10

// Send writes the content of the message that is Ready (lines that end in CR LF, not dot-stuffed, in pieces none of which
// ends between CR and LF) and, where the server allows it, the envelope of the next one behind it. It keeps nothing of
// the pieces.
//
// gone reports whether the last byte of the message may have left: only then can the server have taken it. After an
// error the session is broken.
func (s *Session) Send(content [][]byte, next *Envelope) (gone bool, err error) {
	s.ready = false
	start := true // of a line
	for _, piece := range content {
		for len(piece) > 0 {
			block := head(piece)
			if s.flight, err = stuff(s.flight, block, start); err != nil {
				return false, s.fail(reply.Data, err)
			}
			piece, start = piece[len(block):], block[len(block)-1] == '\n'
			if len(s.flight) >= blockSize {
				if _, err := s.push(0); err != nil {
					return false, err
				}
			}
		}
	}
	if !start {
		s.flight = append(s.flight, "\r\n"...)
	}
	s.flight = append(s.flight, ".\r\n"...)
	complete := len(s.flight)
	s.reset = false
	if next != nil {
		s.Offer(*next)
	}
	return s.push(complete)
}

// push writes the flight, a part of the content. The last part is complete octets with the final dot, the others have no
// such place: 0.
func (s *Session) push(complete int) (gone bool, err error) {
	// A server that speaks before the message is complete is out of step. Its reply would be taken for the one to the
	// final dot, and the message for refused when it is not, or sent. Now it can still be kept from being complete.
	if err := s.interrupted(); err != nil {
		return false, err
	}
	n, err := s.write()
	switch {
	case err == nil:
		return complete > 0, nil
	case complete > 0 && n >= complete:
		return true, s.fail(reply.Dot, err)
	}
	// Often the server has said why before it closed the connection.
	if said := s.interrupted(); said != nil {
		return false, said
	}
	return false, s.fail(reply.Data, err)
}

// interrupted is the error for a server that said something, or closed the connection, while it was to wait for content.
func (s *Session) interrupted() error {
	if !s.said() {
		return nil
	}
	r, err := reply.Read(s.r)
	s.Close()
	if err != nil {
		return &reply.Error{Stage: reply.Data, Err: fmt.Errorf("the server broke off before the message was complete: %w", err)}
	}
	return &reply.Error{Stage: reply.Data, Reply: r, Err: errors.New("the server said this before the message was complete")}
}

// said reports whether the server said something that nobody has read, or closed the connection, without waiting for it.
func (s *Session) said() bool {
	if s.unread() > 0 {
		return true
	}
	if !waiting(s.tcp) {
		return false
	}
	// What is there can be read without waiting, but for half a reply, and what is no reply at all: TLS has messages
	// of its own.
	const moment = 200 * time.Millisecond
	s.conn.SetReadDeadline(time.Now().Add(moment))
	_, err := s.r.Peek(1)
	return !errors.Is(err, os.ErrDeadlineExceeded)
}

// write writes what has gathered in the flight, and returns how much of it may have left.
func (s *Session) write() (int, error) {
	s.conn.SetWriteDeadline(time.Now().Add(s.timeouts.DataBlock))
	n, err := s.conn.Write(s.flight)
	s.flight = s.flight[:0]
	return n, err
}

// head returns what of a piece goes into one block: not so much that a long piece would be copied whole, and not half a
// line end.
func head(piece []byte) []byte {
	n := min(len(piece), blockSize)
	if n < len(piece) && piece[n-1] == '\r' {
		n--
	}
	return piece[:n]
}

// stuff appends content with a dot doubled at each start of a line (RFC 5321 section 4.5.2), and refuses a CR or LF that
// is not part of a line end. start says that content begins a line.
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

package sink

import (
	"bufio"
	"bytes"
	"context"
	"crypto/tls"
	"io"
	"net"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"github.com/emersion/go-smtp"
)

const (
	readTimeout      = 5 * time.Minute // RFC 5321 section 4.5.3.2.7
	writeTimeout     = 5 * time.Minute
	handshakeTimeout = time.Minute
	lingerTimeout    = 2 * time.Second
	quitTimeout      = 200 * time.Millisecond // when the server is closed

	inputBuffer = 64 << 10
)

// Replies of go-smtp that a conn looks for. Go-smtp writes each line of a reply with a Write of its own.
var (
	goAhead       = []byte("354 ")
	closing       = []byte("421 ")
	readyStartTLS = []byte("220 2.0.0 Ready to start TLS")
)

var (
	goodbyeStopped = Reply{421, "4.3.2 The server is shutting down"}
	goodbyeBroken  = Reply{421, "4.4.2 Connection broken or idle for too long"}
)

// A conn is one client's connection as go-smtp sees it, always in plain text: TLS is below it, so that all faults work
// with and without TLS. It does what go-smtp has no hook for:
//
//   - Replies are kept back until the server has to wait for input, so that a pipelined group of commands is answered in one packet
//     (RFC 2920 section 3.2), and then delayed by the latency.
//   - The greeting and the 354 to DATA, which go-smtp always gives, are replaced by a scripted reply.
//   - The content after DATA is read here, a line at a time, and go-smtp gets an empty message: it looks at every octet three times, which
//     is nine tenths of its work under load.
//   - After 421, or a drop, nothing more is read or written.
//   - After the 220 to STARTTLS the socket is handed to the server that speaks inside TLS.
//
// Only the goroutine that serves the connection may use it, except for stop and kill. Go-smtp's BDAT goroutine may call
// drop while the other one waits for it.
type conn struct {
	net.Conn          // the socket, or TLS over it
	raw      net.Conn // the socket; the only field that stop and kill touch, besides stopAt
	srv      *Server
	log      func(msg string, args ...any) // debug log with the client's address
	session  *session                      // nil until EHLO

	in     *bufio.Reader // reads from a receiver
	feed   []byte        // what go-smtp gets next: at most one line, so that its own buffer is empty after each command
	chunk  int64         // octets of a BDAT chunk, which go-smtp gets as they come
	broken error         // why no more input comes

	taken    *Message  // the next reply line is for it
	answered []Message // their replies are in out

	out  []byte     // replies not yet sent
	line *delayLine // nil without latency
	err  error      // of the first failed write

	greeting *Reply // instead of the first reply line
	inside   bool   // TLS after STARTTLS: the first reply line, a second greeting, is left out
	greeted  bool
	startTLS bool // waits for STARTTLS, then hands the socket over
	handOver bool
	shaken   bool // the TLS handshake was made, or has failed
	refused  bool // DATA was refused, and go-smtp's reply to the empty message is to be left out

	ended  bool
	left   bool // the socket is no longer ours
	closed bool
	stopAt atomic.Int64 // when to wait for input no longer, in Unix nanoseconds; 0: not stopped
}

// newConn takes over a socket. It speaks TLS on it when config is not nil.
func newConn(srv *Server, raw net.Conn, config *tls.Config) *conn {
	c := &conn{Conn: raw, raw: raw, srv: srv}
	if config != nil {
		c.Conn = tls.Server(raw, config)
	}
	log := srv.opts.Log.With("client", raw.RemoteAddr().String())
	c.log = log.Debug
	c.in = bufio.NewReaderSize(receiver{c}, inputBuffer)
	if srv.opts.Latency > 0 {
		c.line = newDelayLine(srv.opts.Latency, c.send, srv.killed)
	}
	return c
}

// isTLS reports whether what the client says is encrypted.
func (c *conn) isTLS() bool { return c.Conn != c.raw }

// Read gives go-smtp its input. Once the conversation has ended it reports io.EOF.
func (c *conn) Read(p []byte) (int, error) {
	switch {
	case c.ended:
		c.linger()
		return 0, io.EOF
	case c.handOver:
		c.leave()
		return 0, io.EOF
	case len(c.feed) == 0 && c.chunk > 0:
		n, err := c.in.Read(p[:min(int64(len(p)), c.chunk)])
		c.chunk -= int64(n)
		if err == io.EOF {
			// go-smtp takes half a last chunk at a plain EOF for the whole message.
			err = io.ErrUnexpectedEOF
		}
		return n, err
	case len(c.feed) == 0:
		line, err := c.in.ReadSlice('\n')
		if err != nil && err != bufio.ErrBufferFull {
			return 0, err // half a command is none
		}
		c.feed, c.chunk = line, chunkSize(line)
	}
	n := copy(p, c.feed)
	c.feed = c.feed[n:]
	return n, nil
}

// chunkSize returns how many octets follow a command line: those of a BDAT that go-smtp takes or skips (RFC 3030
// section 2), else 0.
func chunkSize(line []byte) int64 {
	if len(line) < 5 || line[4] != ' ' || !bytes.EqualFold(line[:4], []byte("BDAT")) {
		return 0
	}
	args := strings.Fields(string(line[5:]))
	if len(args) == 0 || len(args) > 2 || len(args) == 2 && !strings.EqualFold(args[1], "LAST") {
		return 0
	}
	size, err := strconv.ParseUint(args[0], 10, 32)
	if err != nil {
		return 0
	}
	return int64(size)
}

// readContent reads the content after DATA up to the final dot and undoes the dot-stuffing (RFC 5321 section
// 4.5.2). Only CRLF ends a line, so that no other server's reading of a bare LF can smuggle in a second message. It
// appends to buf, or only reads when buf is nil.
func (c *conn) readContent(buf []byte) ([]byte, error) {
	size := 0
	atStart, afterCR := true, false
	for {
		line, err := c.in.ReadSlice('\n')
		if err == io.EOF {
			return nil, io.ErrUnexpectedEOF
		}
		if err != nil && err != bufio.ErrBufferFull {
			return nil, err
		}
		startsNext := bytes.HasSuffix(line, []byte("\r\n")) || afterCR && len(line) == 1
		afterCR = err != nil && line[len(line)-1] == '\r'
		if atStart && line[0] == '.' {
			if string(line) == ".\r\n" {
				break
			}
			line = line[1:]
		}
		atStart = startsNext
		if size += len(line); size > maxMessage {
			buf = nil
		}
		if buf != nil {
			buf = append(buf, line...)
		}
	}
	if size > maxMessage {
		return nil, smtp.ErrDataTooLarge
	}
	return buf, nil
}

// A receiver reads for conn.in. Before every wait for input it sends the replies.
type receiver struct{ c *conn }

func (r receiver) Read(p []byte) (int, error) {
	c := r.c
	if err := c.flush(); err != nil {
		return 0, err
	}
	c.setReadDeadline(readTimeout)
	n, err := c.Conn.Read(p)
	if err != nil {
		c.broken = err
	}
	return n, err
}

// setReadDeadline keeps the deadline that stop has set, even if stop runs at the same moment.
func (c *conn) setReadDeadline(d time.Duration) {
	c.raw.SetReadDeadline(time.Now().Add(d))
	if at := c.stopAt.Load(); at != 0 {
		c.raw.SetReadDeadline(time.Unix(0, at))
	}
}

// stop gives the client a moment to finish and say QUIT. After that, waiting for input fails. What has been received is
// answered.
func (c *conn) stop() {
	at := time.Now().Add(quitTimeout)
	c.stopAt.Store(at.UnixNano())
	c.raw.SetReadDeadline(at)
}

func (c *conn) stopped() bool { return c.stopAt.Load() != 0 }

// kill closes the socket. Whoever reads or writes gets an error.
func (c *conn) kill() { c.raw.Close() }

// Write takes one line of a reply.
func (c *conn) Write(p []byte) (int, error) {
	first := !c.greeted
	c.greeted = true
	taken := c.taken
	c.taken = nil
	switch {
	case c.ended || c.handOver:
	case first && c.greeting != nil:
		c.answer(*c.greeting)
		c.ended = true
	case first && c.inside:
	case c.broken != nil && c.stopped():
		c.answer(goodbyeStopped)
	case c.broken != nil:
		// Go-smtp may refuse half a command or half a message for good, but the client is to try again.
		c.answer(goodbyeBroken)
	case c.refused:
		c.refused = false
	case bytes.HasPrefix(p, goAhead):
		// Go-smtp's buffer is empty now, and this is all it gets of the message. The content is still in conn.in or to
		// come.
		c.feed = []byte(".\r\n")
		if reply := c.session.dataFault(); reply != nil {
			c.answer(*reply)
			c.refused = true
			break
		}
		c.out = append(c.out, p...)
	default:
		c.out = append(c.out, p...)
		if taken != nil {
			c.answered = append(c.answered, *taken)
		}
		c.ended = bytes.HasPrefix(p, closing)
		c.handOver = c.startTLS && bytes.HasPrefix(p, readyStartTLS)
	}
	return len(p), nil
}

// answer writes a scripted reply in place of go-smtp's.
func (c *conn) answer(r Reply) {
	c.out = append(append(c.out, r.String()...), "\r\n"...)
	c.ended = c.ended || r.Code == 421
}

// drop ends the conversation without a further reply.
func (c *conn) drop() { c.ended = true }

func (c *conn) flush() error {
	if c.err != nil || c.closed {
		return c.err
	}
	if c.err = c.handshake(); c.err != nil {
		return c.err
	}
	if len(c.out) == 0 {
		return nil
	}
	if c.line != nil {
		c.line.push(c.out, c.answered)
		c.out, c.answered = nil, nil
		return nil
	}
	c.err = c.send(c.out, c.answered)
	c.out, c.answered = c.out[:0], nil
	return c.err
}

// send writes replies. Those to the messages answered are among them.
func (c *conn) send(p []byte, answered []Message) error {
	c.raw.SetWriteDeadline(time.Now().Add(writeTimeout))
	_, err := c.Conn.Write(p)
	if err == nil && c.srv.opts.OnReply != nil {
		for _, m := range answered {
			c.srv.opts.OnReply(m)
		}
	}
	return err
}

func (c *conn) handshake() error {
	t, ok := c.Conn.(*tls.Conn)
	if !ok || c.shaken {
		return nil
	}
	c.shaken = true
	c.setReadDeadline(handshakeTimeout)
	c.raw.SetWriteDeadline(time.Now().Add(handshakeTimeout))
	if err := t.HandshakeContext(context.Background()); err != nil {
		c.srv.opts.Log.Warn("TLS handshake failed", "client", c.raw.RemoteAddr().String(), "error", err.Error())
		// Go-smtp would answer a time-out in plain text, so it does not get the error itself.
		return io.EOF
	}
	return nil
}

// leave hands the socket to the server inside TLS. What the client sent in plain text behind STARTTLS is discarded (RFC
// 3207 section 6).
func (c *conn) leave() {
	if c.flush() != nil {
		return
	}
	c.finishLine()
	c.ended, c.left = true, true
	c.srv.forget(c)
	c.srv.enterTLS(c.raw)
}

func (c *conn) finishLine() {
	if c.line != nil {
		c.line.close()
		c.line = nil
	}
}

// linger sends what is still to be sent and waits for the client to close. Closing a socket with unread input resets
// the connection, and the client might never see the last reply.
func (c *conn) linger() {
	if c.left || c.closed || c.flush() != nil {
		return
	}
	c.finishLine()
	if w, ok := c.Conn.(interface{ CloseWrite() error }); ok {
		w.CloseWrite()
	}
	c.setReadDeadline(lingerTimeout)
	io.Copy(io.Discard, c.Conn)
}

// Close sends what is still to be sent and closes the socket.
func (c *conn) Close() error {
	if c.closed {
		return nil
	}
	if c.left {
		return nil
	}
	c.flush()
	c.closed = true
	c.finishLine()
	c.srv.forget(c)
	c.log("connection closed")
	return c.Conn.Close()
}

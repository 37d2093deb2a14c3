package matrix

import (
	"bufio"
	"bytes"
	"crypto/tls"
	"errors"
	"net"
	"slices"
	"strings"
	"time"
)

// A talk is one connection.
type talk struct {
	*liar
	tcp  *net.TCPConn
	conn net.Conn // tcp, or TLS over it
	r    *bufio.Reader
	out  []byte

	secure    bool
	from, to  string // of the transaction that is open
	carried   string // whose message came last
	forbidden bool   // the recipient was refused
	early     bool   // the reply at stage was given, and is not given again
}

var errOver = errors.New("the connection is over")

func (c *talk) flush() error {
	_, err := c.conn.Write(c.out)
	c.out = c.out[:0]
	return err
}

// answer replies at a stage. ok says that the server goes on as the right reply says.
func (c *talk) answer(stage, who, right string) (ok bool, err error) {
	right += "\r\n"
	if c.lies(stage, who) {
		if c.chunking && stage != "QUIT" {
			if err := c.overtaken(); err != nil {
				return false, err
			}
		}
		return c.tell(right)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.early && stage == c.stage {
		c.early = false
		return true, nil
	}
	c.out = append(c.out, right...)
	before := eve[c.stage]
	if c.stage == "RSET" {
		if before = [2]string{"RCPT", first}; c.pipelining {
			before[0] = "refused"
		}
	}
	if c.chunking && before[0] == "DATA" {
		before[0] = "RCPT"
	}
	if c.name == "early" && !c.told && before == [2]string{stage, who} && (who != "" || c.due(who)) {
		c.told, c.early = true, true
		c.out = append(c.out, c.right(c.stage)+"\r\n"...)
	}
	return true, nil
}

// tell tells the lie.
func (c *talk) tell(right string) (ok bool, err error) {
	text := right
	if c.say != nil {
		text = c.say(right)
	}
	for i := 0; c.pace > 0 && i < len(text); i++ {
		c.out = append(c.out, text[i])
		if err := c.flush(); err != nil {
			return false, err
		}
		time.Sleep(c.pace)
	}
	if c.pace == 0 {
		c.out = append(c.out, text...)
	}
	if c.then == "" {
		return !c.refuses && !(c.name == "2xx" && right[0] == '3'), nil
	}
	if err := c.flush(); err != nil {
		return false, err
	}
	if c.flood != "" {
		for chunk, n := []byte(c.flood), 0; n < floodSize; n += len(chunk) {
			if _, err := c.conn.Write(chunk); err != nil {
				return false, err
			}
		}
		c.fault("the client has read a reply of %d MB", floodSize>>20)
	}
	switch c.then {
	case "fin":
		if t, ok := c.conn.(*tls.Conn); ok && c.name != "FIN" { // which is cut off without the farewell of TLS
			t.CloseWrite()
		}
		c.tcp.CloseWrite()
	case "rst":
		c.tcp.SetLinger(0)
		return false, errOver
	case "wait":
		select {
		case <-c.enough:
		case <-c.over:
		}
		return false, errOver
	case "hang":
		if c.stage == "body" {
			<-c.over // it does not read either
			return false, errOver
		}
	}
	return false, c.drain()
}

// overtaken waits until the whole message behind the target is here, so that two are under way when the lie is told.
func (c *talk) overtaken() error {
	if err := c.flush(); err != nil {
		return err
	}
	for {
		came, _ := c.r.Peek(c.r.Buffered())
		if bytes.Contains(came, []byte("RCPT TO:<"+behind+">")) && bytes.HasSuffix(came, []byte(smallEnd)) {
			return nil
		}
		if _, err := c.r.Peek(len(came) + 1); err != nil {
			return err
		}
	}
}

// drain reads what still comes: nothing but what may have been on its way.
func (c *talk) drain() error {
	if c.chunking && c.stage != "body" { // all of that is here
		c.r.Discard(c.r.Buffered())
	}
	for {
		line, err := c.line()
		if err != nil {
			return errOver
		}
		verb, _, _ := strings.Cut(strings.TrimRight(line, "\r\n"), " ")
		envelope := slices.Contains([]string{"MAIL", "RCPT", "DATA"}, verb)
		switch {
		case c.stage == "TLS", c.stage == "connect" && c.implicit: // not lines
		case c.stage == "part", c.name == "leave" && c.stage != "body": // it may not know yet
		case c.stage == "body":
			if envelope || slices.Contains([]string{".", "RSET", "QUIT"}, verb) {
				c.fault("after a reply inside the message, the client sent %q", line)
			}
		case !envelope || !c.pipelining || c.chunking:
			c.fault("after %s at %s, the client sent %.80q", c.name, c.stage, line)
		}
	}
}

// line reads a line, flushing first when the client waits.
func (c *talk) line() (string, error) {
	if len(c.out) > 0 && c.r.Buffered() == 0 {
		if err := c.flush(); err != nil {
			return "", err
		}
	}
	b, err := c.r.ReadSlice('\n')
	return string(b), err
}

// right is the right reply at a stage.
func (c *talk) right(stage string) string {
	switch stage {
	case "connect", "greeting", "TLS":
		return "220 liar.example ready"
	case "STARTTLS":
		return "220 2.0.0 go ahead"
	case "AUTH":
		return "235 2.7.0 welcome"
	case "EHLO", "EHLO2":
		lines := []string{"liar.example", "ENHANCEDSTATUSCODES"}
		if c.pipelining {
			lines = append(lines, "PIPELINING")
		}
		if c.chunking {
			lines = append(lines, "CHUNKING")
		}
		if c.stage == "AUTH" {
			lines = append(lines, "AUTH PLAIN")
		}
		if c.config != nil && !c.secure && stage == "EHLO" {
			lines = append(lines, "STARTTLS")
		}
		return "250-" + strings.Join(lines, "\r\n250-") + "\r\n250 8BITMIME"
	case "DATA":
		return "354 go ahead"
	case "refused":
		return "503 5.5.1 no valid recipients"
	case "lone":
		return "554 5.5.1 no valid recipients"
	case "QUIT":
		return "221 2.0.0 bye"
	}
	return "250 2.0.0 fine"
}

// run speaks to one client, until it leaves.
func (c *talk) run() {
	if c.lies("connect", "") {
		c.tell("")
		return
	}
	if c.implicit && c.handshake() != nil {
		return
	}
	_, err := c.answer("greeting", "", c.right("greeting"))
	for err == nil {
		var line string
		if line, err = c.line(); err != nil {
			return
		}
		command, argument, _ := strings.Cut(strings.TrimSuffix(line, "\r\n"), " ")
		err = c.command(command, argument)
	}
}

func (c *talk) command(command, argument string) error {
	simple := func(stage, who string) error {
		_, err := c.answer(stage, who, c.right(stage))
		return err
	}
	address := argument[strings.IndexByte(argument, '<')+1:]
	address, _, _ = strings.Cut(address, ">")
	switch {
	case command == "EHLO" && c.secure && !c.implicit:
		return simple("EHLO2", "")
	case command == "EHLO":
		return simple("EHLO", "")
	case command == "AUTH" && c.stage == "AUTH":
		return simple("AUTH", "")
	case command == "STARTTLS" && !c.secure:
		ok, err := c.answer("STARTTLS", "", c.right("STARTTLS"))
		if err != nil || !ok {
			return err
		}
		return c.encrypt()
	case command == "RSET":
		c.from, c.to, c.forbidden = "", "", false
		return simple("RSET", "")
	case command == "QUIT":
		return errors.Join(simple("QUIT", c.carried), c.flush(), errOver)
	case command == "MAIL":
		if c.from != "" {
			c.fault("MAIL inside a transaction: %s after %s", address, c.from)
		}
		who := strings.TrimPrefix(address, "from-")
		ok, err := c.answer("MAIL", who, c.right("MAIL"))
		if c.from, c.to, c.forbidden = "", "", false; ok {
			c.from = who
		}
		return err
	case command == "RCPT" && c.from == "":
		c.out = append(c.out, "503 5.5.1 MAIL first\r\n"...)
		return nil
	case command == "RCPT":
		if c.from != address {
			c.fault("RCPT for %s in a message for %s", address, c.from)
		}
		if c.forbidden = c.stage == "RSET" && address == first || slices.Contains([]string{"lone", "refused"}, c.stage) && address == target; c.forbidden {
			_, err := c.answer("RCPT", address, "550 5.1.1 no such user")
			return err
		}
		ok, err := c.answer("RCPT", address, c.right("RCPT"))
		if ok {
			c.to = address
		}
		return err
	case command == "DATA":
		return c.data()
	case command == "BDAT" && c.chunking:
		return c.bdat(argument)
	}
	c.fault("an unknown command: %.80q", command+" "+argument)
	return errOver
}

func (c *talk) encrypt() error {
	if err := c.flush(); err != nil {
		return err
	}
	if c.lies("TLS", "") {
		c.r.Peek(1) // what comes before the client's first word is another lie: farewell at STARTTLS
		if _, err := c.tell(c.right("TLS") + "\r\n"); err != nil {
			return err
		}
		return errors.Join(c.flush(), c.drain())
	}
	return c.handshake()
}

func (c *talk) handshake() error {
	conn := tls.Server(c.tcp, c.config)
	c.conn, c.r, c.secure = conn, bufio.NewReaderSize(conn, 16<<10), true
	return conn.Handshake()
}

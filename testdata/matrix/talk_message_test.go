package matrix

import (
	"errors"
	"fmt"
)

// data takes a message, or what comes in its place.
func (c *talk) data() error {
	who := c.from
	switch {
	case c.forbidden && c.stage == "lone":
		if _, err := c.answer("DATA", who, c.right("DATA")); err != nil {
			return err
		}
	case c.forbidden:
		_, err := c.answer("refused", who, c.right("refused"))
		if !c.pipelining {
			c.fault("DATA for a recipient who was refused")
		}
		return err
	case c.to == "":
		c.out = append(c.out, "503 5.5.1 RCPT first\r\n"...)
		return nil
	default:
		if ok, err := c.answer("DATA", who, c.right("DATA")); err != nil || !ok {
			return err
		}
	}
	answered, accepted := false, !c.forbidden
	for read := 0; ; {
		line, err := c.line()
		if err != nil {
			return err
		}
		if line == ".\r\n" {
			break
		}
		if c.forbidden {
			c.fault("content for a recipient who was refused: %.80q", line)
		}
		read += len(line)
		switch {
		case read > 1000 && c.lies("body", who):
			return c.interrupt()
		case c.stage == "part" && c.lies("part", who):
			answered = true
			if accepted, err = c.tell(c.right("dot") + "\r\n"); err != nil {
				return err
			}
			if err := c.flush(); err != nil {
				return err
			}
		}
	}
	c.carried, c.from, c.to = who, "", ""
	if c.forbidden {
		c.forbidden = false
		_, err := c.answer("lone", who, c.right("lone"))
		return err
	}
	if accepted {
		c.keep(who)
	}
	if answered {
		return nil
	}
	_, err := c.answer("dot", who, c.right("dot"))
	return err
}

// bdat takes a message that comes in one chunk with its size before it (RFC 3030), or throws it away.
func (c *talk) bdat(argument string) error {
	size := 0
	if _, err := fmt.Sscanf(argument, "%d LAST", &size); err != nil {
		c.fault("BDAT %.80q: %v", argument, err)
		return errOver
	}
	who := c.from
	for read := 0; read < size; {
		n, err := c.r.Discard(min(size-read, 4<<10))
		if err != nil {
			return err
		}
		if read += n; read > 1000 && c.to != "" && c.lies("body", who) {
			return c.interrupt()
		}
	}
	if who == first { // the target follows at once, which makes two under way
		if _, err := c.r.Peek(1); err != nil {
			return err
		}
	}
	switch {
	case c.forbidden: // the transaction stays open until RSET
		_, err := c.answer("refused", who, c.right("refused"))
		return err
	case c.to == "":
		c.out = append(c.out, "503 5.5.1 RCPT first\r\n"...)
		return nil
	}
	c.carried, c.from, c.to = who, "", ""
	c.keep(who)
	_, err := c.answer("dot", who, c.right("dot"))
	return err
}

// interrupt tells the lie inside a message.
func (c *talk) interrupt() error {
	if _, err := c.tell(c.right("dot") + "\r\n"); err != nil {
		return err
	}
	return errors.Join(c.flush(), c.drain())
}

// keep writes down what is taken, before that is said.
func (c *talk) keep(who string) {
	c.mu.Lock()
	refuses := c.stage == "dot" && c.refuses && !c.told && who == target
	c.mu.Unlock()
	if !refuses {
		c.take(who)
	}
}

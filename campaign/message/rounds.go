package message

import (
	"fmt"
	"maps"
	"slices"
	"text/template/parse"
	"time"

	"mailblast/campaign/finding"
)

// maxRounds bounds the rounds of the loops and the calls of templates in one part or one header field, all together. Nothing
// else would stop a loop that prints nothing, and a dozen templates that each call the next one ten times never end either.
const maxRounds = 10_000

// maxTime bounds the time of rounds that each work on a long text. A round counts for shortRound at most, so that a message
// does not fail because the process was stopped or the machine is too busy.
const (
	maxTime    = time.Second
	shortRound = 20 * time.Millisecond
	fewRounds  = 100 // as many are not timed
)

// marks are empty texts at the beginning of each loop's body and of each template. text/template writes an empty text like
// any other with a Write of its slice, and the address behind the slice tells which loop or template it belongs to.
type marks map[*byte]finding.Finding // the position, and in Message what stands before the text of an error

// addMarks puts the marks into trees that were checked and are about to be made executable.
func (c *compiler) addMarks(s *templateSet) {
	for _, name := range slices.Sorted(maps.Keys(s.trees)) {
		tree := s.trees[name]
		eachNode(tree.Root, func(n parse.Node) {
			if loop, ok := n.(*parse.RangeNode); ok {
				c.marks.put(loop.List, c.findingAt(tree.ParseName, int(loop.Position()), "", ""))
			}
		})
		c.marks.put(tree.Root, c.findingAt(tree.ParseName, int(tree.Root.Position()), "", ""))
	}
}

func (m marks) put(body *parse.ListNode, place finding.Finding) {
	text := make([]byte, 0, 1)
	m[&text[:1][0]] = place
	node := &parse.TextNode{NodeType: parse.NodeText, Pos: body.Position(), Text: text}
	body.Nodes = append([]parse.Node{node}, body.Nodes...)
}

// A roundCounter counts the rounds of one execution.
type roundCounter struct {
	marks marks
	n     int
	last  finding.Finding // the mark of the last round

	begun time.Time // when the current round began, once there are more than a few
	spent time.Duration
}

func (c *roundCounter) reset() { c.n, c.spent = 0, 0 }

// isMark reports whether p is a mark, and counts it.
func (c *roundCounter) isMark(p []byte) (bool, error) {
	if len(p) > 0 || cap(p) == 0 {
		return false, nil
	}
	at, ok := c.marks[&p[:1][0]]
	if !ok {
		return false, nil
	}
	c.last = at
	if c.n++; c.n > maxRounds {
		return true, c.fault(fmt.Sprintf("the loops and templates of this message take more than %d rounds", maxRounds))
	}
	if c.n >= fewRounds {
		now := time.Now()
		if c.n > fewRounds {
			c.spent += min(now.Sub(c.begun), shortRound)
		}
		if c.begun = now; c.spent > maxTime {
			return true, c.fault(fmt.Sprintf("the loops and templates of this message take longer than %v", maxTime))
		}
	}
	return true, nil
}

// fault returns a finding at the position of the last round.
func (c *roundCounter) fault(message string) finding.Finding {
	f := c.last
	f.Message += message
	if c.n > 1 { // there is a loop
		f.Hint = "look for a {{ range }} that does not end, or for one in another"
	}
	return f
}

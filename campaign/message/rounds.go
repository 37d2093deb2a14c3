package message

import (
	"fmt"
	"maps"
	"slices"
	"text/template/parse"
	"time"

	"mailblast/campaign/finding"
)

// maxRounds bounds how often the loops of one part, or of one header field, go round and its templates are called, all
// of them together. A loop that prints nothing would otherwise be stopped by nothing, and a dozen templates that each
// call the next one ten times are as good as endless.
const maxRounds = 10_000

// maxTime bounds what rounds that each work on a long text may take altogether. A round counts for shortRound at most, so
// that a process that was stopped, or a machine that is too busy, does not make a message fail.
const (
	maxTime    = time.Second
	shortRound = 20 * time.Millisecond
	fewRounds  = 100 // are not timed
)

// marks are empty texts at the beginning of each loop's body and of each template. text/template hands over an empty
// readTemplate like any other with a Write of its slice, and the address behind the slice tells whose round it is. The copies
// that html/template makes of a template that it finds in a second context have none of this; what they print, nothing
// included, is bounded by maxPart alone, which is 30 times as many rounds.
type marks map[*byte]finding.Finding // the place, and in Message what stands before the text of an error

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
	last  finding.Finding // where it was last

	begun time.Time // the round at hand, once there are more than a few
	spent time.Duration
}

func (c *roundCounter) reset() { c.n, c.spent = 0, 0 }

// isMark counts p when it is a mark.
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

// fault gives an error the place where the execution was.
func (c *roundCounter) fault(message string) finding.Finding {
	f := c.last
	f.Message += message
	if c.n > 1 { // there is one
		f.Hint = "look for a {{ range }} that does not end, or for one in another"
	}
	return f
}

package matrix

import (
	"strings"
	"time"
)

// The list of each cell: the lie is about the target. behind is only there with chunking, where it is under way
// with the target; its domain is another one, as a domain begins with two messages at a time.
const first, target, behind, last = "first@example.com", "target@example.com", "behind@example.net", "last@example.com"

// A lie is what a server does in place of one right reply.
type lie struct {
	say     func(right string) string // nil: the right reply
	pace    time.Duration             // between octets
	flood   string                    // comes behind it, again and again, until the client leaves or it is floodSize
	then    string                    // go on, fin, rst, wait, hang (until the client leaves)
	refuses bool                      // it goes on as if it had refused
}

// floodSize is more than fits between a server and a client that does not read on.
const floodSize = 64 << 20

// Stages, in the order of a session. The ones that need a word: EHLO2 is the EHLO behind STARTTLS; body is in the
// middle of a message so large that the client is still writing it, part in the middle of one that left in one write;
// refused is DATA in the flight of a recipient who was refused, and lone the dot that ends the nothing which such a
// DATA was answered with 354 for. With chunking dot is the reply to BDAT, and refused the one to the BDAT of a
// recipient who was refused.
//
// eve is the stage, and whose, with whose reply the reply of a stage comes when it comes early.
var eve = map[string][2]string{
	"EHLO": {"greeting"}, "STARTTLS": {"EHLO"}, "EHLO2": {"STARTTLS"}, "AUTH": {"EHLO"},
	"MAIL": {"dot", first}, "RCPT": {"MAIL", target}, "DATA": {"RCPT", target}, "dot": {"DATA", target},
	"QUIT": {"dot", target}, "refused": {"RCPT", target}, "lone": {"DATA", target},
}

func always(text string) func(string) string { return func(string) string { return text } }

var lies = map[string]lie{
	"right":  {},
	"closed": {}, // nobody listens
	"FIN":    {say: always(""), then: "fin"},
	"RST":    {say: always(""), then: "rst"},
	"half":   {say: func(right string) string { return right[:2] }, then: "fin"},
	"421":    {say: always("421 4.3.2 going down\r\n"), then: "fin", refuses: true},
	"4xx":    {say: always("451 4.3.0 not now\r\n"), refuses: true},
	"5xx":    {say: always("554 5.0.0 no\r\n"), refuses: true},
	"5xx5xx": {say: always("554 5.0.0 no\r\n554 5.0.0 no\r\n"), refuses: true},
	"2xx": {say: func(right string) string {
		if right[0] == '3' {
			return "250 fine\r\n"
		}
		return "259 fine\r\n"
	}},
	"3xx": {say: func(right string) string {
		if right[0] == '3' || right[:3] == "503" {
			return "334 go on\r\n"
		}
		return "354 go on\r\n"
	}, refuses: true},
	"hang":    {say: always(""), then: "hang"},
	"wait":    {say: always(""), then: "wait"},
	"drip":    {pace: time.Millisecond},
	"trickle": {say: func(right string) string { return right[:3] + " " + strings.Repeat("a", 2000) }, pace: 50 * time.Millisecond, then: "hang"},
	"line":    {say: func(right string) string { return right[:3] + " " }, flood: strings.Repeat("a", 10_000), then: "hang"},
	"lines":   {say: always(""), flood: strings.Repeat("250-more\r\n", 1000), then: "hang"},
	"garbage": {say: always("hello?\r\n"), then: "hang"},
	"huge":    {say: func(right string) string { return right[:3] + " " + strings.Repeat("a", 1<<20) + "\r\n" }, then: "hang"},
	"many": {say: func(right string) string {
		return strings.Repeat(right[:3]+"-more\r\n", 10_000) + right[:3] + " end\r\n"
	}, then: "hang"},
	"bare":     {say: func(right string) string { return right[:3] + "\r\n" }},
	"LF":       {say: func(right string) string { return strings.ReplaceAll(right, "\r", "") }},
	"NUL":      {say: func(right string) string { return right[:3] + " a\x00b\r\n" }, then: "hang"},
	"mismatch": {say: func(right string) string { return right[:3] + "-a\r\n550 b\r\n" }, then: "hang"},
	"early":    {},
	"doubled":  {say: func(right string) string { return right + right }},
	"unasked":  {say: func(right string) string { return "250 by the way\r\n" + right }},
	"farewell": {say: func(right string) string { return right + "421 4.4.2 idle for too long\r\n" }, then: "fin"},
	"leave":    {say: func(right string) string { return right }, then: "fin"},
}

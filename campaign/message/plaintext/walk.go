package plaintext

import (
	"fmt"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"

	"golang.org/x/net/html"
	"golang.org/x/net/html/atom"
)

// A writer writes the text of one page.
type writer struct {
	tokens []Token
	hidden map[string]bool // classes and ids that the style sheets hide

	space  bool   // white space stands before the next word
	breaks int    // line ends before it; 0 at the beginning
	begun  bool   // something was written
	bullet string // before the first word of a list's item
	indent []string
	pre    int    // <pre> around the place
	before string // an opening * that waits for its word
	linked bool   // a link that waits for its word
	oneRow int    // rows around the place that are one line
	apart  bool   // a picture or a box ends or begins here: words on its two sides do not touch
	last   rune   // of the last word
	held   bool   // a bullet or number was written: its text stands beside it
}

// children writes the children of a node.
func (w *writer) children(n *html.Node) {
	for c := n.FirstChild; c != nil; c = c.NextSibling {
		w.node(c)
	}
}

func (w *writer) node(n *html.Node) {
	switch n.Type {
	case html.TextNode:
		w.text(n.Data)
		return
	case html.ElementNode:
	case html.DocumentNode:
		w.children(n)
		return
	default:
		return
	}
	d := w.displayOf(n)
	if d == none {
		return
	}
	box := d == inline && w.isBox(n)
	w.endLine(d)
	w.apart = w.apart || box
	if keepsSpace(n) {
		w.pre++
		w.element(n)
		w.pre--
	} else {
		w.element(n)
	}
	w.apart = w.apart || box
	w.endLine(d)
}

// endLine ends the line where a block begins or ends.
func (w *writer) endLine(d display) {
	switch {
	case d == inline:
	case w.oneRow > 0:
		w.space = true
	case d == block:
		w.lines(1)
	case d == paragraph && w.bullet == "" && len(w.indent) == 0, d == paragraph && w.pre > 0:
		w.lines(2)
	case d == paragraph: // in a list or a quotation no line is left empty
		w.lines(1)
	}
}

func (w *writer) element(n *html.Node) {
	switch n.DataAtom {
	case atom.Br:
		w.breaks = min(w.breaks+1, 2)
	case atom.Hr:
		w.word("---")
	case atom.Img:
		w.apart = true
		w.text(attribute(n, "alt"))
		w.apart = true
	case atom.A:
		w.link(n)
	case atom.B, atom.Strong:
		w.bold(n)
	case atom.Q:
		w.word("“")
		w.children(n)
		w.word("”")
	case atom.Pre:
		w.pre++
		w.children(n)
		w.pre--
	case atom.Td, atom.Th:
		w.space = true
		w.children(n)
		w.space = true
	case atom.Tr:
		w.row(n)
	case atom.Ul, atom.Ol, atom.Menu:
		w.list(n)
	case atom.Li:
		w.item(n, "* ")
	case atom.Dd:
		w.indented("  ", n)
	case atom.Blockquote:
		w.indented("> ", n)
	default:
		w.children(n)
	}
}

// list writes a list with its bullets or numbers.
func (w *writer) list(n *html.Node) {
	number, step := 1, 1
	if start, err := strconv.Atoi(attribute(n, "start")); err == nil {
		number = start
	}
	if n.DataAtom == atom.Ol && hasAttribute(n, "reversed") {
		step = -1
	}
	for c := n.FirstChild; c != nil; c = c.NextSibling {
		if c.DataAtom != atom.Li || n.DataAtom != atom.Ol {
			w.node(c)
			continue
		}
		if value, err := strconv.Atoi(attribute(c, "value")); err == nil {
			number = value
		}
		if w.displayOf(c) == none {
			continue
		}
		w.lines(1)
		w.item(c, fmt.Sprintf("%d. ", number))
		w.lines(1)
		number += step
	}
}

// item writes an item of a list.
func (w *writer) item(n *html.Node, bullet string) {
	if strings.Contains(declarations(attribute(n.Parent, "style"))["list-style"], "none") || declarations(attribute(n.Parent, "style"))["list-style-type"] == "none" {
		w.children(n)
		return
	}
	outer := w.bullet
	w.bullet = bullet
	w.indented(strings.Repeat(" ", len(bullet)), n)
	w.bullet = outer
}

func (w *writer) indented(prefix string, n *html.Node) {
	w.indent = append(w.indent, prefix)
	w.children(n)
	w.indent = w.indent[:len(w.indent)-1]
}

// link writes the text of a link and its address.
func (w *writer) link(n *html.Node) {
	address := strings.TrimSpace(attribute(n, "href"))
	if address == "" || strings.HasPrefix(address, "#") || strings.HasPrefix(strings.ToLower(address), "javascript:") {
		w.children(n)
		return
	}
	w.linked = true
	w.children(n)
	if w.linked { // it has no text
		w.word("")
	}
	w.tokens = append(w.tokens, Token{LinkEnd, address})
	w.last = 'z' // of the address, perhaps
}

// bold writes *words*, if they stand on one line.
func (w *writer) bold(n *html.Node) {
	for c := range n.Descendants() {
		if c.Type == html.ElementNode && (displays[c.DataAtom] == block || displays[c.DataAtom] == paragraph || c.DataAtom == atom.Br || c.DataAtom == atom.A || c.DataAtom == atom.B || c.DataAtom == atom.Strong) {
			w.children(n)
			return
		}
	}
	if w.before != "" || w.pre > 0 {
		w.children(n)
		return
	}
	w.before = "*"
	w.children(n)
	if w.before == "" { // there was a word
		w.tokens = append(w.tokens, Token{Text: "*"})
	}
	w.before = ""
}

// lines sees to it that the next word stands at least so many line ends below the last one.
func (w *writer) lines(n int) {
	if w.held {
		w.space = true
		return
	}
	w.breaks = max(w.breaks, n)
	w.space = false
}

// word writes what is no white space, with what has to stand before it.
func (w *writer) word(s string) {
	lead := ""
	switch {
	case !w.begun || w.breaks > 0:
		if w.begun {
			lead = strings.Repeat("\n", w.breaks)
		}
		lead += w.lineStart()
	case w.space, w.apart && isWord(w.last) && isWord(firstRune(s)):
		lead = " "
	}
	w.begun, w.breaks, w.space, w.apart, w.held = true, 0, false, false, false
	w.last, _ = utf8.DecodeLastRuneInString(s)
	if w.linked { // what stands before the word does not belong to the link
		w.write(lead)
		w.tokens = append(w.tokens, Token{Kind: LinkStart})
		lead, w.linked = "", false
	}
	w.write(lead + w.before + s)
	w.before = ""
}

func (w *writer) write(s string) {
	kind := Text
	if w.pre > 0 {
		kind = Pre
	}
	if last := len(w.tokens) - 1; last >= 0 && w.tokens[last].Kind == kind {
		w.tokens[last].Text += s
	} else if s != "" {
		w.tokens = append(w.tokens, Token{kind, s})
	}
}

// lineStart is the indentation of a line, with the bullet where an item begins.
func (w *writer) lineStart() string {
	start := strings.Join(w.indent, "")
	if w.bullet != "" {
		start = start[:len(start)-len(w.bullet)] + w.bullet
		w.bullet = ""
	}
	return start
}

// text writes a text of the page.
func (w *writer) text(s string) {
	s = withoutPadding(s)
	if w.pre > 0 {
		w.preformatted(s)
		return
	}
	for s != "" {
		if i := strings.IndexFunc(s, isCollapsed); i != 0 {
			if i < 0 {
				i = len(s)
			}
			w.word(s[:i])
			s = s[i:]
			continue
		}
		s = strings.TrimLeftFunc(s, isCollapsed)
		w.space = true
	}
}

func (w *writer) preformatted(s string) {
	for i, line := range strings.Split(strings.TrimSuffix(s, "\n"), "\n") {
		if i > 0 {
			w.breaks++
		}
		if strings.TrimSpace(line) != "" {
			w.word(line)
		}
	}
	if strings.HasSuffix(s, "\n") {
		w.breaks++
	}
}

// isCollapsed says whether a character is white space of which HTML makes one space. A no-break space is written as a space,
// too, since readers of text have no other use for it.
func isCollapsed(r rune) bool {
	return r == ' ' || r == '\t' || r == '\n' || r == '\r' || r == '\f' || r == '\u00a0'
}

// withoutPadding takes out what fills the line that a mailbox shows beside the subject: no-break spaces and characters without
// a width, many in a row. Alone they have their uses: U+200C and U+200D between letters of Persian, and in emoji.
func withoutPadding(s string) string {
	if !strings.ContainsFunc(s, isInvisible) {
		return s
	}
	if !strings.ContainsFunc(s, func(r rune) bool { return !isFiller(r) }) {
		return " "
	}
	var out strings.Builder
	for s != "" {
		i := strings.IndexFunc(s, isFiller)
		if i < 0 {
			break
		}
		out.WriteString(s[:i])
		run := s[i : len(s)-len(strings.TrimLeftFunc(s[i:], isFiller))]
		s = s[i+len(run):]
		if n := strings.IndexFunc(run, isInvisible); n < 0 || len([]rune(run)) < 3 {
			out.WriteString(strings.NewReplacer("\u00ad", "", "\ufeff", "").Replace(run))
		} else {
			out.WriteByte(' ')
		}
	}
	out.WriteString(s)
	return out.String()
}

func isFiller(r rune) bool { return isInvisible(r) || isCollapsed(r) || unicode.Is(unicode.Zs, r) }

func isInvisible(r rune) bool {
	switch r {
	case '\u034f', '\u00ad', '\u061c', '\u115f', '\u1160', '\u17b4', '\u17b5', '\u180e', '\u3164', '\ufeff':
		return true
	}
	return '\u200b' <= r && r <= '\u200f' || '\u2060' <= r && r <= '\u206f'
}

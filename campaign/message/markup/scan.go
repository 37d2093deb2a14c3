package markup

import (
	"bytes"
	"regexp"
	"strings"
)

// A scanner reads one static text, and follows the context through it. What it does not understand it passes over, as
// readers of mail do.
type scanner struct {
	context
	text []byte
	i    int

	references []span // names that cid: URLs refer to, in order
	fault      string // what keeps the rest from being looked at, and where it is
	hint       string
	at         int
}

// A span is a part of the text.
type span struct{ from, to int }

func (s *scanner) fail(at int, fault, hint string) {
	s.at, s.fault, s.hint = at, fault, hint
	s.state = stateFailed
}

func (s *scanner) rest() []byte { return s.text[s.i:] }

// run reads the text to its end.
func (s *scanner) run() {
	for s.i < len(s.text) && s.fault == "" {
		switch s.state {
		case stateText:
			if s.element != 0 {
				s.content()
			} else {
				s.html()
			}
		case stateTag:
			s.betweenAttributes()
		case stateTagName:
			s.tagName()
		case stateName:
			s.attributeName()
		case stateAfterName:
			s.afterName()
		case stateBeforeValue:
			s.beforeAttributeValue()
		case stateValue:
			s.attributeValue()
		case stateComment:
			s.comment()
		case stateBogus:
			s.skipTo(">", stateText)
		}
	}
}

// skipTo goes behind the next end, and on in a state; or to the end of the text.
func (s *scanner) skipTo(end string, next state) {
	if i := bytes.Index(s.rest(), []byte(end)); i >= 0 {
		s.i += i + len(end)
		s.state = next
		return
	}
	s.i = len(s.text)
}

var (
	conditionalBegin = regexp.MustCompile(`^<!--\s*\[if[^\]>]*\]>`)
	conditionalShown = regexp.MustCompile(`^\s*(?:<!(?:--\s*)?)?-->`) // behind conditionalBegin: all that others do not see
	revealedEnd      = regexp.MustCompile(`^<!--\s*<!\[endif\]\s*-->`)
	hiddenEnd        = regexp.MustCompile(`^<!\[endif\]\s*-->`)
	bogusBegin       = regexp.MustCompile(`^<!\[if[^\]>]*\]>`)
	bogusEnd         = regexp.MustCompile(`^<!\[endif\]>`)
)

// html reads text up to the next piece of markup, and its beginning.
func (s *scanner) html() {
	rest := s.rest()
	next := bytes.IndexByte(rest, '<')
	if s.last() == hidden {
		if end := bytes.Index(rest, []byte("-->")); end >= 0 && (next < 0 || end < next) {
			s.i += end + len("-->")
			s.pop() // for all but Outlook it ends here
			return
		}
	}
	if next < 0 {
		s.i = len(s.text)
		return
	}
	s.i += next
	switch rest = s.rest(); {
	case len(rest) == 1:
		s.fail(s.i, "an action stands right behind <", "write the name of the tag out, or &lt; for the sign itself")
	case bytes.HasPrefix(rest, []byte("<!--")):
		s.beginComment()
	case bytes.HasPrefix(rest, []byte("<![")):
		s.beginBogus()
	case rest[1] == '!' || rest[1] == '?':
		s.i += 2
		s.state = stateBogus
	case rest[1] == '/' && len(rest) > 2 && isLetter(rest[2]):
		s.i += 2
		s.state, s.name = stateTagName, "/"
	case rest[1] == '/':
		s.i += 2
		s.state = stateBogus
	case isLetter(rest[1]):
		s.i++
		s.state, s.name = stateTagName, ""
	default:
		s.i++
	}
}

// beginComment reads the beginning of a comment; of the conditional ones that others see, all of it.
func (s *scanner) beginComment() {
	rest := s.rest()
	if end := revealedEnd.Find(rest); end != nil {
		s.close(len(end))
		return
	}
	if begin := conditionalBegin.Find(rest); begin != nil {
		if shown := conditionalShown.Find(rest[len(begin):]); shown != nil {
			s.i += len(begin) + len(shown)
			s.open += string(revealed)
			return
		}
		if s.last() == hidden {
			s.fail(s.i, "a conditional comment begins inside another one", "end the first one by <![endif]--> before")
			return
		}
		s.i += len(begin)
		s.open += string(hidden)
		return
	}
	s.i += len("<!--")
	s.state = stateComment
	for _, abrupt := range []string{">", "->"} { // HTML 13.2.5.43 and 44
		if bytes.HasPrefix(s.rest(), []byte(abrupt)) {
			s.i += len(abrupt)
			s.endComment()
		}
	}
	if bytes.HasPrefix(bytes.TrimLeft(s.rest(), " \t\n"), []byte("[if ")) && !bytes.Contains(s.rest(), []byte(">")) {
		s.fail(s.i, "an action stands in the condition of a comment", "write the condition out")
	}
}

// beginBogus reads <![if …]>, <![endif]> and <![endif]-->.
func (s *scanner) beginBogus() {
	rest := s.rest()
	switch begin, end := bogusBegin.Find(rest), hiddenEnd.Find(rest); {
	case begin != nil:
		s.i += len(begin)
		s.open += string(bogus)
	case end != nil:
		s.close(len(end))
	case bogusEnd.Match(rest) && s.last() == hidden:
		s.fail(s.i, "<![endif]> does not end the comment that <!--[if …]> began", "write <![endif]-->")
	case bogusEnd.Match(rest):
		s.close(len(bogusEnd.Find(rest)))
	default:
		s.i += len("<!")
		s.state = stateBogus
	}
}

// close ends the conditional comment that began last, with an end of n octets.
func (s *scanner) close(n int) {
	if s.open == "" {
		s.fail(s.i, "the end of a conditional comment without its beginning", "<!--[if …]> ends at the first -->, also at that of a comment in it")
		return
	}
	s.i += n
	s.pop()
}

func (s *scanner) pop() { s.open = s.open[:len(s.open)-1] }

// comment reads on to the end of a comment.
func (s *scanner) comment() {
	rest := s.rest()
	end, n := bytes.Index(rest, []byte("-->")), len("-->")
	if other := bytes.Index(rest, []byte("--!>")); other >= 0 && (end < 0 || other < end) {
		end, n = other, len("--!>")
	}
	if end < 0 {
		s.i = len(s.text)
		return
	}
	s.i += end + n
	s.endComment()
}

func (s *scanner) endComment() {
	s.state = stateText
	if s.last() == hidden {
		s.pop()
	}
}

// content reads the content of an element that holds no markup.
func (s *scanner) content() {
	rest, from := s.rest(), s.i
	end := len(rest)
	closes := false
	for name, e := range elements {
		if e == s.element {
			if i := indexEndTag(rest, name); i >= 0 {
				end, closes = i, true
			}
		}
	}
	if i := bytes.Index(rest[:end], []byte("-->")); i >= 0 && s.last() == hidden {
		s.fail(s.i+i, "--> ends a conditional comment inside an element", "leave it out")
		return
	}
	switch s.element {
	case elementStyle:
		s.css(from, from+end, false)
	case elementScript:
		s.script(from, from+end)
	}
	s.i = from + end
	if closes {
		s.i += len("</")
		s.state, s.element, s.code, s.url, s.name = stateTagName, 0, 0, 0, "/"
	}
}

// indexEndTag is where the end tag of an element begins.
func indexEndTag(text []byte, name string) int {
	for at := 0; ; {
		i := bytes.Index(text[at:], []byte("</"))
		if i < 0 {
			return -1
		}
		at += i
		after := text[at+2:]
		if len(after) >= len(name) && strings.EqualFold(string(after[:len(name)]), name) &&
			(len(after) == len(name) || isSpace(after[len(name)]) || after[len(name)] == '/' || after[len(name)] == '>') {
			return at
		}
		at += 2
	}
}

// tagName reads the name of a tag.
func (s *scanner) tagName() {
	end := s.until(func(c byte) bool { return isSpace(c) || c == '/' || c == '>' })
	s.name += strings.ToLower(string(s.text[s.i:end]))
	if s.i = end; s.i == len(s.text) {
		return
	}
	s.state, s.element = stateTag, elements[s.name]
	s.name = ""
}

func (s *scanner) betweenAttributes() {
	switch c := s.text[s.i]; {
	case c == '>':
		s.i++
		s.state = stateText
	case isSpace(c) || c == '/':
		s.i++
	default: // also =, HTML 13.2.5.32
		s.state, s.name = stateName, strings.ToLower(string(c))
		s.i++
	}
}

func (s *scanner) attributeName() {
	end := s.until(func(c byte) bool { return isSpace(c) || c == '/' || c == '>' || c == '=' })
	if strings.HasSuffix(s.name, unknownName) && end > s.i {
		s.fail(s.i, "an action is a part of the name of an attribute", "let it be the whole name, or write the name out")
		return
	}
	s.name += strings.ToLower(string(s.text[s.i:end]))
	if s.i = end; s.i < len(s.text) {
		s.state = stateAfterName
	}
}

func (s *scanner) afterName() {
	switch c := s.text[s.i]; {
	case isSpace(c):
		s.i++
	case c == '=':
		s.i++
		s.state, s.attribute = stateBeforeValue, attributeKind(s.name)
	default:
		s.state, s.name = stateTag, ""
	}
}

func (s *scanner) beforeAttributeValue() {
	switch c := s.text[s.i]; {
	case isSpace(c):
		s.i++
	case c == '"' || c == '\'':
		s.i++
		s.state, s.quote = stateValue, c
	case c == '>':
		s.endValue()
	default:
		s.state, s.quote = stateValue, 0
	}
}

func (s *scanner) attributeValue() {
	end := s.until(func(c byte) bool {
		if s.quote != 0 {
			return c == s.quote
		}
		return isSpace(c) || c == '>'
	})
	if i := bytes.Index(s.text[s.i:end], []byte("-->")); i >= 0 && s.last() == hidden {
		s.fail(s.i+i, "--> ends a conditional comment inside a tag", "write --&gt;")
		return
	}
	switch s.attribute {
	case attributeURL:
		s.urls(s.i, end)
	case attributeSrcset:
		s.srcset(s.i, end)
	case attributeCSS:
		s.css(s.i, end, true)
	case attributeScript:
		s.script(s.i, end)
	}
	if s.i = end; s.i == len(s.text) {
		return
	}
	if s.quote != 0 {
		s.i++
	}
	s.endValue()
}

func (s *scanner) endValue() {
	s.state, s.name, s.attribute, s.quote, s.url, s.code = stateTag, "", 0, 0, 0, 0
}

// until is where the first octet of a kind stands; the end of the text where there is none.
func (s *scanner) until(is func(byte) bool) int {
	for i := s.i; i < len(s.text); i++ {
		if is(s.text[i]) {
			return i
		}
	}
	return len(s.text)
}

func isSpace(c byte) bool  { return c == ' ' || c == '\t' || c == '\n' || c == '\r' || c == '\f' }
func isLetter(c byte) bool { return 'a' <= c|0x20 && c|0x20 <= 'z' }

// unknownName stands in a name for an action.
const unknownName = "\x00"

// urlAttributes are those whose value is a URL, without those whose names say so (see attributeKind).
var urlAttributes = map[string]bool{
	"action": true, "archive": true, "background": true, "cite": true, "classid": true, "codebase": true, "data": true, "formaction": true,
	"href": true, "icon": true, "longdesc": true, "manifest": true, "ping": true, "poster": true, "profile": true, "usemap": true,
}

// attributeKind is what an attribute's value is, by its name in lower case. A prefix (xlink:href, data-src) does not matter.
func attributeKind(name string) attribute {
	if i := strings.LastIndexByte(name, ':'); i >= 0 && !strings.HasPrefix(name, "xmlns") {
		name = name[i+1:]
	}
	isData := strings.HasPrefix(name, "data-")
	name = strings.TrimPrefix(name, "data-")
	switch {
	case name == "style" && !isData:
		return attributeCSS
	case name == "srcdoc":
		return attributeHTML
	case strings.HasSuffix(name, "srcset"):
		return attributeSrcset
	case strings.HasPrefix(name, "on") && !isData:
		return attributeScript
	case urlAttributes[name] || strings.Contains(name, "src") || strings.Contains(name, "uri") || strings.Contains(name, "url"):
		return attributeURL
	}
	return attributePlain
}

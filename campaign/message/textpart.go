package message

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"html"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"

	nethtml "golang.org/x/net/html"

	"mailblast/campaign/message/plaintext"
)

// A textConverter makes the text part from the HTML part, for one composer.
//
// The conversion costs more than all the rest of a message, and nearly all of it would be the same work for each recipient.
// So it is done once for each way through the template's conditions: a placeholder stands in the HTML for each value that is
// not blank, and the converted text is a skeleton into which the values are put. The values are escaped, so none of them can
// change the structure; where one could change what is shown (a style, a class, the number of a list's item) it stands in
// the skeleton itself. So the form of the text never depends on who came first.
type textConverter struct {
	placeholder string                 // occurs in no template; begins the word that stands for a value
	skeletons   map[string][]textPiece // by the segments of the HTML, its blank values and those that stand in the skeleton
	shaping     map[string][]int       // which values stand in the skeleton, by the segments and the blank values
	key         []byte
}

// A textPiece of a skeleton is a segment, or the value in a piece of the HTML, or the beginning or the end of a link.
type textPiece struct {
	kind    textKind
	seg     *segment
	value   int         // the number of the HTML's piece
	pre     bool        // white space in the value stays as it is
	address []textPiece // of a link, at its end
}

type textKind int

const (
	textSegment textKind = iota
	textValue
	textLinkStart
	textLinkEnd
)

// maxSkeletons bounds the memory for templates with very many ways through. For further messages one is made each time.
const maxSkeletons = 256

func isBlank(value []byte) bool { return len(bytes.TrimSpace(value)) == 0 }

// convert makes text from page.
func (c *textConverter) convert(text, page *body) error {
	text.reset()
	c.key = c.key[:0]
	for _, p := range page.pieces {
		id := -1
		if p.seg != nil {
			id = p.seg.id
		} else if source := page.source(p); len(source) == 0 {
			id = -2
		} else if isBlank(source) {
			id = -3
		}
		c.key = append(c.key, byte(id), byte(id>>8), byte(id>>16))
	}
	shaping, known := c.shaping[string(c.key)]
	if !known {
		shaping = c.findShaping(page)
		if len(c.shaping) < maxSkeletons {
			c.shaping[string(c.key)] = shaping
		}
	}
	for _, i := range shaping {
		value := page.source(page.pieces[i])
		c.key = append(binary.AppendUvarint(c.key, uint64(len(value))), value...)
	}
	skeleton, ok := c.skeletons[string(c.key)]
	if !ok {
		var err error
		if skeleton, err = c.makeSkeleton(page, shaping); err != nil {
			return err
		}
		if len(c.skeletons) < maxSkeletons {
			c.skeletons[string(c.key)] = skeleton
		}
	}
	c.fill(text, page, skeleton)
	return nil
}

// withPlaceholders is the page with a placeholder for each value that is not blank, but for those that shape it. White space
// alone is one space, whatever it is, so that it is the same in a skeleton that others use.
func (c *textConverter) withPlaceholders(page *body, shaping []int) string {
	var doc strings.Builder
	for i, p := range page.pieces {
		switch source := page.source(p); {
		case p.seg != nil, slices.Contains(shaping, i):
			doc.Write(source)
		case !isBlank(source):
			fmt.Fprintf(&doc, "%s%dz", c.placeholder, i)
		case len(source) > 0:
			doc.WriteByte(' ')
		}
	}
	return doc.String()
}

// shapes are the attributes by which a value could change what is shown, and how.
var shapes = []string{"class", "display", "hidden", "id", "reversed", "start", "style", "value"}

// findShaping finds the values that could change what is shown: those in style sheets, in the names of tags and attributes,
// and in some attributes.
func (c *textConverter) findShaping(page *body) (numbers []int) {
	find := func(s string) {
		for _, word := range regexp.MustCompile(regexp.QuoteMeta(c.placeholder)+`(\d+)z`).FindAllStringSubmatch(s, -1) {
			if n, err := strconv.Atoi(word[1]); err == nil && n < len(page.pieces) {
				numbers = append(numbers, n)
			}
		}
	}
	z := nethtml.NewTokenizer(strings.NewReader(c.withPlaceholders(page, nil)))
	inStyle := false
	for kind := z.Next(); kind != nethtml.ErrorToken; kind = z.Next() {
		token := z.Token()
		switch kind {
		case nethtml.TextToken:
			if inStyle {
				find(token.Data)
			}
			continue
		case nethtml.StartTagToken, nethtml.SelfClosingTagToken, nethtml.EndTagToken:
			find(token.Data)
			for _, a := range token.Attr {
				find(a.Key)
				if slices.Contains(shapes, a.Key) {
					find(a.Val)
				}
			}
		}
		inStyle = kind == nethtml.StartTagToken && token.Data == "style"
	}
	return numbers
}

func (c *textConverter) makeSkeleton(page *body, shaping []int) ([]textPiece, error) {
	tokens, err := plaintext.Tokens(c.withPlaceholders(page, shaping))
	if err != nil {
		return nil, err
	}
	var skeleton []textPiece
	link := 0
	for _, t := range tokens {
		switch t.Kind {
		case plaintext.LinkStart:
			link = len(skeleton)
			skeleton = append(skeleton, textPiece{kind: textLinkStart})
		case plaintext.LinkEnd:
			skeleton = append(skeleton, c.linkEnd(skeleton[link+1:], c.pieces(page, t.Text, false))...)
		default:
			skeleton = append(skeleton, c.pieces(page, t.Text, t.Kind == plaintext.Pre)...)
		}
	}
	return skeleton, nil
}

// linkEnd is what follows the text of a link. Where the values decide whether its address is written, fill does.
func (c *textConverter) linkEnd(words, address []textPiece) []textPiece {
	if len(address) == 0 {
		return nil
	}
	isValue := func(p textPiece) bool { return p.kind == textValue }
	text, ahead := staticText(words), staticText(address[:1])
	switch {
	case slices.ContainsFunc(words, isValue):
	case !slices.ContainsFunc(address, isValue):
		if after := plaintext.Address(text, staticText(address)); after != "" {
			return []textPiece{{seg: newSegment([]byte(after))}}
		}
		return nil
	case strings.TrimSpace(text) != "" && ahead != "" && plaintext.Differs(text, ahead):
		before, after := textPiece{seg: newSegment([]byte(" ( "))}, textPiece{seg: newSegment([]byte(" )"))}
		return append(append([]textPiece{before}, address...), after)
	}
	return []textPiece{{kind: textLinkEnd, address: address}}
}

// staticText joins the segments of pieces.
func staticText(pieces []textPiece) string {
	var text []byte
	for _, p := range pieces {
		if p.seg != nil {
			text = append(text, p.seg.text...)
		}
	}
	return string(text)
}

// pieces cuts a text at its placeholders.
func (c *textConverter) pieces(page *body, s string, pre bool) (all []textPiece) {
	for s != "" {
		before, rest, found := strings.Cut(s, c.placeholder)
		number, after, ends := strings.Cut(rest, "z")
		n, err := strconv.Atoi(number)
		if !found || !ends || err != nil || n >= len(page.pieces) {
			return append(all, textPiece{seg: newSegment([]byte(s))})
		}
		if before != "" {
			all = append(all, textPiece{seg: newSegment([]byte(before))})
		}
		all = append(all, textPiece{kind: textValue, value: n, pre: pre})
		s = after
	}
	return all
}

// fill puts the values of a page into a skeleton.
func (c *textConverter) fill(text, page *body, skeleton []textPiece) {
	link := 0
	pending := false // a value ended with white space
	for _, t := range skeleton {
		switch t.kind {
		case textLinkStart:
			link = len(text.pieces)
		case textLinkEnd:
			var address body
			c.fill(&address, page, t.address)
			if after := plaintext.Address(string(text.from(link)), string(address.all())); after != "" {
				text.appendOwn([]byte(after))
			}
		case textSegment:
			if pending && !startsWithSpace(t.seg.text) {
				text.appendOwn([]byte(" "))
			}
			pending = false
			text.pieces = append(text.pieces, piece{seg: t.seg})
		case textValue:
			value := page.source(page.pieces[t.value])
			if bytes.IndexByte(value, '&') >= 0 {
				value = []byte(html.UnescapeString(string(value)))
			}
			if t.pre {
				text.appendOwn(value)
				continue
			}
			lead := (pending || startsWithSpace(value)) && !text.endsWithSpace()
			lo := len(text.own)
			text.own = appendWords(text.own, value, lead)
			text.pieces = append(text.pieces, piece{lo: lo, hi: len(text.own)})
			last, _ := utf8.DecodeLastRune(value)
			pending = unicode.IsSpace(last)
		}
	}
}

// appendWords appends a value with the white space between its words made one space, as HTML shows it, and perhaps one before.
func appendWords(dst, value []byte, space bool) []byte {
	for word := range bytes.FieldsSeq(value) {
		if space {
			dst = append(dst, ' ')
		}
		dst, space = append(dst, word...), true
	}
	return dst
}

func startsWithSpace(s []byte) bool {
	r, _ := utf8.DecodeRune(s)
	return unicode.IsSpace(r)
}

// appendOwn appends what is for this recipient only, clean.
func (b *body) appendOwn(s []byte) {
	lo := len(b.own)
	b.own = append(b.own, s...)
	b.pieces = append(b.pieces, piece{lo: lo, hi: len(b.own)})
}

// from returns the text from a piece on.
func (b *body) from(first int) []byte {
	var text []byte
	for _, p := range b.pieces[first:] {
		text = append(text, b.source(p)...)
	}
	return text
}

// endsWithSpace reports whether white space would be doubled by more of it, or the text has not begun.
func (b *body) endsWithSpace() bool {
	for _, p := range slices.Backward(b.pieces) {
		if source := b.source(p); len(source) > 0 {
			last, _ := utf8.DecodeLastRune(source)
			return unicode.IsSpace(last)
		}
	}
	return true
}

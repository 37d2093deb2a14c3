package message

import (
	"bytes"
	"fmt"
	"html"
	"regexp"
	"slices"
	"strings"

	"github.com/inbucket/html2text"
	nethtml "golang.org/x/net/html"
	"golang.org/x/net/html/atom"
)

// A textConverter makes the text part from the HTML part, for one composer.
//
// The conversion costs more than all the rest of a message, and nearly all of it would be the same work for each recipient.
// So it is done once for each way through the template's conditions: a placeholder stands in the HTML for each value that is
// not blank, and the converted text is a skeleton into which the values are put. The values are escaped, so
// none of them can change the structure. Unescaped they are the text; in the address of a link they are percent-encoded
// already.
//
// The first message of a skeleton is also converted as a whole. If that gives another text, the template does something that
// a skeleton cannot follow, and all its messages are converted one by one.
type textConverter struct {
	placeholder string                 // occurs in no template; begins the word that stands for a value
	skeletons   map[string][]textPiece // by the segments of the HTML and its blank values; nil: convert each message as a whole
	key         []byte
}

// A textPiece of a skeleton is a segment or, if that is nil, the value in that piece of the HTML.
type textPiece struct {
	seg   *segment
	value int
}

// maxSkeletons bounds the memory for templates with very many ways through. Further messages are converted one by one.
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
		} else if isBlank(page.source(p)) {
			id = -2
		}
		c.key = append(c.key, byte(id), byte(id>>8), byte(id>>16))
	}
	skeleton, ok := c.skeletons[string(c.key)]
	if !ok && len(c.skeletons) < maxSkeletons {
		var err error
		if skeleton, err = c.makeSkeleton(page); err != nil {
			return err
		}
		c.fillSkeleton(text, page, skeleton)
		ours := text.all()
		text.reset()
		if err := c.convertWhole(text, page); err != nil {
			return err
		}
		if !slices.EqualFunc(bytes.Fields(ours), bytes.Fields(text.all()), bytes.Equal) {
			skeleton = nil
		}
		c.skeletons[string(c.key)] = skeleton
	}
	if skeleton == nil {
		text.reset()
		return c.convertWhole(text, page)
	}
	text.reset()
	c.fillSkeleton(text, page, skeleton)
	return nil
}

// convertWhole converts one message as a whole, which is the slow way.
func (c *textConverter) convertWhole(text, page *body) error {
	converted, err := plainText(string(page.all()))
	if err != nil {
		return err
	}
	_, err = text.Write([]byte(converted))
	return err
}

func (c *textConverter) makeSkeleton(page *body) ([]textPiece, error) {
	var doc strings.Builder
	for i, p := range page.pieces {
		if source := page.source(p); p.seg != nil || isBlank(source) {
			doc.Write(source)
		} else {
			fmt.Fprintf(&doc, "%s%dz", c.placeholder, i)
		}
	}
	converted, err := plainText(doc.String())
	if err != nil {
		return nil, err
	}
	skeleton := []textPiece{} // an empty skeleton is not nil, which has a meaning
	for converted != "" {
		before, rest, found := strings.Cut(converted, c.placeholder)
		if before != "" {
			skeleton = append(skeleton, textPiece{seg: newSegment([]byte(before))})
		}
		if !found {
			break
		}
		number, rest, _ := strings.Cut(rest, "z")
		var i int
		if _, err := fmt.Sscan(number, &i); err != nil || i >= len(page.pieces) {
			return nil, nil // the placeholder was changed: convert each message as a whole
		}
		skeleton = append(skeleton, textPiece{value: i})
		converted = rest
	}
	return skeleton, nil
}

func (c *textConverter) fillSkeleton(text, page *body, skeleton []textPiece) {
	for _, t := range skeleton {
		if t.seg != nil {
			text.pieces = append(text.pieces, piece{seg: t.seg})
			continue
		}
		value := page.source(page.pieces[t.value])
		if bytes.IndexByte(value, '&') >= 0 {
			value = []byte(html.UnescapeString(string(value)))
		}
		lo := len(text.own)
		text.own = appendCollapsed(text.own, value)
		text.pieces = append(text.pieces, piece{lo: lo, hi: len(text.own)})
	}
}

// appendCollapsed appends a value with the white space between its words made one space, as HTML shows it.
func appendCollapsed(dst, value []byte) []byte {
	space := false
	for _, c := range appendClean(nil, value) {
		if c == '\n' || c == '\t' || c == ' ' {
			space = true
			continue
		}
		if space {
			dst, space = append(dst, ' '), false
		}
		dst = append(dst, c)
	}
	if space {
		dst = append(dst, ' ')
	}
	return dst
}

// strayed matches the space that html2text puts between the end of *bold* text or a link and the punctuation after it.
var strayed = regexp.MustCompile(`([*)]) ([.,;:!?])`)

// plainText converts HTML to text by html2text. Before that, headings become paragraphs, because html2text underlines them in
// their length, which differs between recipients. The rows of tables become blocks, because html2text puts all cells on one
// line, and most newsletters are laid out in tables.
func plainText(page string) (string, error) {
	doc, err := nethtml.Parse(strings.NewReader(page))
	if err != nil {
		return "", fmt.Errorf("make the text part from the HTML: %w (give a text: of its own)", err)
	}
	for n := range doc.Descendants() {
		switch n.DataAtom {
		case atom.H1, atom.H2, atom.H3, atom.H4, atom.H5, atom.H6:
			n.DataAtom, n.Data = atom.P, "p"
		case atom.Tr:
			n.DataAtom, n.Data = atom.Div, "div"
		}
	}
	text, err := html2text.FromHTMLNode(doc)
	if err != nil {
		return "", fmt.Errorf("make the text part from the HTML: %w (give a text: of its own)", err)
	}
	return strayed.ReplaceAllString(text, "$1$2"), nil
}

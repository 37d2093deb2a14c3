package plaintext

import (
	"unicode"
	"unicode/utf8"

	"golang.org/x/net/html"
	"golang.org/x/net/html/atom"
)

// maxCell is how many characters a heading or paragraph in a cell may have to stand on one line with the cells beside it.
// Longer ones are columns of a layout, which are read one after the other.
const maxCell = 40

// maxMark is how many characters the bullet or number may have that stands in the first cell of a row before its text.
const maxMark = 3

// row writes a row of a table: on one line where its cells are short, though they have blocks in them, as those with prices
// often do.
func (w *writer) row(n *html.Node) {
	if w.oneRow > 0 || w.isShort(n) {
		w.oneRow++
		w.children(n)
		w.oneRow--
		return
	}
	begun := false
	for cell := n.FirstChild; cell != nil; cell = cell.NextSibling {
		if cell.Type != html.ElementNode || w.displayOf(cell) == none {
			continue
		}
		length, blocks := 0, 0
		isLine := w.measure(cell, &length, &blocks) && blocks <= 1
		if begun || !isLine || length == 0 || length > maxMark {
			begun = begun || !isLine || length > 0
			w.node(cell)
			continue
		}
		begun = true
		w.oneRow++
		w.node(cell)
		w.oneRow--
		w.held = true
	}
	w.held = false
}

// isShort says whether at least two cells of a row have text, and each is one short line.
func (w *writer) isShort(row *html.Node) bool {
	filled := 0
	for cell := row.FirstChild; cell != nil; cell = cell.NextSibling {
		if cell.Type != html.ElementNode || w.displayOf(cell) == none {
			continue
		}
		length, blocks := 0, 0
		if !w.measure(cell, &length, &blocks) || blocks > 1 || length > maxCell {
			return false
		}
		if length > 0 {
			filled++
		}
	}
	return filled > 1
}

// measure counts the characters of text and the blocks in an element. It fails where there must be more than one line.
func (w *writer) measure(n *html.Node, length, blocks *int) bool {
	for c := n.FirstChild; c != nil; c = c.NextSibling {
		switch c.Type {
		case html.TextNode:
			*length += textLength(c.Data)
			continue
		case html.ElementNode:
		default:
			continue
		}
		d := w.displayOf(c)
		switch {
		case d == none:
			continue
		case c.DataAtom == atom.Br, c.DataAtom == atom.Hr, c.DataAtom == atom.Table, c.DataAtom == atom.Ul, c.DataAtom == atom.Ol, c.DataAtom == atom.Pre, c.DataAtom == atom.Blockquote:
			return false
		case c.DataAtom == atom.Img:
			*length += textLength(attribute(c, "alt"))
		case d == block || d == paragraph:
			*blocks++
		}
		if !w.measure(c, length, blocks) {
			return false
		}
	}
	return true
}

// textLength is the number of characters of a text but white space.
func textLength(s string) (n int) {
	for _, r := range s {
		if !isFiller(r) {
			n++
		}
	}
	return n
}

func firstRune(s string) rune {
	r, _ := utf8.DecodeRuneInString(s)
	return r
}

func isWord(r rune) bool { return unicode.IsLetter(r) || unicode.IsNumber(r) }

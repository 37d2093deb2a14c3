// Package plaintext makes the text that a person would write of a page of HTML: what readers show, in their order, without
// what they hide.
//
// Tokens parses the page as a browser without scripts does, and walks through it (walk.go). White space stands only where the
// HTML has it or where a block begins or ends, by what the element is, or by its style attribute (style.go). The text comes
// in tokens, so that the caller can put values into it and decide on the address of each link: String joins them.
package plaintext

import (
	"fmt"
	"strings"

	"golang.org/x/net/html"
)

// A Kind says what a Token is.
type Kind int

const (
	Text      Kind = iota // white space between words is one space
	Pre                   // the content of <pre>: white space as it is
	LinkStart             // what follows is the text of a link
	LinkEnd               // Text is the link's address
)

// A Token is a part of the text.
type Token struct {
	Kind Kind
	Text string
}

// Tokens makes the text of a page.
func Tokens(page string) ([]Token, error) {
	doc, err := html.ParseWithOptions(strings.NewReader(page), html.ParseOptionEnableScripting(false))
	if err != nil {
		return nil, fmt.Errorf("make the text part from the HTML: %w (give a text: of its own)", err)
	}
	w := &writer{hidden: hiddenSelectors(doc)}
	w.children(doc)
	return w.tokens, nil
}

// String is the text of tokens.
func String(tokens []Token) string {
	var out strings.Builder
	start := 0
	for _, t := range tokens {
		switch t.Kind {
		case LinkStart:
			start = out.Len()
		case LinkEnd:
			out.WriteString(Address(out.String()[start:], t.Text))
		default:
			out.WriteString(t.Text)
		}
	}
	return out.String()
}

// Address is what follows the text of a link: nothing where the text is the address already, and the address alone where
// there is no text.
func Address(text, address string) string {
	text = strings.TrimSpace(text)
	switch {
	case address == "" || strings.HasPrefix(address, "#"), bare(text) == bare(address):
		return ""
	case text == "":
		return address
	}
	return " ( " + address + " )"
}

// Differs reports whether the text of a link can be no address that begins like this. A scheme alone says nothing.
func Differs(text, begin string) bool {
	text, begin = bare(strings.TrimSpace(text)), bare(begin)
	n := min(len(text), len(begin))
	return !strings.HasSuffix(begin, ":") && !strings.HasSuffix(begin, ":/") && text[:n] != begin[:n]
}

// bare is an address without what a person leaves out.
func bare(address string) string {
	for _, prefix := range []string{"https://", "http://", "mailto:", "tel:"} {
		if len(address) > len(prefix) && strings.EqualFold(address[:len(prefix)], prefix) {
			address = address[len(prefix):]
			break
		}
	}
	return strings.TrimSuffix(address, "/")
}

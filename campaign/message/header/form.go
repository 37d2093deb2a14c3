package header

import (
	"fmt"
	"slices"
	"strings"

	"mailblast/campaign/list/address"
	"mailblast/campaign/text"
)

// A Form is the value of a header field that has a grammar, read as far as it is the same for all recipients.
type Form struct {
	name   string
	syntax syntax
	words  pattern // of asciiWords and oneClickValue, which have no items
	items  []item
}

// Read reads the value of a structured field, without line ends and with holes. An error is about what stands around the
// holes.
func Read(name, value string) (*Form, error) {
	value = strings.Trim(value, " ")
	syntax := syntaxOf(name)
	f := &Form{name: name, syntax: syntax}
	switch {
	case value == "":
		return nil, &Fault{Problem: "is empty", Hint: "this field cannot be: leave it out, or give it a value for every recipient"}
	case syntax == asciiWords || syntax == oneClickValue:
		f.words.text = value
		if f.words.count() > 0 {
			return f, nil
		}
		_, err := f.checkWords(value)
		return f, err
	}
	var err error
	if f.items, err = scanItems(syntax, value); err != nil {
		return nil, err
	}
	for i := range f.items {
		if err := f.checkItem(&f.items[i]); err != nil {
			return nil, err
		}
	}
	switch {
	case len(f.items) == 0:
		return nil, &Fault{Problem: "has nothing but commas"}
	case len(f.items) > 1 && syntax == oneMailbox:
		return nil, &Fault{Problem: "takes one address", Hint: quoteNames}
	case len(f.items) > 1 && syntax == oneURL:
		return nil, &Fault{Problem: "takes one URL"}
	case len(f.items) > 1 && syntax == listID:
		return nil, &Fault{Problem: "takes one identifier"}
	}
	return f, nil
}

// quoteNames is the hint when a name was taken for addresses.
const quoteNames = `put a name with commas or other marks into double quotes: "Example, Inc." <news@example.com>`

// checkWords checks a value that programs read.
func (f *Form) checkWords(value string) (string, error) {
	const oneClick = "List-Unsubscribe=One-Click"
	switch {
	case value == "":
		return "", &Fault{Problem: "is empty"}
	case !text.IsASCII(value):
		return "", &Fault{Problem: text.Quoted(value) + " is not ASCII, which programs that read this field expect"}
	case f.syntax == oneClickValue && value != oneClick:
		return "", &Fault{Problem: "is not " + oneClick, Hint: "RFC 8058 knows no other value"}
	}
	return value, nil
}

// checkItem checks an item as far as the template's own text goes, and prepares what has no holes.
func (f *Form) checkItem(it *item) error {
	if !it.bracketed && it.outside.isHole() {
		return nil // the row brings the whole item
	}
	phrase := f.syntax == mailboxes || f.syntax == oneMailbox || f.syntax == listID
	if it.bracketed && phrase && it.loose != 0 {
		return &Fault{Problem: fmt.Sprintf("has a %q in a name", it.loose), Hint: quoteNames}
	}
	it.phrase, it.comment = it.phrase.decodeWords(), it.comment.decodeWords()
	switch {
	case it.bracketed && it.outside.text != "" && !phrase:
		return &Fault{Problem: text.Quoted(visibleHoles(it.outside.text)) + " stands before a <"}
	case !it.bracketed && strings.EqualFold(it.outside.text, "no") && strings.EqualFold(f.name, "List-Post"):
		it.ready = "NO" // RFC 2369 section 3.4
		return nil
	case !it.bracketed && f.syntax != mailboxes && f.syntax != oneMailbox:
		inside := visibleHoles(it.outside.text)
		return &Fault{Problem: text.Quoted(inside) + " is not in angle brackets", Hint: "write <" + text.Short(inside, 80) + ">"}
	case !it.bracketed && strings.Contains(it.outside.text, " "):
		return &Fault{Problem: text.Quoted(visibleHoles(it.outside.text)) + " is not one address, or one name and address", Hint: quoteNames}
	}
	var err error
	if p := it.address(); p.count() == 0 {
		if f.syntax == urls || f.syntax == oneURL {
			p.text = escapeURL(p.text)
		}
		it.ready, err = f.complete(p.text)
	} else if f.syntax == urls || f.syntax == oneURL {
		it.inside, it.places, it.settled, err = readURL(p)
	}
	return err
}

// visibleHoles puts dots into the holes of a text that an error quotes.
func visibleHoles(s string) string { return strings.ReplaceAll(s, string([]byte{Hole}), "…") }

// address returns the part of the item that is no name.
func (it *item) address() pattern {
	if it.bracketed {
		return it.inside
	}
	return it.outside
}

// complete checks an address, URL or identifier without holes, and returns it as it is written.
func (f *Form) complete(s string) (string, error) {
	switch f.syntax {
	case mailboxes, oneMailbox:
		a, err := address.Parse(s)
		if err != nil {
			return "", err
		}
		return a.String(), nil
	case identifiers:
		s = address.TrimPadding(s)
		return s, checkIdentifier(s)
	case listID:
		return completeListID(address.TrimPadding(s))
	}
	return completeURL(s)
}

// checkIdentifier checks what stands between the angle brackets of a message's identifier. It takes those that were seen in
// the wild as well, because a reference is copied from another message.
func checkIdentifier(s string) error {
	at := strings.IndexByte(s, '@')
	for i := range len(s) {
		if c := s[i]; c <= ' ' || c >= 0x7f || c == '<' || c == '>' {
			return &Fault{Problem: fmt.Sprintf("%s is not the identifier of a message", text.Quoted(s)), Hint: "only visible ASCII, without spaces, < and >"}
		}
	}
	if at <= 0 || at == len(s)-1 {
		return &Fault{Problem: fmt.Sprintf("%s is not the identifier of a message", text.Quoted(s)), Hint: "as in <id@example.com>"}
	}
	return nil
}

// completeListID checks the identifier of a list (RFC 2919 section 2) and writes it in A-labels.
func completeListID(s string) (string, error) {
	const longest = 255 // octets
	no := &Fault{Problem: text.Quoted(s) + " is not the identifier of a list", Hint: "it looks like a domain: <news.example.com>"}
	if !text.IsASCII(s) {
		domain, err := address.ParseDomain(s)
		if err != nil {
			return "", no
		}
		s = domain
	}
	labels := strings.Split(s, ".")
	if len(labels) < 2 || len(s) > longest || slices.Contains(labels, "") {
		return "", no
	}
	for i := range len(s) {
		if s[i] != '.' && !address.IsAtext(s[i]) {
			return "", no
		}
	}
	return s, nil
}

// Append appends the field with the values of a row in its holes; from names the fields that they come from, if that is
// known.
func (f *Form) Append(dst []byte, values, from []string) ([]byte, error) {
	w := &writer{dst: append(append(dst, f.name...), ':'), column: len(f.name) + 1, first: true, plain: make([]byte, 0, 128)}
	if f.items == nil {
		value, err := f.checkWords(text.OneLine(f.words.fill(values)))
		if err != nil {
			return dst, faultOf(err, from)
		}
		w.plain = append(w.plain, value...)
	}
	for i := range f.items {
		it := &f.items[i]
		if i > 0 {
			w.next(f.syntax)
		}
		if err := f.write(w, it, values); err != nil {
			if from != nil {
				last := it.outside
				for _, p := range []pattern{it.inside, it.comment} {
					if p.count() > 0 {
						last = p
					}
				}
				from = from[it.outside.first : last.first+last.count()]
			}
			return dst, faultOf(err, from)
		}
	}
	out, ok := w.end()
	if !ok {
		return dst, faultOf(&Fault{Problem: fmt.Sprintf("has a part that is too long: a line has at most %d octets", maxLine)}, from)
	}
	return out, nil
}

// next begins another item.
func (w *writer) next(syntax syntax) {
	if syntax != identifiers {
		w.plain = append(w.plain, ',')
	}
	w.plain = append(w.plain, ' ')
}

// write writes an item.
func (f *Form) write(w *writer, it *item, values []string) error {
	if it.ready == "" && !it.bracketed && it.outside.isHole() {
		return f.writeWhole(w, text.OneLine(values[it.outside.first]))
	}
	inside, err := f.address(it, values)
	if err != nil {
		return err
	}
	switch f.syntax {
	case mailboxes, oneMailbox:
		if !it.bracketed {
			w.mailbox("", inside)
			return nil
		}
		w.mailbox(text.OneLine(it.phrase.fill(values)), inside)
		return nil
	case listID:
		if name := text.OneLine(it.phrase.fill(values)); name != "" {
			w.phrase(name)
			w.plain = append(w.plain, ' ')
		}
	}
	switch {
	case it.settled:
		w.plain = append(appendURL(append(w.plain, '<'), it.inside, it.places, values), '>')
	case it.bracketed:
		w.plain = append(append(append(w.plain, '<'), inside...), '>')
	default:
		w.plain = append(w.plain, inside...)
	}
	if it.commented {
		w.comment(text.OneLine(it.comment.fill(values)))
	}
	return nil
}

// address returns the part of an item that is no name, with the values in its holes. A settled URL has nothing to be checked
// and is not made here.
func (f *Form) address(it *item, values []string) (string, error) {
	switch {
	case it.ready != "" || it.settled:
		return it.ready, nil
	case it.places != nil:
		return f.complete(string(appendURL(nil, it.inside, it.places, values)))
	}
	return f.complete(it.address().fill(values))
}

// writeWhole writes what a row brings for a whole item. Several of them are taken only if the row brings the whole value.
func (f *Form) writeWhole(w *writer, value string) error {
	inner, err := Read(f.name, value)
	if err != nil {
		return err
	}
	if len(f.items) > 1 && len(inner.items) > 1 {
		return &Fault{Problem: text.Quoted(value) + " is more than one"}
	}
	for i := range inner.items {
		if i > 0 {
			w.next(f.syntax)
		}
		if err := inner.write(w, &inner.items[i], nil); err != nil {
			return err
		}
	}
	return nil
}

// comment writes a comment (RFC 5322 section 3.2.2).
func (w *writer) comment(s string) {
	if s == "" {
		return
	}
	if text.IsASCII(s) && !looksEncoded(s) {
		s = strings.NewReplacer(`\`, `\\`, `(`, `\(`, `)`, `\)`).Replace(s)
	} else {
		words, _ := appendWords(nil, s, 0)
		s = strings.TrimPrefix(strings.ReplaceAll(string(words), "\r\n", ""), " ")
	}
	w.plain = append(append(append(w.plain, " ("...), s...), ')')
}

// faultOf returns the error of a value with the fields that it came from.
func faultOf(err error, from []string) error {
	var names []string
	for _, name := range from {
		if name = "." + name; !slices.Contains(names, name) {
			names = append(names, name)
		}
	}
	if len(names) == 0 {
		return err
	}
	return fmt.Errorf("%w (it comes from %s)", err, strings.Join(names, ", "))
}

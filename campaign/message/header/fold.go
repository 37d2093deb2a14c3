package header

import "bytes"

// A writer writes the value of a structured header field and folds it at its white space.
type writer struct {
	dst    []byte
	column int
	first  bool   // nothing follows the field's name yet
	plain  []byte // ASCII that waits to be folded
	long   bool   // a line would be longer than is allowed
}

// mailbox writes a display name, which may be empty, and an address. Anything may stand in the name.
func (w *writer) mailbox(name, address string) {
	if name == "" {
		w.plain = append(w.plain, address...)
		return
	}
	w.phrase(name)
	w.plain = append(append(append(w.plain, " <"...), address...), '>')
}

// flush folds what waits.
func (w *writer) flush() {
	if len(w.plain) == 0 {
		return
	}
	dst, column, ok := appendFolded(w.dst, bytes.TrimRight(w.plain, " "), w.column, w.first)
	if !ok {
		w.long = true
		return
	}
	w.dst, w.column, w.first, w.plain = dst, column, false, w.plain[:0]
}

// end ends the field. It returns false if a line would be longer than is allowed.
func (w *writer) end() ([]byte, bool) {
	w.flush()
	return append(w.dst, crlf...), !w.long
}

// longestUnit returns the length of the longest word with the spaces before it: no fold comes between.
func longestUnit(s string) int {
	longest, begin := 0, 0
	for i := 1; i < len(s); i++ {
		if s[i] == ' ' && s[i-1] != ' ' {
			longest, begin = max(longest, i-begin), i
		}
	}
	return max(longest, len(s)-begin)
}

// appendFolded appends ASCII, folded before white space where the line would pass 78 columns, and returns the column after
// it. The first word after the field's name stays there if a line of its own would be too short for it as well. It returns
// false if a line would be longer than is allowed at all.
func appendFolded[T ~string | ~[]byte](dst []byte, value T, column int, first bool) ([]byte, int, bool) {
	for i := 0; i < len(value); first = false {
		begin := i // of the spaces before a word
		for i < len(value) && value[i] == ' ' {
			i++
		}
		word, space := i, max(i-begin, 1)
		for i < len(value) && value[i] != ' ' {
			i++
		}
		width := space + i - word
		fits := width <= foldAt || column+width > maxLine
		if (!first || fits) && column+width > foldAt {
			dst, column = append(dst, crlf...), 0
		}
		if column += width; column > maxLine {
			return nil, 0, false
		}
		for range space {
			dst = append(dst, ' ')
		}
		dst = append(dst, value[word:i]...)
	}
	return dst, column, true
}

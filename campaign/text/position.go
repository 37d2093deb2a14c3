package text

import (
	"bytes"
	"unicode/utf8"
)

// InvalidUTF8 returns the index of the first octet that is not UTF-8, or -1.
func InvalidUTF8(b []byte) int {
	for i := 0; i < len(b); {
		r, n := utf8.DecodeRune(b[i:])
		if r == utf8.RuneError && n == 1 {
			return i
		}
		i += n
	}
	return -1
}

// Position returns the line and the column of the octet i, both from 1, the column in characters.
func Position(b []byte, i int) (line, column int) {
	before := b[:i]
	line = bytes.Count(before, []byte("\n")) + 1
	return line, utf8.RuneCount(before[bytes.LastIndexByte(before, '\n')+1:]) + 1
}

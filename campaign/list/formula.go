package list

import (
	"strings"
	"unicode"
)

// IsFormula reports whether a spreadsheet would run a cell of a CSV as a formula. It looks past white space and invisible
// characters, because some spreadsheets drop them.
func IsFormula(cell string) bool {
	if cell == "" {
		return false
	}
	first := strings.TrimLeftFunc(cell, func(r rune) bool { return unicode.IsSpace(r) || !unicode.IsGraphic(r) })
	return strings.ContainsRune("\t\r\n", rune(cell[0])) || strings.IndexFunc(first, func(r rune) bool { return strings.ContainsRune("=+-@＝＋－＠", r) }) == 0
}

// MarkFormula puts an apostrophe before a formula, and before a cell whose own apostrophes would be taken for such a mark.
// UnmarkFormula restores the cell exactly.
func MarkFormula(cell string) string {
	if IsFormula(strings.TrimLeft(cell, "'")) {
		return "'" + cell
	}
	return cell
}

// UnmarkFormula removes the mark of MarkFormula.
func UnmarkFormula(cell string) string {
	if rest, marked := strings.CutPrefix(cell, "'"); marked && IsFormula(strings.TrimLeft(rest, "'")) {
		return rest
	}
	return cell
}

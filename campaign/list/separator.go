package list

import (
	"fmt"
	"slices"
	"strings"

	"mailblast/campaign/finding"
	"mailblast/campaign/list/address"
	"mailblast/campaign/text"
)

// separators are the characters that are tried between the cells, the most usual one first.
const separators = ",;\t|"

// separatorOf returns the character that separates the cells of a header: the one with which exactly one cell is the name of
// the column of addresses. isAddress knows such names, the better ones first. If no separator gives such a cell, one may be an
// address itself, because the header was forgotten. If several do, or none, the one that gives the most cells wins.
func separatorOf(header []byte, isAddress ...func(string) bool) byte {
	var cells [len(separators)][]string
	for i, c := range []byte(separators) {
		cells[i] = cellsOf(record{text: header}, rune(c))
	}
	best := func(fits func(cells []string) bool) int {
		at := -1
		for i := range cells {
			if fits(cells[i]) && (at < 0 || len(cells[i]) > len(cells[at])) {
				at = i
			}
		}
		return at
	}
	for _, is := range append(isAddress, holdsAddress) {
		if at := best(func(cells []string) bool { return countCells(cells, is) == 1 }); at >= 0 {
			return separators[at]
		}
	}
	return separators[best(func([]string) bool { return true })]
}

func countCells(cells []string, is func(string) bool) (n int) {
	for _, cell := range cells {
		if is(cell) {
			n++
		}
	}
	return n
}

// holdsAddress reports whether a cell is an address, or a name with an address in angle brackets.
func holdsAddress(cell string) bool {
	cell = address.TrimPadding(cell)
	if open := strings.LastIndexByte(cell, '<'); open >= 0 && strings.HasSuffix(cell, ">") {
		cell = cell[open+1 : len(cell)-1]
	}
	_, err := address.Parse(cell)
	return err == nil
}

// separatorLine reads a first line such as sep=; by which Excel is told the separator. Excel may have written more separators
// behind it, and quotation marks around it. found is false for any other line; a separator of 0 means that the line names none
// that can be used.
func separatorLine(line []byte) (separator byte, found bool) {
	const key = "sep="
	s := strings.TrimPrefix(strings.TrimRight(string(line), "\r\n"), `"`)
	if len(s) < len(key) || !strings.EqualFold(s[:len(key)], key) {
		return 0, false
	}
	s = s[len(key):]
	if rest, ok := strings.CutPrefix(s, `\t`); ok {
		s = "\t" + rest
	}
	if s == "" || !isSeparator(s[0]) {
		return 0, true
	}
	if strings.Trim(s[1:], `" `+separators+s[:1]) != "" {
		return 0, true
	}
	return s[0], true
}

// isSeparator accepts the tab and the ASCII marks that an address, a name or a quoted cell does not need.
func isSeparator(c byte) bool {
	return c == '\t' || strings.IndexByte("!#$%&'()*,/:;<=>?[\\]^`{|}~", c) >= 0
}

// readSeparator returns the separator that the first line names, 0 if it names none, and the first record of the list.
func (rs *Recipients) readSeparator() (declared byte, rec record, err error) {
	if rec, err = rs.firstRecord(); err != nil {
		return 0, rec, err
	}
	separator, found := separatorLine(rec.text)
	switch {
	case !found:
		return 0, rec, nil
	case separator == 0:
		return 0, rec, rs.fault(rec.line, 1, finding.Finding{
			Message: fmt.Sprintf("the line %s names no separator", text.Quoted(strings.TrimRight(string(rec.text), "\r\n"))),
			Hint:    "write sep=; for the semicolon, or remove the line",
		})
	}
	rs.records.comma = separator
	rec, err = rs.firstRecord()
	return separator, rec, err
}

// headerFor returns the header line that a list without one needs, by its first row, for a hint.
func headerFor(cells []string, separator byte) string {
	names := make([]string, len(cells))
	email := slices.IndexFunc(cells, holdsAddress)
	for i := range names {
		names[i] = fmt.Sprintf("column_%d", i+1)
	}
	names[email] = "email"
	if separator == '\t' {
		return strings.Join(names, " ") + ", with tabs between the names"
	}
	return strings.Join(names, string(separator))
}

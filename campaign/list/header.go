package list

import (
	"bufio"
	"bytes"
	"encoding/csv"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/dustin/go-humanize"
	"github.com/gocarina/gocsv"

	"mailblast/campaign/finding"
	"mailblast/campaign/list/address"
	"mailblast/campaign/text"
)

// LeftOut is what Recipients passes over, because nothing stands in it.
type LeftOut struct {
	Columns int   // at the end, without a name
	Rows    int64 // of empty cells; a blank line is none
	CtrlZ   bool  // at the end of the file
}

// String names what was left out, or returns "" if there is nothing.
func (l LeftOut) String() string {
	var words []string
	count := func(n int64, one, several string) {
		switch {
		case n == 1:
			words = append(words, "1 "+one)
		case n > 1:
			words = append(words, humanize.Comma(n)+" "+several)
		}
	}
	count(int64(l.Columns), "column without a name", "columns without a name")
	count(l.Rows, "row of empty cells", "rows of empty cells")
	if l.CtrlZ {
		words = append(words, "the Ctrl-Z at the end")
	}
	return strings.Join(words, ", ")
}

// isBlank reports whether a person sees nothing in a cell.
func isBlank(cell string) bool { return address.TrimPadding(cell) == "" }

func isFilled(cell string) bool { return !isBlank(cell) }

// firstRecord returns the first record in which something stands besides separators, quotation marks and white space.
func (rs *Recipients) firstRecord() (record, error) {
	for {
		rec, err := rs.records.next()
		if err != nil || rec.long || !isBlank(strings.Trim(string(rec.text), separators+"\" \r\n")) {
			return rec, rs.badHeader(rec, err)
		}
		rs.empty++
	}
}

// badHeader says why a record cannot be read as a header, or why there is none.
func (rs *Recipients) badHeader(rec record, err error) error {
	const columns = "the first line must name the columns, one of them email"
	switch {
	case err == io.EOF && rs.records.line == 0:
		return rs.fault(0, 0, finding.Finding{Message: "the file is empty", Hint: columns})
	case err == io.EOF:
		return rs.fault(0, 0, finding.Finding{Message: "there are only blank lines", Hint: columns})
	case err != nil:
		return rs.readFault(err)
	case rec.long:
		return rs.fault(rec.line, 1, finding.Finding{Message: fmt.Sprintf("the header is longer than %d octets", maxRecord), Hint: "is this a CSV file?"})
	case bytes.IndexByte(rec.text, 0) >= 0:
		return rs.fault(rec.line, 1, finding.Finding{Message: "the header has a NUL in it", Hint: "save a spreadsheet as CSV; if this is UTF-16, read it with --encoding utf-16le or utf-16be"})
	}
	if err := rs.checkUTF8(rec); err != nil {
		return err
	}
	if fault := rs.badText("header", rec); fault != nil {
		return rs.fault(rec.line, 1, finding.Finding{Message: fault.Error()})
	}
	return nil
}

// readHeader finds out what separates the cells, and which columns there are.
func (rs *Recipients) readHeader() error {
	declared, rec, err := rs.readSeparator()
	if err != nil {
		return err
	}
	if rs.records.comma = declared; declared == 0 {
		rs.records.comma = separatorOf(rec.text, rs.addressNames()...)
	}
	rs.buf = bufio.NewReader(&rs.row) // encoding/csv uses it as its own buffer, because it is large enough
	rs.csv = csv.NewReader(rs.buf)
	rs.csv.Comma = rune(rs.records.comma)
	rs.csv.ReuseRecord = true // gocsv copies the cells
	rs.feed(rec)
	rs.cells, err = gocsv.NewUnmarshaller(rs.csv, contact{})
	if err != nil {
		return rs.badCells(rec, err)
	}
	for i, cell := range rs.cells.Headers {
		if strings.ContainsRune(cell, '\r') {
			line, column := rec.csvPosition(rs.cellPosition(i))
			return rs.fault(line, column, finding.Finding{Message: "the header has a bare CR in it", Hint: "end the lines with LF or CRLF"})
		}
		rs.columns = append(rs.columns, address.TrimPadding(cell))
	}
	for len(rs.columns) > 1 && rs.columns[len(rs.columns)-1] == "" {
		rs.columns = rs.columns[:len(rs.columns)-1]
	}
	for i := len(rs.columns); i < len(rs.cells.Headers); i++ {
		rs.unnamed = append(rs.unnamed, fmt.Sprintf("\x00%d", i)) // a name that no header has
	}
	if rs.email, err = rs.findAddresses(rec, declared != 0); err != nil {
		return err
	}
	return rs.cells.RenormalizeHeaders(func([]string) []string {
		names := slices.Clone(rs.columns)
		names[rs.email] = "email" // the tag in contact
		return append(names, rs.unnamed...)
	})
}

// findAddresses returns the index of the column of addresses, after it checked the names of the columns.
func (rs *Recipients) findAddresses(rec record, declared bool) (int, error) {
	names := rs.addressNames()
	isAddress := names[0]
	for _, is := range names[1:] {
		if !slices.ContainsFunc(rs.columns, isAddress) {
			isAddress = is
		}
	}
	if at := slices.IndexFunc(rs.columns, holdsAddress); at >= 0 && !slices.ContainsFunc(rs.columns, isAddress) {
		line, column := rec.csvPosition(rs.cellPosition(at))
		return 0, rs.fault(line, column, finding.Finding{
			Message: fmt.Sprintf("there is no header: the first row holds an address, %s, in place of the names of the columns", text.Quoted(rs.columns[at])),
			Hint:    "put a line with the names above it, as in " + headerFor(rs.columns, rs.records.comma),
		})
	}
	_, email, fault := fieldNames(rs.columns, isAddress)
	if fault == nil {
		return email, nil
	}
	line, column := rec.line, 1
	if fault.column >= 0 {
		line, column = rec.csvPosition(rs.cellPosition(fault.column))
	} else if declared {
		fault.hint += fmt.Sprintf("; the line sep= says that %q separates them", rs.records.comma)
	}
	return 0, rs.fault(line, column, finding.Finding{Message: fault.message, Hint: fault.hint})
}

// addressNames returns what knows the column of addresses by its name, the best first.
func (rs *Recipients) addressNames() []func(string) bool {
	if rs.entries {
		return []func(string) bool{isEmailColumn, isEntryColumn}
	}
	return []func(string) bool{isEmailColumn}
}

// unnamedCell is the fault of a row with something in a column without a name.
func (rs *Recipients) unnamedCell(rec record, column int) error {
	line, at := rec.csvPosition(rs.cellPosition(column))
	return rs.fault(line, at, finding.Finding{
		Message: fmt.Sprintf("this cell is in column %d, which has no name in the header", column+1),
		Hint:    "name the column, or empty the cell",
	})
}

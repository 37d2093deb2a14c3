// Package list reads lists of people: the CSV of a campaign's recipients, and lists of suppressions.
//
// ReadRecipients decodes the character set of the file (charset.go), cuts the file into rows in constant memory (record.go),
// finds out what separates the cells (separator.go), finds the columns (header.go, columns.go) and returns one checked row at a
// time. The package list/address checks the addresses, and FindDuplicates compares them (duplicates.go). Ranker says who is sent to first (order.go). ReadSuppressions reads entries of the suppression list in the same way
// (suppression.go). Cells that a spreadsheet would run are marked (formula.go).
//
// The package does not know the campaign file.
package list

import (
	"bufio"
	"bytes"
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/gocarina/gocsv"

	"mailblast/campaign/finding"
	"mailblast/campaign/list/address"
	"mailblast/campaign/text"
)

// Options say how a CSV is read.
type Options struct {
	Name     string // what the findings call the file
	Encoding string // "" is UTF-8; else a name such as utf-16, latin1, windows-1252
}

// Recipients streams the rows of a CSV in constant memory. Only one goroutine may use it.
//
// A row goes through three steps. The recordReader cuts it out of the file, at most 1 MB, and knows its line. Then it is
// checked for UTF-8 and NUL. Then gocsv, which sees one row at a time and never the next, parses it and sorts its cells:
// the address into the struct, the other columns into a map.
//
// The steps around gocsv and encoding/csv make up for what these do not promise. They keep a byte order mark in the first
// header; of two equal headers the last wins; after an unclosed quotation mark they hold the rest of the file; they skip
// blank lines unseen; and of a row with too many or too few cells gocsv returns nothing at all.
type Recipients struct {
	name    string
	charset charset
	records recordReader
	row     rowFeed
	buf     *bufio.Reader // the buffer of csv, over row
	csv     *csv.Reader
	cells   *gocsv.Unmarshaller
	columns []string
	unnamed []string // what gocsv calls the columns after these, which have no name
	email   int      // index of the column of addresses
	empty   int64    // rows of empty cells so far
	entries bool     // this is a list of suppressions: the column of addresses may be called address
	err     error    // a fault of the file: every further Next returns it
}

// A Row is one data row. A blank line is no row, nor are empty cells.
type Row struct {
	Line    int             // where it begins, from 1
	Raw     string          // the cell of the address as written, at most 512 octets; "" when it could not be found
	Address address.Address // zero if Err is set
	Values  []string        // by column; nil if the cells are not known
	Err     error           // why the row cannot be mailed, as a finding.Finding; nil: it can be
}

// A contact is what gocsv fills by name. It returns all other columns as a map.
type contact struct {
	Email string `csv:"email"`
}

// ReadRecipients reads the header. The cells are separated by commas, semicolons, tabs or vertical bars, whichever gives exactly
// one column of addresses, or by what a first line such as sep=; says. There must be exactly one column email (or e-mail, email
// address; in any case), no name twice, and no empty name but at the end, where no cell of these columns may hold anything.
//
// The errors of ReadRecipients and Next are faults of the whole file: a finding.Finding, or the wrapped error of r.
func ReadRecipients(r io.Reader, opts Options) (*Recipients, error) {
	rs := &Recipients{name: opts.Name}
	if rs.name == "" {
		rs.name = "recipients"
	}
	if err := rs.open(r, opts.Encoding); err != nil {
		return nil, err
	}
	if err := rs.readHeader(); err != nil {
		return nil, err
	}
	return rs, nil
}

// open decodes the file to UTF-8.
func (rs *Recipients) open(r io.Reader, encoding string) error {
	src, cs, skipped, err := decodeUTF8(r, encoding)
	if err != nil {
		return rs.readFault(err)
	}
	rs.charset = cs
	rs.records = recordReader{src: src, offset: skipped}
	return nil
}

// Name returns what the findings call the file.
func (rs *Recipients) Name() string { return rs.name }

// Columns returns the cells of the header in their order, without white space around them, the address's included.
func (rs *Recipients) Columns() []string { return slices.Clone(rs.columns) }

// LeftOut returns what was passed over so far, because nothing stands in it.
func (rs *Recipients) LeftOut() LeftOut {
	return LeftOut{Columns: len(rs.unnamed), Rows: rs.empty, CtrlZ: rs.records.ctrlZ}
}

// Next returns the next row, or io.EOF after the last. After a row with Err set there are more rows. Any other error is a
// fault of the file, and final.
func (rs *Recipients) Next() (Row, error) {
	row, rec, err := rs.next()
	if err != nil || row.Err != nil {
		return row, err
	}
	if row.Address, err = address.Parse(row.Raw); err != nil {
		row.Err = rs.badAddress(rec, row.Raw, err)
		row.Raw = shorten(row.Raw)
	}
	return row, nil
}

// next is Next without the check of the address. It also returns the record of the row, which is valid until the next call.
func (rs *Recipients) next() (Row, record, error) {
	for rs.err == nil {
		rec, err := rs.records.next()
		if err == nil {
			err = rs.checkUTF8(rec)
		} else if err != io.EOF {
			err = rs.readFault(err)
		}
		if err != nil {
			rs.err = err
			break
		}
		if row, empty := rs.parse(rec); !empty {
			return row, rec, nil
		}
		rs.empty++
	}
	return Row{}, record{}, rs.err
}

// parse takes a row apart. If the row cannot be used, it guesses the address. It reports rows of empty cells.
func (rs *Recipients) parse(rec record) (row Row, empty bool) {
	row.Line = rec.line
	if rec.long {
		row.Err = rs.fault(rec.line, 1, finding.Finding{Message: fmt.Sprintf("the row is longer than %d octets", maxRecord)})
		return row, false
	}
	if err := rs.badText("row", rec); err != nil {
		row.Raw, row.Err = rs.guessAddress(rec), rs.fault(rec.line, 1, finding.Finding{Message: err.Error()})
		return row, false
	}
	rs.feed(rec)
	filled, others, err := rs.cells.ReadUnmatched()
	if errors.Is(err, csv.ErrFieldCount) {
		return rs.uneven(rec, err)
	}
	if err != nil {
		row.Raw, row.Err = rs.guessAddress(rec), rs.badCells(rec, err)
		return row, false
	}
	row.Raw = filled.(contact).Email
	row.Values = make([]string, len(rs.columns))
	for i, name := range rs.columns {
		row.Values[i] = others[name]
	}
	row.Values[rs.email] = row.Raw
	for i, name := range rs.unnamed {
		if !isBlank(others[name]) {
			return Row{Line: rec.line, Raw: shorten(row.Raw), Err: rs.unnamedCell(rec, len(rs.columns)+i)}, false
		}
	}
	return row, isBlank(row.Raw) && !slices.ContainsFunc(row.Values, isFilled)
}

// uneven takes a row apart that has more or fewer cells than the header. It is a good one if all that it has too many or too few
// are empty cells at its end, in columns without a name.
func (rs *Recipients) uneven(rec record, err error) (row Row, empty bool) {
	cells := cellsOf(rec, rs.csv.Comma)
	if !slices.ContainsFunc(cells, isFilled) {
		return Row{}, true
	}
	row.Line = rec.line
	if len(cells) < len(rs.columns) || slices.ContainsFunc(cells[len(rs.columns):], isFilled) {
		row.Raw, row.Err = rs.guessAddress(rec), rs.badCells(rec, err)
		return row, false
	}
	row.Raw, row.Values = cells[rs.email], cells[:len(rs.columns):len(rs.columns)]
	return row, false
}

// badAddress returns the fault of the address in the row that was parsed last.
func (rs *Recipients) badAddress(rec record, cell string, err error) error {
	line, column := rec.csvPosition(rs.cellPosition(rs.email))
	f := finding.Finding{Message: err.Error()}
	if mended := address.Mend(cell); mended != "" {
		f.Hint = "if the dots belong to it, write the cell as " + quotedCell(mended)
	}
	return rs.fault(line, column, f)
}

// quotedCell writes a cell with the quotation marks of CSV.
func quotedCell(s string) string { return `"` + strings.ReplaceAll(s, `"`, `""`) + `"` }

// guessAddress finds the address in a row that cannot be used, so that a person recognises the row.
func (rs *Recipients) guessAddress(rec record) string {
	if cells := cellsOf(rec, rs.csv.Comma); rs.email < len(cells) {
		return shorten(cells[rs.email])
	}
	return ""
}

// cellPosition returns where a cell of the last row begins: the line within the row and the octet within the line, from 1.
func (rs *Recipients) cellPosition(cell int) (line, column int) {
	first, _ := rs.csv.FieldPos(0)
	line, column = rs.csv.FieldPos(cell)
	return line - first + 1, column
}

// feed makes a row the only thing that gocsv can read. It drops what gocsv may have left of the row before.
func (rs *Recipients) feed(rec record) {
	rs.row.rest = rec.text
	rs.buf.Reset(&rs.row)
}

// checkUTF8 returns the fault of a file that is not UTF-8, if no encoding was named.
func (rs *Recipients) checkUTF8(rec record) error {
	if rs.charset != utf8Strict || utf8.Valid(rec.text) {
		return nil
	}
	i := text.InvalidUTF8(rec.text)
	line, column := rec.position(i)
	return rs.fault(line, column, finding.Finding{
		Message: fmt.Sprintf("the octet 0x%02x at offset %d is not UTF-8", rec.text[i], rec.offset+int64(i)),
		Hint:    "name the encoding of the file, as in --encoding windows-1252; with --encoding utf-8 only such rows are refused",
	})
}

// badText says what is wrong with the characters of a record; what is the word for it, row or header.
func (rs *Recipients) badText(what string, rec record) error {
	switch {
	case bytes.IndexByte(rec.text, 0) >= 0:
		return fmt.Errorf("the %s has a NUL in it", what)
	case rs.charset == utf8Lenient && !utf8.Valid(rec.text):
		return fmt.Errorf("the %s has octets in it that are not UTF-8", what)
	case rs.charset == decoded && bytes.ContainsRune(rec.text, utf8.RuneError):
		return fmt.Errorf("the %s has octets in it that are no characters in this encoding", what)
	}
	return nil
}

// badCells says what is wrong with the cells of a row that gocsv could not read, and where.
func (rs *Recipients) badCells(rec record, err error) finding.Finding {
	const hint = `put the whole cell in quotation marks and write each mark inside it twice: "5"" screen"`
	f := finding.Finding{File: rs.name, Message: err.Error(), Line: rec.line, Column: 1}
	if parse := (*csv.ParseError)(nil); errors.As(err, &parse) {
		f.Line, f.Column = rec.csvPosition(parse.Line-parse.StartLine+1, parse.Column)
	}
	switch {
	case errors.Is(err, csv.ErrFieldCount):
		f.Message = fmt.Sprintf("number of cells: %d, in the header: %d", len(cellsOf(rec, rs.csv.Comma)), len(rs.columns)+len(rs.unnamed))
	case errors.Is(err, csv.ErrBareQuote):
		f.Message, f.Hint = "a quotation mark stands inside a cell that does not begin with one", hint
	case errors.Is(err, csv.ErrQuote):
		f.Message, f.Hint = "text follows the closing quotation mark of a cell", hint
	}
	return f
}

// fault gives a finding its file and position; line 0 stands for the file as a whole.
func (rs *Recipients) fault(line, column int, f finding.Finding) error {
	f.File, f.Line, f.Column = rs.name, line, column
	return f
}

// readFault returns the error that ended the reading before the end of the file.
func (rs *Recipients) readFault(err error) error {
	if err == errUnclosed {
		return rs.fault(rs.records.openLine, rs.records.openColumn, finding.Finding{
			Message: "the quotation mark opened here is not closed",
			Hint:    "close it, or write it twice inside a quoted cell if it is part of the text",
		})
	}
	if f, ok := err.(finding.Finding); ok {
		return rs.fault(0, 0, f)
	}
	return fmt.Errorf("%s: reading behind line %d: %w", text.QuoteControl(rs.name), rs.records.line, err)
}

// A rowFeed returns one row and then io.EOF, until it is filled again.
type rowFeed struct{ rest []byte }

func (f *rowFeed) Read(p []byte) (int, error) {
	if len(f.rest) == 0 {
		return 0, io.EOF
	}
	n := copy(p, f.rest)
	f.rest = f.rest[n:]
	return n, nil
}

// cellsOf returns the cells of a faulty row as far as they can be told apart.
func cellsOf(rec record, comma rune) []string {
	r := csv.NewReader(bytes.NewReader(rec.text))
	r.Comma, r.LazyQuotes, r.FieldsPerRecord = comma, true, -1
	cells, _ := r.Read() // after an error there are fewer cells
	return cells
}

// shorten returns a cell in a form that the report can keep: valid UTF-8, at most 512 octets.
func shorten(s string) string {
	const most = 512
	return strings.ToValidUTF8(s[:min(len(s), most)], "")
}

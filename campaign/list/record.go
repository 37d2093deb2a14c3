package list

import (
	"bufio"
	"bytes"
	"errors"
	"io"
	"strings"
	"unicode/utf8"

	"mailblast/campaign/text"
)

// maxRecord is the greatest length of a row, in octets. It bounds the memory, and the reach of a forgotten quotation mark.
const maxRecord = 1 << 20

// A record is one row of a CSV file as it is written there.
type record struct {
	text   []byte // with its line end; valid until the next record is read; nil if long
	line   int    // where it begins, from 1
	offset int64  // of text[0]
	long   bool   // longer than maxRecord, and skipped
}

// A recordReader cuts a CSV file into rows before anything is parsed. encoding/csv alone would read the rest of the file
// into memory after a quotation mark that is not closed, and would count blank lines in its own way.
//
// It follows the quotation marks exactly as encoding/csv does, so that both agree on where a row ends. They differ on
// purpose in one case: when a quoted cell runs over several lines and its closing mark is followed by other text, nobody can
// know where the row ended and how many rows the cell swallowed. That is a fault of the file, not of one row.
type recordReader struct {
	src    *bufio.Reader
	comma  byte // 0 while the separator is not known, when each of those that are tried ends a cell
	line   int  // lines read so far
	offset int64
	buf    []byte // a row that does not lie in src in one piece
	ctrlZ  bool   // one stood at the end of the file

	state                cellState
	column               int // characters of the current line so far
	openLine, openColumn int // where the last quoted cell began
}

// A cellState says where in a cell the scan is.
type cellState int

const (
	cellStart cellState = iota
	cellPlain
	cellQuoted // between quotation marks
	cellMark   // after a mark in a quoted cell: the end of the cell, or the first half of ""
	cellMarkCR // after such a mark and a CR
	cellStray  // after a mark in a plain cell: encoding/csv gives up on the row until the end of the line
	cellTorn   // after text that follows the closing mark: encoding/csv gives up likewise
)

// errUnclosed means a quoted cell without an end. It begins at openLine and openColumn of the recordReader.
var errUnclosed = errors.New("the quotation mark opened here is not closed")

// next returns the next row that is not blank, or io.EOF, errUnclosed, or the error of the source.
func (r *recordReader) next() (record, error) {
	for {
		rec := record{line: r.line + 1, offset: r.offset}
		piece, err := r.read()
		if err != nil && err != io.EOF && err != bufio.ErrBufferFull {
			return record{}, err
		}
		if err == io.EOF && len(piece) == 0 {
			return record{}, io.EOF
		}
		if err == bufio.ErrBufferFull || bytes.IndexByte(piece, '"') >= 0 {
			return r.collect(rec, piece, err)
		}
		r.line++
		if len(bytes.TrimRight(piece, "\r\n")) > 0 {
			rec.text = piece
			return rec, nil
		}
	}
}

// collect follows a row over its lines to the end of its quoted cells.
func (r *recordReader) collect(rec record, piece []byte, err error) (record, error) {
	r.state, r.column, r.buf = cellStart, 0, r.buf[:0]
	for {
		if len(r.buf)+len(piece) > maxRecord {
			rec.long = true
		}
		if !rec.long {
			r.buf = append(r.buf, piece...)
		}
		r.follow(piece)
		switch err {
		case nil, io.EOF:
			r.line++
			r.column = 0
			if r.state == cellQuoted && err == io.EOF || r.state == cellTorn && r.openLine < r.line {
				return record{}, errUnclosed
			}
			if r.state != cellQuoted {
				if !rec.long {
					rec.text = r.buf
				}
				return rec, nil
			}
		case bufio.ErrBufferFull:
		default:
			return record{}, err
		}
		piece, err = r.read()
	}
}

// follow advances the state over a piece of one line.
func (r *recordReader) follow(piece []byte) {
	for _, c := range piece {
		if utf8.RuneStart(c) {
			r.column++
		}
		switch r.state {
		case cellStart, cellPlain:
			switch {
			case r.endsCell(c):
				r.state = cellStart
			case c != '"':
				r.state = cellPlain
			case r.state == cellPlain:
				r.state = cellStray
			default:
				r.state = cellQuoted
				r.openLine, r.openColumn = r.line+1, r.column
			}
		case cellQuoted:
			if c == '"' {
				r.state = cellMark
			}
		case cellMark, cellMarkCR:
			switch {
			case c == '\n':
			case r.state == cellMarkCR:
				r.state = cellTorn
			case c == '"':
				r.state = cellQuoted
			case c == '\r':
				r.state = cellMarkCR
			case r.endsCell(c):
				r.state = cellStart
			default:
				r.state = cellTorn
			}
		}
	}
}

func (r *recordReader) endsCell(c byte) bool {
	if r.comma != 0 {
		return c == r.comma
	}
	return strings.IndexByte(separators, c) >= 0
}

// read returns the rest of the line, or as much of it as src holds at a time, then with bufio.ErrBufferFull. It drops the
// Ctrl-Z that programs of MS-DOS wrote at the end of a file.
func (r *recordReader) read() ([]byte, error) {
	piece, err := r.src.ReadSlice('\n')
	r.offset += int64(len(piece))
	text := bytes.TrimRight(piece, "\r\n")
	if len(text) == 0 || text[len(text)-1] != ctrlZ || err == bufio.ErrBufferFull {
		return piece, err
	}
	piece = bytes.Clone(piece) // Peek may write over it
	if _, end := r.src.Peek(1); end != io.EOF {
		return piece, err
	}
	r.ctrlZ = true
	return bytes.TrimRight(piece, "\r\n"+string(ctrlZ)), io.EOF
}

const ctrlZ = '\x1a'

// position returns the line and the column, in characters, of an octet of the row.
func (rec record) position(i int) (line, column int) {
	line, column = text.Position(rec.text, i)
	return rec.line + line - 1, column
}

// csvPosition is position for the line within the row and the octet within the line, both from 1, as encoding/csv counts.
func (rec record) csvPosition(line, column int) (int, int) {
	start := 0
	for range line - 1 {
		start += bytes.IndexByte(rec.text[start:], '\n') + 1
	}
	return rec.position(min(start+max(column-1, 0), len(rec.text)))
}

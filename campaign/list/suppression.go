package list

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"time"

	"mailblast/campaign/list/address"
	"mailblast/campaign/text"
)

// ParseEntry reads an entry of the suppression list and returns it in the form in which it is kept and looked up. For an
// address that is Address.Key. @example.com stands for everybody at that domain but not at the domains below it,
// @.example.com for everybody at the domain and below.
func ParseEntry(s string) (string, error) {
	s = address.TrimPadding(s)
	domain, whole := strings.CutPrefix(s, "@")
	if !whole {
		a, err := address.Parse(s)
		switch {
		case err == nil && strings.HasPrefix(s, "*@"): // in quotation marks it would be the mailbox of that name
			return "", fmt.Errorf("invalid address %s: everybody at the domain is %s", text.Quoted(s), s[1:])
		case err != nil && !strings.Contains(s, "@") && strings.Contains(s, "."):
			return "", fmt.Errorf("%w (everybody at a domain is @example.com)", err)
		case err != nil:
			return "", err
		}
		return a.Key(), nil
	}
	prefix := "@"
	if below, ok := strings.CutPrefix(domain, "."); ok {
		domain, prefix = below, "@."
	}
	a, err := address.Parse("x@" + domain)
	if err != nil {
		err = errors.Unwrap(err) // without the address that was made up for it
	}
	if err == nil && prefix == "@." && domain[0] == '[' {
		err = errors.New("there are no domains below an IP address")
	}
	if err != nil {
		return "", fmt.Errorf("invalid domain %s: %w", text.Quoted(s), err)
	}
	return prefix + a.Domain, nil
}

// FormatEntry writes an entry as ParseEntry reads it. It restores the quotation marks that the key of an address has lost.
func FormatEntry(entry string) string {
	if same, err := ParseEntry(entry); err == nil && same == entry {
		return entry
	}
	at := strings.LastIndexByte(entry, '@')
	return text.QuotedString(entry[:at]) + entry[at:]
}

// Suppressions streams the rows of a list of suppressions, as Recipients does.
type Suppressions struct {
	rows                    *Recipients
	reason, source, created int // indexes of the columns; -1: there is none
}

// A SuppressionRow is one data row.
type SuppressionRow struct {
	Line           int       // where it begins, from 1
	Entry          string    // as ParseEntry returns it; "" if Err is set
	Reason, Source string    // as written; "" if the list has none
	Created        time.Time // zero if the list has no date that can be read; the entry is valid all the same
	Err            error     // why the row cannot be used, as a finding.Finding
}

// bareHeader is put before a list without a header.
const bareHeader = "address\n"

// ReadSuppressions reads a CSV as ReadRecipients does, with a column address (or email) and optional columns reason, source
// and created; it ignores other columns. A list of one column needs no header. The marks of MarkFormula are removed.
func ReadSuppressions(r io.Reader, opts Options) (*Suppressions, error) {
	rs := &Recipients{name: opts.Name, entries: true}
	if err := rs.open(r, opts.Encoding); err != nil {
		return nil, err
	}
	if src := &rs.records.src; startsBare(*src) {
		*src = bufio.NewReaderSize(io.MultiReader(strings.NewReader(bareHeader), *src), (*src).Size())
		rs.records.line, rs.records.offset = -1, rs.records.offset-int64(len(bareHeader))
	}
	if err := rs.readHeader(); err != nil {
		return nil, err
	}
	column := func(name string) int {
		return slices.IndexFunc(rs.columns, func(c string) bool { return SnakeCase(c) == name })
	}
	return &Suppressions{rows: rs, reason: column("reason"), source: column("source"), created: column("created")}, nil
}

// startsBare reports whether the first line that is not blank is an entry, so that the list has no header.
func startsBare(src *bufio.Reader) bool {
	for n := 1; ; n = src.Buffered() + 1 {
		_, err := src.Peek(n) // reads no further than needed, for a slow source; an error will come again
		start, _ := src.Peek(src.Buffered())
		line, _, whole := bytes.Cut(bytes.TrimLeft(start, "\r\n"), []byte("\n"))
		if whole || err != nil {
			_, err = ParseEntry(UnmarkFormula(strings.Trim(string(line), "\r\"")))
			return err == nil
		}
	}
}

// isEntryColumn accepts address, which cannot be postal in a list of nothing but addresses.
func isEntryColumn(name string) bool { return SnakeCase(name) == "address" }

// LeftOut returns what was passed over so far, because nothing stands in it.
func (ss *Suppressions) LeftOut() LeftOut { return ss.rows.LeftOut() }

// Next returns the next row, or io.EOF after the last; see Recipients.Next.
func (ss *Suppressions) Next() (SuppressionRow, error) {
	row, rec, err := ss.rows.next()
	if err != nil || row.Err != nil {
		return SuppressionRow{Line: row.Line, Err: row.Err}, err
	}
	cell := func(column int) string {
		if column < 0 {
			return ""
		}
		return UnmarkFormula(row.Values[column])
	}
	s := SuppressionRow{Line: row.Line, Reason: cell(ss.reason), Source: cell(ss.source), Created: parseTime(cell(ss.created))}
	entry := UnmarkFormula(row.Raw)
	if s.Entry, err = ParseEntry(entry); err != nil {
		return SuppressionRow{Line: row.Line, Err: ss.rows.badAddress(rec, entry, err)}, nil
	}
	return s, nil
}

// parseTime reads the forms of time that exports have: RFC 3339 with or without its time, and seconds since 1970. It returns
// the zero time for anything else.
func parseTime(s string) time.Time {
	s = strings.TrimSpace(s)
	for _, form := range []string{time.RFC3339, time.DateTime, time.DateOnly} {
		if t, err := time.Parse(form, s); err == nil {
			return t
		}
	}
	if n, err := strconv.ParseUint(s, 10, 32); err == nil && n > 0 {
		return time.Unix(int64(n), 0).UTC()
	}
	return time.Time{}
}

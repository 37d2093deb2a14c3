package list

import (
	"bytes"
	"encoding/csv"
	"errors"
	"io"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"

	"mailblast/campaign/list/address"
)

// FuzzRecipients compares Recipients with encoding/csv: if that finds nothing wrong, both see the same cells at the same
// lines. In any case every row is either good or has a reason.
func FuzzRecipients(f *testing.F) {
	for _, s := range []string{
		"email,name\na@x.org,Ada\n", "email;n\r\na@x;\"1\r\n2\"\r\n", "email,n\na@x,\"1\"\"\",\n", "email\n\n\"a@x\"\r", "\ufeffe-mail\tn\na@x\t\x00",
		"email,n\na@x,5\" x\nb@x,\"\"y\"\n", "email,\"n\na@x,1", "email,n\na@x,\"1\nb@x,\"2\"\n", "email,Email\n", "email,n\n\xff@x,1\n", "\xff\xfee\x00",
	} {
		f.Add([]byte(s), "")
	}
	for _, s := range []string{
		"sep=;\r\nemail;n\r\na@x;1\r\n", "sep=\\t\nemail\tn\na@x\t1\n", "\"sep=,\",,\nemail,n,\na@x,1,\n", "sep=\nemail\n", "email,n,,\na@x,1,,\nb@x,2\nc@x,3,,4\n",
		"email;Name, Vorname\na@x;\"L\"\n;;\n \t; \n", "email,n\na@x,1\n\x1a", "email,n\na@x,\"1\"\x1a\x1a\r\n", "a@x,1\nb@x,2\n", "email,n\n\u202aa@x\u202c,1\na..b@x,2\n", ",,\nemail,n\n,\n",
	} {
		f.Add([]byte(s), "")
	}
	f.Add([]byte("email,n\na@x,J\xf6rg\n"), "latin1")
	f.Add([]byte("e\x00m\x00a\x00i\x00l\x00\n\x00a\x00@\x00b\x00"), "utf-16")
	f.Fuzz(func(t *testing.T, in []byte, encoding string) {
		columns, rows, err := readAll(bytes.NewReader(in), Options{Name: "f", Encoding: encoding})
		if err != nil && (!utf8.ValidString(err.Error()) || strings.ContainsFunc(err.Error(), func(r rune) bool { return r < ' ' })) {
			t.Errorf("unclean error %q", err)
		}
		last := 1
		for _, row := range rows {
			if row.Line <= last {
				t.Errorf("line %d after line %d", row.Line, last)
			}
			last = row.Line
			if (row.Err == nil) != (row.Address != address.Address{}) || row.Err == nil && len(row.Values) != len(columns) || errors.Is(row.Err, io.EOF) {
				t.Errorf("row %s", show(row))
			}
			if row.Err != nil && (len(row.Raw) > 512 || !utf8.ValidString(row.Raw)) {
				t.Errorf("raw %q", row.Raw)
			}
		}
		if err != nil || encoding != "" {
			return
		}
		in = bytes.TrimPrefix(in, bomUTF8)
		if _, named := separatorLine(firstRow(in)); named || bytes.HasSuffix(bytes.TrimRight(in, "\r\n"), []byte{ctrlZ}) {
			return // encoding/csv knows neither
		}
		theirs := csv.NewReader(bytes.NewReader(in))
		theirs.Comma = rune(separatorOf(firstRow(in), isEmailColumn))
		var want []Row
		for first := true; ; {
			cells, err := theirs.Read()
			if err == io.EOF {
				break
			}
			if err != nil || slices.Equal(cells, []string{"\r"}) || bytes.IndexByte(in, 0) >= 0 {
				return
			}
			line, _ := theirs.FieldPos(0)
			switch {
			case !slices.ContainsFunc(cells, isFilled):
				continue
			case first:
			case slices.ContainsFunc(cells[len(columns):], isFilled): // below no name
				want = append(want, Row{Line: line})
			default:
				want = append(want, Row{Line: line, Values: slices.Clone(cells[:len(columns)])})
			}
			first = false
		}
		if len(rows) != len(want) {
			t.Fatalf("%d rows, encoding/csv finds %d", len(rows), len(want))
		}
		for i := range rows {
			if rows[i].Line != want[i].Line || !slices.Equal(rows[i].Values, want[i].Values) {
				t.Fatalf("row %d is %s, encoding/csv finds %d %q", i, show(rows[i]), want[i].Line, want[i].Values)
			}
		}
	})
}

// firstRow is the first row that is neither a blank line nor empty cells.
func firstRow(in []byte) []byte {
	quoted, start := false, 0
	for i, c := range in {
		if c == '"' {
			quoted = !quoted
		}
		if c != '\n' || quoted {
			continue
		}
		if row := in[start:i]; isFilled(strings.Trim(string(row), separators+"\" \r\n")) {
			return row
		}
		start = i + 1
	}
	return in[start:]
}

package list

import (
	"bytes"
	"fmt"
	"io"
	"slices"
	"strings"
	"testing"
	"time"
	"unicode/utf8"
)

func TestParseEntry(t *testing.T) {
	for in, want := range map[string]string{
		"Ada@Example.COM": "ada@example.com", " ada@example.com\u200b": "ada@example.com", `"a,b"@x.org`: "a,b@x.org", "ada@exämple.com": "ada@xn--exmple-cua.com",
		"@Example.COM": "@example.com", "@exämple.com": "@xn--exmple-cua.com", "@.example.com": "@.example.com", "@localhost": "@localhost", "@[192.0.2.1]": "@[192.0.2.1]",
		"": "", "@": "", "@.": "", "@..example.com": "", "example.com": "", "@a@b": "", "@example.com.": "", "@.[192.0.2.1]": "", "@ex ample.com": "", "@a\x00b": "", "ada@": "",
		"*@example.com": "", `"*"@example.com`: "*@example.com", "@*.example.com": "",
	} {
		got, err := ParseEntry(in)
		if got != want || (err == nil) != (want != "") {
			t.Errorf("%q: got %q, %v; want %q", in, got, err, want)
		}
		if err != nil {
			continue
		}
		if again, err := ParseEntry(FormatEntry(got)); again != got || err != nil {
			t.Errorf("%q is written as %q, and read as %q, %v", got, FormatEntry(got), again, err)
		}
	}
}

// readSuppressions writes each row on one line, up to the error that ended them.
func readSuppressions(in []byte, encoding string) (rows []string, err error) {
	ss, err := ReadSuppressions(bytes.NewReader(in), Options{Name: "f", Encoding: encoding})
	for err == nil {
		var row SuppressionRow
		if row, err = ss.Next(); err != nil {
			break
		}
		text := fmt.Sprintf("%d %s|%s|%s|", row.Line, row.Entry, row.Reason, row.Source)
		if !row.Created.IsZero() {
			text += row.Created.UTC().Format(time.RFC3339)
		}
		if row.Err != nil {
			text = row.Err.Error()
		}
		rows = append(rows, text)
	}
	if err == io.EOF {
		err = nil
	}
	return rows, err
}

func TestSuppressions(t *testing.T) {
	for _, test := range []struct {
		name, in, encoding string
		want               []string // rows, then the error
	}{
		{name: "all columns", in: "address,reason,source,created\nA@x.org,asked,shop,2026-01-31T10:00:00+01:00\n@x.net,,,\n", want: []string{"2 a@x.org|asked|shop|2026-01-31T09:00:00Z", "3 @x.net|||"}},
		{name: "what export writes", in: "address,reason,source,created\n'@x.net,'=1+1,'-,2026-01-31\n''=a@x.org,''+,,\n", want: []string{"2 @x.net|=1+1|-|2026-01-31T00:00:00Z", "3 '=a@x.org|'+||"}},
		{name: "other names and columns", in: "Id;E-Mail;Status;Created\n1;a@x.org;550;1738317600\n2;b@x.org;x;yesterday\n", want: []string{"2 a@x.org|||2025-01-31T10:00:00Z", "3 b@x.org|||"}},
		{name: "email before a postal address", in: "email,address\na@x.org,12 Main Street\n", want: []string{"2 a@x.org|||"}},
		{name: "one column", in: "Address\na@x.org\n", want: []string{"2 a@x.org|||"}},
		{name: "no header", in: "a@x.org\r\n@x.net\r\n", want: []string{"1 a@x.org|||", "2 @x.net|||"}},
		{name: "no header, marks and blank lines", in: "\ufeff\n\n'@x.net\n\"b@x.org\"", want: []string{"3 @x.net|||", "4 b@x.org|||"}},
		{name: "no header, UTF-16", in: "a\x00@\x00x\x00\n\x00", encoding: "utf-16", want: []string{"1 a@x|||"}},
		{name: "bad rows", in: "a@x.org\nnonsense\n@-\nb@x.org,c@x.org\n\x00@x.org\nd@x.org\n", want: []string{"1 a@x.org|||", `f:2:1: invalid address "nonsense": it has no @`,
			`f:3:1: invalid domain "@-": a part of the domain begins or ends with a hyphen`, "f:4:1: number of cells: 2, in the header: 1", "f:5:1: the row has a NUL in it", "6 d@x.org|||"}},
		{name: "not UTF-8", in: "a@x.org\nj\xf6rg@x.org\n", want: []string{"1 a@x.org|||", "f:2:2: the octet 0xf6 at offset 9 is not UTF-8 (name the encoding of the file, as in --encoding windows-1252; with --encoding utf-8 only such rows are refused)"}},
		{name: "no addresses", in: "name\nAda\n", want: []string{`f:1:1: there is no column email; the columns are "name" (rename the column of the addresses to email)`}},
		{name: "empty", in: "", want: []string{"f: the file is empty (the first line must name the columns, one of them email)"}},
	} {
		t.Run(test.name, func(t *testing.T) {
			got, err := readSuppressions([]byte(test.in), test.encoding)
			if err != nil {
				got = append(got, err.Error())
			}
			if !slices.Equal(got, test.want) {
				t.Errorf("got\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(test.want, "\n"))
			}
		})
	}
}

// A list is read to its end or refused, and what was read can be written and read again.
func FuzzSuppressions(f *testing.F) {
	for _, s := range []string{"address,reason,source,created\n'@x.net,'=1,s,2026-01-31\n", "a@x\n@.b.org\n", "email\n\"a,b\"@x\n", "\n\n@x.org", "address;created\na@ä;1\n", "a\x00\n", "\xff\xfe@\x00", "\"@x\"@y\n", "T\u0308@x\n"} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, in []byte) {
		ss, err := ReadSuppressions(bytes.NewReader(in), Options{Name: "f"})
		last := 0
		for err == nil {
			var row SuppressionRow
			if row, err = ss.Next(); err != nil {
				break
			}
			if row.Line <= last || (row.Err == nil) != (row.Entry != "") {
				t.Errorf("%+v after line %d", row, last)
			}
			last = row.Line
			if row.Err != nil {
				continue
			}
			if again, err := ParseEntry(UnmarkFormula(MarkFormula(FormatEntry(row.Entry)))); again != row.Entry || err != nil {
				t.Errorf("%q is read again as %q, %v", row.Entry, again, err)
			}
			if got := UnmarkFormula(MarkFormula(row.Reason)); got != row.Reason {
				t.Errorf("%q is read again as %q", row.Reason, got)
			}
		}
		if !utf8.ValidString(err.Error()) || strings.ContainsFunc(err.Error(), func(r rune) bool { return r < ' ' }) {
			t.Errorf("unclean error %q", err)
		}
	})
}

package list

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"
	"testing/iotest"

	"golang.org/x/text/encoding/unicode"

	"mailblast/campaign/finding"
)

// readAll returns the rows up to the error that ended them; nil is the end of the file.
func readAll(r io.Reader, opts Options) (columns []string, rows []Row, err error) {
	rs, err := ReadRecipients(r, opts)
	if err != nil {
		return nil, nil, err
	}
	for {
		row, err := rs.Next()
		if err == io.EOF {
			return rs.Columns(), rows, nil
		}
		if err != nil {
			return rs.Columns(), rows, err
		}
		rows = append(rows, row)
	}
}

// show writes a row on one line: its number, and its cells or what is wrong with it.
func show(row Row) string {
	if row.Err != nil {
		return fmt.Sprintf("%d %q: %v", row.Line, row.Raw, row.Err)
	}
	return fmt.Sprintf("%d %s %q", row.Line, row.Address, row.Values)
}

func TestRecipients(t *testing.T) {
	tests := []struct {
		name, in string
		encoding string
		columns  []string // nil: email, name
		want     []string // as show writes them
	}{
		{name: "plain", in: "email,name\na@x.org,Ada\nb@x.org,\n", want: []string{`2 a@x.org ["a@x.org" "Ada"]`, `3 b@x.org ["b@x.org" ""]`}},
		{name: "no rows", in: "email,name\n"},
		{name: "no line end", in: "email,name\na@x.org,Ada", want: []string{`2 a@x.org ["a@x.org" "Ada"]`}},
		{name: "CRLF", in: "email,name\r\na@x.org,Ada\r\n", want: []string{`2 a@x.org ["a@x.org" "Ada"]`}},
		{name: "CRLF in quotes", in: "\"email\",\"name\"\r\n\"a@x.org\",\"Ada\"\r\nb@x.org,\"B\"\r", want: []string{`2 a@x.org ["a@x.org" "Ada"]`, `3 b@x.org ["b@x.org" "B"]`}},
		{name: "byte order mark", in: "\ufeffemail,name\na@x.org,Ada\n", want: []string{`2 a@x.org ["a@x.org" "Ada"]`}},
		{name: "email in the middle", in: "name,E-Mail,n\nAda,a@x.org,1\n", columns: []string{"name", "E-Mail", "n"}, want: []string{`2 a@x.org ["Ada" "a@x.org" "1"]`}},
		{name: "spaces around headers", in: " Email Address , name\na@x.org, Ada \n", columns: []string{"Email Address", "name"}, want: []string{`2 a@x.org ["a@x.org" " Ada "]`}},
		{name: "semicolons", in: "email;name\na@x.org;Lovelace, Ada\n", want: []string{`2 a@x.org ["a@x.org" "Lovelace, Ada"]`}},
		{name: "semicolons, comma in quotes", in: "email;\"name, first\"\na@x.org;\"Ada;A\"\n", columns: []string{"email", "name, first"}, want: []string{`2 a@x.org ["a@x.org" "Ada;A"]`}},
		{name: "tabs", in: "email\tname\na@x.org\tAda\n", want: []string{`2 a@x.org ["a@x.org" "Ada"]`}},
		{name: "one column", in: "email\na@x.org\n", columns: []string{"email"}, want: []string{`2 a@x.org ["a@x.org"]`}},
		{name: "blank lines", in: "\n\r\nemail,name\n\na@x.org,Ada\n\r\n\nb@x.org,B\n\n", want: []string{`5 a@x.org ["a@x.org" "Ada"]`, `8 b@x.org ["b@x.org" "B"]`}},
		{name: "line breaks in cells", in: "email,name\na@x.org,\"Ada\nof\r\nLondon\"\nb@x.org,B\n", want: []string{`2 a@x.org ["a@x.org" "Ada\nof\nLondon"]`, `5 b@x.org ["b@x.org" "B"]`}},
		{name: "line break in the header", in: "email,\"first\nname\"\na@x.org,Ada\n", columns: []string{"email", "first\nname"}, want: []string{`3 a@x.org ["a@x.org" "Ada"]`}},
		{name: "quotes in quotes", in: "email,name\na@x.org,\"Ada \"\"A\"\" L\"\n", want: []string{`2 a@x.org ["a@x.org" "Ada \"A\" L"]`}},
		{name: "address with padding", in: "email,name\n\u00a0A@X.org ,Ada\n", want: []string{`2 A@x.org ["\u00a0A@X.org " "Ada"]`}},

		{name: "sep=", in: "sep=;\r\nemail;name\r\na@x.org;Ada\r\n", want: []string{`3 a@x.org ["a@x.org" "Ada"]`}},
		{name: "sep= of a mark that no list is tried with", in: "sep=^\nemail^name\na@x.org^\"A^B\"\n", want: []string{`3 a@x.org ["a@x.org" "A^B"]`}},
		{name: "sep= against the look of the header", in: "sep=;\nemail;\"a;b,c\"\na@x.org;1,2\n", columns: []string{"email", "a;b,c"}, want: []string{`3 a@x.org ["a@x.org" "1,2"]`}},
		{name: "a comma in a name", in: "email;first_name;Name, Vorname\na@x.org;Ada;L, A\n", columns: []string{"email", "first_name", "Name, Vorname"}, want: []string{`2 a@x.org ["a@x.org" "Ada" "L, A"]`}},
		{name: "vertical bars", in: "email|name\na@x.org|Lovelace, Ada\n", want: []string{`2 a@x.org ["a@x.org" "Lovelace, Ada"]`}},
		{name: "columns without a name", in: "email,name,,\na@x.org,Ada,,\nb@x.org,B\nc@x.org,C, ,\nd@x.org,D,,,,\ne@x.org\nf@x.org,F,,1\n", want: []string{
			`2 a@x.org ["a@x.org" "Ada"]`, `3 b@x.org ["b@x.org" "B"]`, `4 c@x.org ["c@x.org" "C"]`, `5 d@x.org ["d@x.org" "D"]`,
			`6 "e@x.org": list.csv:6:1: number of cells: 1, in the header: 4`,
			`7 "f@x.org": list.csv:7:12: this cell is in column 4, which has no name in the header (name the column, or empty the cell)`,
		}},
		{name: "empty cells behind a row", in: "email,name\na@x.org,Ada,\nb,B,,\n", want: []string{`2 a@x.org ["a@x.org" "Ada"]`, `3 "b": list.csv:3:1: invalid address "b": it has no @`}},
		{name: "rows of empty cells", in: ",,\n\nemail,name\n,\na@x.org,Ada\n\" \",\u00a0\n,,,\n", want: []string{`5 a@x.org ["a@x.org" "Ada"]`}},
		{name: "Ctrl-Z", in: "email,name\r\na@x.org,Ada\r\n\x1a", want: []string{`2 a@x.org ["a@x.org" "Ada"]`}},
		{name: "Ctrl-Z behind a cell", in: "email,name\na@x.org,\"Ada\"\x1a\x1a\r\n", want: []string{`2 a@x.org ["a@x.org" "Ada"]`}},
		{name: "Ctrl-Z in the middle", in: "email,name\na@x.org,Ada\x1a\nb@x.org,B\n", want: []string{`2 a@x.org ["a@x.org" "Ada\x1a"]`, `3 b@x.org ["b@x.org" "B"]`}},
		{name: "bidi marks", in: "\u200eemail,name\n\u202aa@x.org\u202c,\u200eAda\n\u2066b@x.org\u2069\u061c,B\n", want: []string{`2 a@x.org ["\u202aa@x.org\u202c" "\u200eAda"]`, `3 b@x.org ["\u2066b@x.org\u2069\u061c" "B"]`}},
		{name: "dots before the @", in: "email,name\na..b@docomo.ne.jp,A\n\"\"\"a..b\"\"@docomo.ne.jp\",A\n", want: []string{
			`2 "a..b@docomo.ne.jp": list.csv:2:1: invalid address "a..b@docomo.ne.jp": a dot stands at the wrong place before the @ (if the dots belong to it, write the cell as """a..b""@docomo.ne.jp")`,
			`3 "a..b"@docomo.ne.jp ["\"a..b\"@docomo.ne.jp" "A"]`,
		}},

		{name: "bad address", in: "name,email\nAda,ada\nB,b@x.org\n", columns: []string{"name", "email"}, want: []string{`2 "ada": list.csv:2:5: invalid address "ada": it has no @`, `3 b@x.org ["B" "b@x.org"]`}},
		{name: "empty address", in: "email,name\n,Ada\n", want: []string{`2 "": list.csv:2:1: invalid address "": it is empty`}},
		{name: "bad address on a later line", in: "name,email\n\"Ä\nö\",ada\n", columns: []string{"name", "email"}, want: []string{`2 "ada": list.csv:3:4: invalid address "ada": it has no @`}},
		{name: "too few cells", in: "name,email\nAda\nB,b@x.org\n", columns: []string{"name", "email"}, want: []string{`2 "": list.csv:2:1: number of cells: 1, in the header: 2`, `3 b@x.org ["B" "b@x.org"]`}},
		{name: "too many cells", in: "email,name\na@x.org,A,B\nb@x.org,B\n", want: []string{`2 "a@x.org": list.csv:2:1: number of cells: 3, in the header: 2`, `3 b@x.org ["b@x.org" "B"]`}},
		{name: "NUL", in: "email,name\na@x.org,A\x00\nb@x.org,B\n", want: []string{`2 "a@x.org": list.csv:2:1: the row has a NUL in it`, `3 b@x.org ["b@x.org" "B"]`}},
		{name: "stray quote", in: "email,name\na@x.org,5\" screen\nb@x.org,B\n", want: []string{`2 "a@x.org": list.csv:2:10: a quotation mark stands inside a cell that does not begin with one (put the whole cell in quotation marks and write each mark inside it twice: "5"" screen")`, `3 b@x.org ["b@x.org" "B"]`}},
		{name: "stray quote before a quoted cell", in: "email,name,n\na@x.org,ä\"A,\"\nb@x.org,B,1\n", columns: []string{"email", "name", "n"}, want: []string{`2 "a@x.org": list.csv:2:10: a quotation mark stands inside a cell that does not begin with one (put the whole cell in quotation marks and write each mark inside it twice: "5"" screen")`, `3 b@x.org ["b@x.org" "B" "1"]`}},
		{name: "stray quote behind the separator of other files", in: "email,name\na@x.org,x;\"y\nb@x.org,B\n", want: []string{`2 "a@x.org": list.csv:2:11: a quotation mark stands inside a cell that does not begin with one (put the whole cell in quotation marks and write each mark inside it twice: "5"" screen")`, `3 b@x.org ["b@x.org" "B"]`}},
		{name: "text behind a quote", in: "email,name\na@x.org,\"Ada\" L\nb@x.org,B\n", want: []string{`2 "a@x.org": list.csv:2:13: text follows the closing quotation mark of a cell (put the whole cell in quotation marks and write each mark inside it twice: "5"" screen")`, `3 b@x.org ["b@x.org" "B"]`}},

		{name: "UTF-8 by name", encoding: "UTF-8", in: "email,name\na@x.org,\xfc\nb@x.org,ü\n", want: []string{`2 "a@x.org": list.csv:2:1: the row has octets in it that are not UTF-8`, `3 b@x.org ["b@x.org" "ü"]`}},
		{name: "UTF-16 with a mark", encoding: "utf-16", in: utf16(t, unicode.BigEndian, "\ufeffemail,name\na@x.org,Jörg 🙂\n"), want: []string{`2 a@x.org ["a@x.org" "Jörg 🙂"]`}},
		{name: "UTF-16 without a mark", encoding: "utf-16", in: utf16(t, unicode.LittleEndian, "email,name\r\na@x.org,Jörg\r\n"), want: []string{`2 a@x.org ["a@x.org" "Jörg"]`}},
		{name: "UTF-16BE", encoding: "utf-16be", in: utf16(t, unicode.BigEndian, "email,name\na@x.org,Jörg\n"), want: []string{`2 a@x.org ["a@x.org" "Jörg"]`}},
		{name: "UTF-16LE with a mark", encoding: "utf-16le", in: utf16(t, unicode.LittleEndian, "\ufeffemail,name\na@x.org,Jörg\n"), want: []string{`2 a@x.org ["a@x.org" "Jörg"]`}},
		{name: "GB 18030 with a mark", encoding: "gb18030", in: "\x84\x31\x95\x33\"email\",name\na@x.org,\xc3\xfb\n", want: []string{`2 a@x.org ["a@x.org" "名"]`}},
		{name: "half a character in UTF-16", encoding: "utf-16le", in: utf16(t, unicode.LittleEndian, "email,name\na@x.org,A") + "\x00\xd8" + utf16(t, unicode.LittleEndian, "\nb@x.org,B\n"), want: []string{`2 "a@x.org": list.csv:2:1: the row has octets in it that are no characters in this encoding`, `3 b@x.org ["b@x.org" "B"]`}},
		{name: "Latin-1", encoding: "Latin1", in: "email,name\na@x.org,J\xf6rg \x80\n", want: []string{`2 a@x.org ["a@x.org" "Jörg €"]`}},
		{name: "windows-1252", encoding: "windows-1252", in: "email,name\na@x.org,J\xf6rg\n", want: []string{`2 a@x.org ["a@x.org" "Jörg"]`}},
		{name: "by its IANA name", encoding: "cp850", in: "email,name\na@x.org,J\x94rg\n", want: []string{`2 a@x.org ["a@x.org" "Jörg"]`}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			for _, src := range []io.Reader{strings.NewReader(tt.in), iotest.OneByteReader(strings.NewReader(tt.in))} {
				columns, rows, err := readAll(src, Options{Name: "list.csv", Encoding: tt.encoding})
				if err != nil {
					t.Fatal(err)
				}
				if tt.columns == nil {
					tt.columns = []string{"email", "name"}
				}
				if !slices.Equal(columns, tt.columns) {
					t.Errorf("columns %q, want %q", columns, tt.columns)
				}
				var got []string
				for _, row := range rows {
					got = append(got, show(row))
				}
				if !slices.Equal(got, tt.want) {
					t.Errorf("got rows\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(tt.want, "\n"))
				}
			}
		})
	}
}

func utf16(t *testing.T, order unicode.Endianness, s string) string {
	t.Helper()
	out, err := unicode.UTF16(order, unicode.IgnoreBOM).NewEncoder().String(s)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func TestRecipientsRefusesTheFile(t *testing.T) {
	tests := []struct {
		name, in, encoding string
		want               string // beginning of the error
	}{
		{name: "empty", in: "", want: `list.csv: the file is empty`},
		{name: "only a mark", in: "\ufeff", want: `list.csv: the file is empty`},
		{name: "blank", in: "\n\r\n\n", want: `list.csv: there are only blank lines`},
		{name: "no email column", in: "name,mail\n", want: `list.csv:1:1: there is no column email; the columns are "name", "mail" (rename`},
		{name: "no email column among many", in: "a,b,c,d,e,f,g,h,i,j,k,l,m,n,o,p,q,r,s,t,u,v\n", want: `list.csv:1:1: there is no column email; the columns are "a", "b", "c", "d", "e", "f", "g", "h", "i", "j", "k", "l", "m", "n", "o", "p", "q", "r", "s", "t" and 2 more (rename`},
		{name: "two email columns", in: "email,name,E-Mail\n", want: `list.csv:1:12: columns "email" and "E-Mail" both hold the address`},
		{name: "hidden second email column", in: "email,e\u200bmail \n", want: `list.csv:1:7: columns "email" and "e\u200bmail" both hold`},
		{name: "the same header twice", in: "email,Größe,Größe\n", want: `list.csv:1:13: duplicate header: columns 2 ("Größe") and 3 ("Größe") would both be the field "Größe"`},
		{name: "the same field twice", in: "email,First Name,first_name\n", want: `list.csv:1:18: duplicate header: columns 2 ("First Name") and 3 ("first_name") would both be the field "first_name"`},
		{name: "case only", in: "email,Name,name\n", want: `list.csv:1:12: duplicate header`},
		{name: "empty header", in: "email,,name\n", want: `list.csv:1:7: column 2 has no name`},
		{name: "white header", in: "email,\u00a0,name\n", want: `list.csv:1:7: column 2 has no name`},
		{name: "only empty cells", in: ",,\n;\n\" \"\n", want: `list.csv: there are only blank lines`},
		{name: "only a Ctrl-Z", in: "\x1a", want: `list.csv: the file is empty`},
		{name: "a separator without a list", in: "sep=;\n", want: `list.csv: there are only blank lines`},
		{name: "a separator without a column of addresses", in: "sep=,\nemail;n\n", want: `list.csv:2:1: there is no column email; the columns are "email;n" (rename the column of the addresses to email; the line sep= says that ',' separates them)`},
		{name: "no separator named", in: "sep=\nemail;n\n", want: `list.csv:1:1: the line "sep=" names no separator (write sep=; for the semicolon, or remove the line)`},
		{name: "no header", in: "Ada;ada@x.org;Rome\nB;b@x.org;Rom\n", want: `list.csv:1:5: there is no header: the first row holds an address, "ada@x.org", in place of the names of the columns (put a line with the names above it, as in column_1;email;column_3)`},
		{name: "no header, one column", in: "ada@x.org\n", want: `list.csv:1:1: there is no header: the first row holds an address, "ada@x.org", in place of the names of the columns (put a line with the names above it, as in email)`},
		{name: "no header, with tabs", in: "Ada <ada@x.org>\tRome\n", want: `list.csv:1:1: there is no header: the first row holds an address, "Ada <ada@x.org>", in place of the names of the columns (put a line with the names above it, as in email column_2, with tabs between the names)`},
		{name: "many columns", in: "email" + strings.Repeat(",x", 1000) + "\n", want: `list.csv:1:2005: there are 1001 columns, and 1000 are the most`},
		{name: "long header", in: "email," + strings.Repeat("x", maxRecord), want: `list.csv:1:1: the header is longer than 1048576 octets`},
		{name: "later header line", in: "\n\nemail,\"a\nb\",\"a\nb\"\n", want: `list.csv:4:4: duplicate header`},
		{name: "bad quotes in the header", in: "email,\"na\"me\n", want: `list.csv:1:10: text follows the closing quotation mark`},
		{name: "unclosed header", in: "email,\"name\na@x.org,A\n", want: `list.csv:1:7: the quotation mark opened here is not closed`},
		{name: "old Mac line ends", in: "email,name\ra@x.org,Ada\r", want: `list.csv:1:7: the header has a bare CR in it (end the lines with LF or CRLF)`},

		{name: "not UTF-8", in: "email,name\na@x.org,J\xf6rg\n", want: `list.csv:2:10: the octet 0xf6 at offset 20 is not UTF-8 (name the encoding`},
		{name: "not UTF-8, behind a mark", in: "\ufeffemail,name\na@x.org,\"ö\n\xf6\"\n", want: `list.csv:3:1: the octet 0xf6 at offset 26 is not UTF-8`},
		{name: "not UTF-8 in the header", in: "email,Gr\xf6\xdfe\n", want: `list.csv:1:9: the octet 0xf6 at offset 8 is not UTF-8`},
		{name: "not UTF-8 in the header, by name", encoding: "utf8", in: "email,Gr\xf6\xdfe\n", want: `list.csv:1:1: the header has octets in it that are not UTF-8`},
		{name: "UTF-16LE", in: "\xff\xfee\x00m\x00", want: `list.csv: this is UTF-16, not UTF-8 (read it with --encoding utf-16`},
		{name: "UTF-16BE", in: "\xfe\xff\x00e\x00m", want: `list.csv: this is UTF-16, not UTF-8`},
		{name: "UTF-16 without a mark", in: "e\x00m\x00a\x00i\x00l\x00\n\x00", want: `list.csv:1:1: the header has a NUL in it (save a spreadsheet as CSV; if this is UTF-16`},
		{name: "wrong encoding named", encoding: "latin1", in: "\ufeffemail\n", want: `list.csv: the file begins with the mark of UTF-8, but the encoding is given as "latin1" (leave --encoding out)`},
		{name: "unknown encoding", encoding: "ebcdic\x1b", in: "email\n", want: `list.csv: unknown encoding "ebcdic\x1b" (use utf-8, utf-16, `},
		{name: "known but unsafe encoding", encoding: "hz-gb-2312", in: "email\n", want: `list.csv: unknown encoding "hz-gb-2312"`},
		{name: "known but unsupported encoding", encoding: "utf-7", in: "email\n", want: `list.csv: unknown encoding "utf-7"`},

		{name: "unclosed to the end", in: "email,name\na@x.org,A\nb@x.org,\"B\nc@x.org,C\n", want: `list.csv:3:9: the quotation mark opened here is not closed (close it`},
		{name: "unclosed behind a cell of two lines", in: "email,n,m\na@x.org,\"1\n2\",\"3\n", want: `list.csv:3:4: the quotation mark opened here is not closed`},
		{name: "unclosed to the next mark", in: "email,name\nä@x.org,\"A\nb@x.org,\"B\"\nc@x.org,C\n", want: `list.csv:2:9: the quotation mark opened here is not closed`},
		{name: "unclosed, over the limit", in: "email,name\na@x.org,\"A\n" + strings.Repeat("b@x.org,B\n", maxRecord/5), want: `list.csv:2:9: the quotation mark opened here is not closed`},
		{name: "unclosed, over the limit, to the next mark", in: "email,name\na@x.org,\"A\n" + strings.Repeat("b@x.org,B\n", maxRecord/5) + "c@x.org,\"C\"\n", want: `list.csv:2:9: the quotation mark opened here is not closed`},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			_, rows, err := readAll(strings.NewReader(tt.in), Options{Name: "list.csv", Encoding: tt.encoding})
			if err == nil {
				t.Fatalf("no error, but %d rows", len(rows))
			}
			if !strings.HasPrefix(err.Error(), tt.want) {
				t.Errorf("error\n%v\nwant\n%s", err, tt.want)
			}
		})
	}
}

func TestRecipientsLeftOut(t *testing.T) {
	for in, want := range map[string]string{
		"email,name\na@x.org,A\n\n":                 "",
		"email,name,\na@x.org,A,\n":                 "1 column without a name",
		",,\nemail,,\n,,\n\na@x.org\n,,,\n\x1a\r\n": "2 columns without a name, 3 rows of empty cells, the Ctrl-Z at the end",
		"email\na@x.org\n\" \"\n":                   "1 row of empty cells",
	} {
		rs, err := ReadRecipients(strings.NewReader(in), Options{})
		for err == nil {
			_, err = rs.Next()
		}
		if err != io.EOF || rs.LeftOut().String() != want {
			t.Errorf("%q: left out %q, error %v, want %q", in, rs.LeftOut(), err, want)
		}
	}
}

// What the findings about a list say is to be written is accepted when it is written.
func TestRecipientsMends(t *testing.T) {
	for _, in := range []string{"a@x.org\n", "Ada;a@x.org;\n", "Ada,L,Ada L <a@x.org>\n", "a@x.org\tA\n", "1|a@x.org|2\n"} {
		_, err := ReadRecipients(strings.NewReader(in), Options{})
		var f finding.Finding
		if !errors.As(err, &f) {
			t.Fatalf("%q: error %v", in, err)
		}
		_, header, _ := strings.Cut(f.Hint, "as in ")
		if names, tabs := strings.CutSuffix(header, ", with tabs between the names"); tabs {
			header = strings.ReplaceAll(names, " ", "\t")
		}
		if columns, _, err := readAll(strings.NewReader(header+"\n"+in), Options{}); err != nil || !slices.Contains(columns, "email") {
			t.Errorf("%q: with the header %q: %v", in, header, err)
		}
	}
	for _, cell := range []string{"a..b@docomo.ne.jp", ".a@x.org", "a.@x.org"} {
		_, rows, err := readAll(strings.NewReader("email\n"+cell+"\n"), Options{})
		var f finding.Finding
		if err != nil || !errors.As(rows[0].Err, &f) {
			t.Fatalf("%s: %v", cell, err)
		}
		_, mended, _ := strings.Cut(f.Hint, "write the cell as ")
		if _, rows, err = readAll(strings.NewReader("email\n"+mended+"\n"), Options{}); err != nil || rows[0].Err != nil {
			t.Errorf("%s: written as %s: %v", cell, mended, show(rows[0]))
		}
	}
}

// testdata/recipients-excel.csv is what German Excel saves as "CSV UTF-8".
func TestRecipientsFromExcel(t *testing.T) {
	f, err := os.Open(filepath.Join("testdata", "recipients-excel.csv"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	columns, rows, err := readAll(f, Options{Name: "recipients-excel.csv"})
	if err != nil {
		t.Fatal(err)
	}
	fields, err := FieldNames(columns)
	if err != nil {
		t.Fatal(err)
	}
	if len(rows) != 2 || rows[0].Err != nil || rows[1].Err != nil {
		t.Fatalf("rows %v", rows)
	}
	if got, want := rows[1].Values[fields["straße_2"]], "Hinterhof, \"links\"\n3. Stock"; got != want {
		t.Errorf("Straße 2 is %q, want %q", got, want)
	}
	if got, want := rows[1].Address.String(), "info@xn--mller-kva.example"; got != want {
		t.Errorf("address %q, want %q", got, want)
	}
	if rows[1].Line != 3 {
		t.Errorf("line %d, want 3", rows[1].Line)
	}
}

// Rows over the limit are refused one by one; what follows them is read, with the right line numbers.
func TestRecipientsLongRows(t *testing.T) {
	long := strings.Repeat("x", maxRecord)
	head := "email,name\n"
	tests := []struct{ name, in string }{
		{"plain", "a@x.org," + long + "\n"},
		{"quoted", "a@x.org,\"" + long + "\"\n"},
		{"quoted over lines", "a@x.org,\"" + strings.Repeat("x,\"\"y\n", maxRecord/6) + "\"\n"},
		{"with too many cells", strings.Repeat("x,", maxRecord) + "\n"},
		{"with a stray mark", "a@x.org,x\"" + long + "\n"},
		{"with text behind a quote", "a@x.org,\"x\"" + long + "\n"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			_, rows, err := readAll(strings.NewReader(head+tt.in+"b@x.org,B\n"), Options{Name: "list.csv"})
			if err != nil {
				t.Fatal(err)
			}
			want := []string{
				`2 "": list.csv:2:1: the row is longer than 1048576 octets`,
				fmt.Sprintf(`%d b@x.org ["b@x.org" "B"]`, 2+strings.Count(tt.in, "\n")),
			}
			if len(rows) != 2 || show(rows[0]) != want[0] || show(rows[1]) != want[1] {
				t.Errorf("got %d rows, the last %s", len(rows), show(rows[len(rows)-1]))
			}
		})
	}
	// The longest that fits is read whole.
	row := "a@x.org," + long[:maxRecord-9] + "\n"
	_, rows, err := readAll(strings.NewReader(head+row), Options{})
	if err != nil || len(rows) != 1 || rows[0].Err != nil || len(rows[0].Values[1]) != maxRecord-9 {
		t.Errorf("a row of exactly %d octets is not read: %v", maxRecord, err)
	}
	_, rows, err = readAll(strings.NewReader(head+"x"+row), Options{})
	if err != nil || len(rows) != 1 || rows[0].Err == nil {
		t.Errorf("a row of %d octets is taken: %v", maxRecord+1, err)
	}
}

func TestRecipientsSourceFails(t *testing.T) {
	broken := errors.New("the disk is gone")
	src := io.MultiReader(strings.NewReader("email\na@x.org\nb@x.o"), iotest.ErrReader(broken))
	rs, err := ReadRecipients(src, Options{Name: "list.csv"})
	if err != nil {
		t.Fatal(err)
	}
	if row, err := rs.Next(); err != nil || row.Address.String() != "a@x.org" {
		t.Fatalf("first row %v, %v", row, err)
	}
	for range 2 { // and it stays so
		if row, err := rs.Next(); !errors.Is(err, broken) || !strings.HasPrefix(err.Error(), "list.csv: ") {
			t.Errorf("row %v, error %v, want %v with the name of the file", row, err, broken)
		}
	}
	if _, err := ReadRecipients(iotest.ErrReader(broken), Options{}); !errors.Is(err, broken) {
		t.Errorf("error %v, want %v", err, broken)
	}
}

// After a fault of the file nothing more is read from it.
func TestRecipientsFaultIsFinal(t *testing.T) {
	rs, err := ReadRecipients(strings.NewReader("email\n\xff@x.org\nb@x.org\n"), Options{})
	if err != nil {
		t.Fatal(err)
	}
	_, first := rs.Next()
	row, second := rs.Next()
	if first == nil || second != first {
		t.Errorf("got %v, then %v and row %s, want the same error again", first, second, show(row))
	}
}

// What is kept of a bad address is short and valid UTF-8.
func TestRecipientsRaw(t *testing.T) {
	for _, encoding := range []string{"utf-8", ""} {
		cell := strings.Repeat("ä", 1000)
		if encoding != "" {
			cell = "\xff" + cell
		}
		_, rows, err := readAll(strings.NewReader("email\n"+cell+"\n"), Options{Encoding: encoding})
		if err != nil || len(rows) != 1 || rows[0].Err == nil {
			t.Fatalf("rows %v, error %v", rows, err)
		}
		if raw := rows[0].Raw; len(raw) < 500 || len(raw) > 512 || strings.Trim(raw, "ä") != "" {
			t.Errorf("raw %q", raw)
		}
	}
}

// Rows that were returned are not touched by later ones.
func TestRecipientsRowsLast(t *testing.T) {
	var in strings.Builder
	in.WriteString("email,n,\"q\"\n")
	for i := range 3000 {
		fmt.Fprintf(&in, "u%d@x.org,%d,\"%d\"\n", i, i, i)
	}
	_, rows, err := readAll(strings.NewReader(in.String()), Options{})
	if err != nil {
		t.Fatal(err)
	}
	for i, row := range rows {
		n := fmt.Sprint(i)
		if row.Err != nil || row.Address.Local != "u"+n || !slices.Equal(row.Values, []string{"u" + n + "@x.org", n, n}) || row.Line != i+2 {
			t.Fatalf("row %d: %s", i, show(row))
		}
	}
}

// Memory does not grow with the number of rows, nor with an unclosed quotation mark.
func TestRecipientsMemory(t *testing.T) {
	const most = 8 << 20
	for _, tt := range []struct {
		name, head string
		octets     int
	}{
		{"rows", "email,n\n", 16 << 20},
		{"an unclosed mark", "email,n\na@x.org,\"\n", 64 << 20},
	} {
		rs, err := ReadRecipients(io.MultiReader(strings.NewReader(tt.head), &repeat{line: []byte("b@x.org,B\n"), n: tt.octets}), Options{})
		if err != nil {
			t.Fatal(err)
		}
		var before, after runtime.MemStats
		runtime.GC()
		runtime.ReadMemStats(&before)
		for err == nil {
			_, err = rs.Next()
		}
		runtime.GC()
		runtime.ReadMemStats(&after)
		runtime.KeepAlive(rs)
		if grown := int64(after.HeapAlloc) - int64(before.HeapAlloc); grown > most {
			t.Errorf("%s: %d octets are held after %d", tt.name, grown, tt.octets)
		}
		if sys := int64(after.HeapSys) - int64(before.HeapSys); sys > most {
			t.Errorf("%s: the heap grew by %d octets", tt.name, sys)
		}
	}
}

// A repeat is a line over and over, n octets in all.
type repeat struct {
	line []byte
	n    int
}

func (r *repeat) Read(p []byte) (int, error) {
	n := 0
	for n+len(r.line) <= len(p) && r.n > 0 {
		n += copy(p[n:], r.line)
		r.n -= len(r.line)
	}
	if n == 0 && r.n <= 0 {
		return 0, io.EOF
	}
	return n, nil
}

func BenchmarkRecipients(b *testing.B) {
	plain := "ada.lovelace%d@example.com,Ada,Lovelace,London,2026-01-31,gold\n"
	for name, line := range map[string]string{"plain": plain, "quoted": `"` + strings.NewReplacer(",", `","`, "\n", "\"\n").Replace(plain)} {
		b.Run(name, func(b *testing.B) {
			var in bytes.Buffer
			in.WriteString("email,First Name,Last Name,City,since,level\n")
			const rows = 10000
			for i := range rows {
				fmt.Fprintf(&in, line, i)
			}
			b.SetBytes(int64(in.Len()))
			b.ReportAllocs()
			for b.Loop() {
				rs, err := ReadRecipients(bytes.NewReader(in.Bytes()), Options{})
				n := 0
				for ; err == nil; n++ {
					_, err = rs.Next()
				}
				if err != io.EOF || n != rows+1 {
					b.Fatal(n, err)
				}
			}
			b.ReportMetric(float64(b.N)*rows/b.Elapsed().Seconds(), "rows/s")
		})
	}
}

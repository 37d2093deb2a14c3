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

func TestDelimiter(t *testing.T) {
	for in, want := range map[string]byte{
		"email": ',', "email,n": ',', "email;n": ';', "email\tn": '\t', "email\tn;m": ';', "email;n\tm": ';', "email;n,m": ',', `email;"n,m"`: ';', `"a;b"`: ',',
	} {
		if got := delimiter([]byte(in)); got != want {
			t.Errorf("%q: got %q, want %q", in, got, want)
		}
	}
}

// FuzzRecipients compares Recipients with encoding/csv: if that finds nothing wrong, both see the same cells at the same
// lines. In any case every row is either good or has a reason.
func FuzzRecipients(f *testing.F) {
	for _, s := range []string{
		"email,name\na@x.org,Ada\n", "email;n\r\na@x;\"1\r\n2\"\r\n", "email,n\na@x,\"1\"\"\",\n", "email\n\n\"a@x\"\r", "\ufeffe-mail\tn\na@x\t\x00",
		"email,n\na@x,5\" x\nb@x,\"\"y\"\n", "email,\"n\na@x,1", "email,n\na@x,\"1\nb@x,\"2\"\n", "email,Email\n", "email,n\n\xff@x,1\n", "\xff\xfee\x00",
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
		theirs := csv.NewReader(bytes.NewReader(in))
		theirs.Comma = rune(delimiter(firstRow(in)))
		var want []Row
		for first := true; ; first = false {
			cells, err := theirs.Read()
			if err == io.EOF {
				break
			}
			if err != nil || slices.Equal(cells, []string{"\r"}) || bytes.IndexByte(in, 0) >= 0 {
				return
			}
			if line, _ := theirs.FieldPos(0); !first {
				want = append(want, Row{Line: line, Values: slices.Clone(cells)})
			}
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

// firstRow is the first row that is not a blank line.
func firstRow(in []byte) []byte {
	for len(in) > 0 && (in[0] == '\n' || in[0] == '\r') {
		in = in[1:]
	}
	quoted := false
	for i, c := range in {
		if c == '"' {
			quoted = !quoted
		}
		if c == '\n' && !quoted {
			return in[:i]
		}
	}
	return in
}

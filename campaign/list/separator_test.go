package list

import "testing"

func TestSeparatorOf(t *testing.T) {
	for in, want := range map[string]byte{
		"email": ',', "email,n": ',', "email;n": ';', "email\tn": '\t', "email|n": '|', `email;"n,m"`: ';', `"a;b"`: ',', "": ',',

		// Other separators stand in the names.
		"email\tn;m": '\t', "email;n\tm": ';', "email;n,m": ';', "email\tn (0,5)": '\t', "email;first_name;Name, Vorname": ';',
		"a, b, c, d;E-Mail": ';', "Name; Vorname,email,x": ',', "a|b;email": ';', "a|b|c|email": '|',

		// At the end nothing is named.
		"email;;;": ';', "email,,,": ',', "email\t": '\t',

		// No column of addresses, or several: the separator that gives the most cells.
		"name;first name;size, cm": ';', "name,mail": ',', "email;E-Mail;n, m": ';', "a,b;c": ',',

		// No header.
		"ada@example.com;Lovelace, Ada": ';', "Ada,ada@example.com": ',', "ada@example.com|A": '|',
	} {
		if got := separatorOf([]byte(in), isEmailColumn); got != want {
			t.Errorf("%q: got %q, want %q", in, got, want)
		}
	}
	if got := separatorOf([]byte("address;reason, source"), isEmailColumn, isEntryColumn); got != ';' {
		t.Errorf("a list of suppressions: got %q", got)
	}
}

func TestSeparatorLine(t *testing.T) {
	for in, want := range map[string]byte{
		"sep=;\r\n": ';', "sep=,": ',', "SEP=\t\n": '\t', `sep=\t`: '\t', "sep=|\n": '|', `"sep=;"`: ';', `"sep=;";;`: ';', "sep=;,,": ';', "sep=,,,,": ',', "sep=^": '^',
		"sep=": 0, "sep=\r\n": 0, "sep=x": 0, `sep="`: 0, "sep=;x": 0, "sep= ": 0, "sep=；": 0, "sep=@": 0,
	} {
		if got, found := separatorLine([]byte(in)); got != want || !found {
			t.Errorf("%q: got %q %v, want %q", in, got, found, want)
		}
	}
	for _, in := range []string{"", "email", "se=;", "email,sep=;", "separator", " sep=;"} {
		if _, found := separatorLine([]byte(in)); found {
			t.Errorf("%q is taken for the line of Excel", in)
		}
	}
}

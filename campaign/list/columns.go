package list

import (
	"fmt"
	"strings"
	"unicode"

	"golang.org/x/text/unicode/norm"

	"mailblast/campaign/finding"
	"mailblast/campaign/text"
)

const maxColumns = 1000

// SnakeCase returns the second name of a column, the one that is easy to write in a template: words in lower case, joined by
// underscores. "First Name" and "FirstName" give first_name, "E-Mail" gives e_mail, "Straße 2" gives straße_2. A name
// without a letter or digit gives "".
func SnakeCase(header string) string {
	var b strings.Builder
	var last rune // of the current word; 0 between words
	for _, r := range norm.NFC.String(header) {
		if !unicode.IsLetter(r) && !unicode.IsNumber(r) && !unicode.IsMark(r) {
			last = 0
			continue
		}
		if b.Len() > 0 && (last == 0 || unicode.IsLower(last) && unicode.IsUpper(r)) {
			b.WriteByte('_')
		}
		b.WriteRune(unicode.ToLower(r))
		last = r
	}
	return b.String()
}

// FieldNames maps every name of a merge field to the index of its column: each column's own name, its snake_case name, and
// email for the column of the addresses. The columns are those of Recipients.Columns. It is an error if there is not exactly
// one column of addresses, or if two columns have a name in common.
func FieldNames(columns []string) (map[string]int, error) {
	fields, _, fault := fieldNames(columns, isEmailColumn)
	if fault != nil {
		return nil, fault
	}
	return fields, nil
}

// A columnFault says what is wrong with the header, and at which column.
type columnFault struct {
	column        int // index; -1: none in particular
	message, hint string
}

func (f *columnFault) Error() string {
	return finding.Finding{File: "columns", Message: f.message, Hint: f.hint}.Error()
}

// fieldNames is FieldNames that also returns the index of the column of addresses, which isAddress knows by its name.
func fieldNames(columns []string, isAddress func(string) bool) (fields map[string]int, email int, fault *columnFault) {
	if len(columns) > maxColumns {
		return nil, 0, &columnFault{maxColumns, fmt.Sprintf("there are %d columns, and %d are the most", len(columns), maxColumns), ""}
	}
	fields = make(map[string]int, 2*len(columns))
	email = -1
	for i, name := range columns {
		if name == "" {
			return nil, 0, &columnFault{i, fmt.Sprintf("column %d has no name", i+1), "name it or remove it"}
		}
		if isAddress(name) {
			if email >= 0 {
				return nil, 0, &columnFault{i, fmt.Sprintf("columns %s and %s both hold the address", text.Quoted(columns[email]), text.Quoted(name)), "rename one of them"}
			}
			email = i
		}
		for _, field := range []string{name, SnakeCase(name)} {
			if field == "" {
				continue
			}
			if other, taken := fields[field]; taken && other != i {
				return nil, 0, &columnFault{i, fmt.Sprintf("duplicate header: columns %d (%s) and %d (%s) would both be the field %s",
					other+1, text.Quoted(columns[other]), i+1, text.Quoted(name), text.Quoted(field)), "rename one of them"}
			}
			fields[field] = i
		}
	}
	if email < 0 {
		return nil, 0, &columnFault{-1, "there is no column email; the columns are " + NameColumns(columns, text.Quoted), "rename the column of the addresses to email"}
	}
	fields["email"] = email
	return fields, email, nil
}

// isEmailColumn accepts email, e-mail, email address and e-mail-adresse, in any case and with any separators. It does not
// accept mail, which may be a postal address.
func isEmailColumn(name string) bool {
	switch strings.ReplaceAll(SnakeCase(name), "_", "") {
	case "email", "emailaddress", "emailadresse":
		return true
	}
	return false
}

// NameColumns names the first twenty columns for an error text, each as name writes it.
func NameColumns(columns []string, name func(string) string) string {
	const most = 20
	var b strings.Builder
	for i, column := range columns {
		if i == most {
			fmt.Fprintf(&b, " and %d more", len(columns)-most)
			break
		}
		if i > 0 {
			b.WriteString(", ")
		}
		b.WriteString(name(column))
	}
	return b.String()
}

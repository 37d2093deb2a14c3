package plan

import (
	"errors"
	"io"
	"strings"
	"testing"

	"mailblast/campaign"
	"mailblast/campaign/list"
	"mailblast/campaign/message"
	"mailblast/store"
)

// readAll reads a list with a message that greets by name, until the list ends or has to be refused.
func readAll(t *testing.T, csv, text string, skip bool) (all []store.Recipient, err error) {
	t.Helper()
	file, err := campaign.Parse("campaign.yaml", []byte("name: n\nfrom: a@example.com\nsubject: s\nrecipients: l.csv\ntext: b.txt\nsmtp: {host: smtp.example.com}\n"),
		func(string) (string, bool) { return "", false })
	if err != nil {
		t.Fatal(err)
	}
	rows, err := list.ReadRecipients(strings.NewReader(csv), list.Options{Name: "l.csv"})
	if err != nil {
		t.Fatal(err)
	}
	m, err := message.Compile(message.Source{File: file, Columns: rows.Columns(), Read: func(string) ([]byte, error) { return []byte(text), nil }})
	if err != nil {
		t.Fatal(err)
	}
	r := reader{rows: rows, skip: skip, composer: m.Composer()}
	for {
		one, err := r.next()
		if err == io.EOF {
			return all, nil
		}
		if err != nil {
			return all, err
		}
		all = append(all, one)
	}
}

// Rows that cannot be mailed refuse the list, with how many there are, or stand in the queue with the reason.
func TestReader(t *testing.T) {
	const csv = "email,name\nada@example.com,Ada\nnobody,Bob\n,Zoe\nEve@Example.com,Eve\n"
	_, err := readAll(t, csv, "Hello {{ .name }}", false)
	var bad *BadRows
	if !errors.As(err, &bad) || bad.N != 2 || !strings.Contains(err.Error(), "l.csv:3:") || !strings.Contains(err.Error(), "l.csv:4:") {
		t.Errorf("refused: %v", err)
	}
	all, err := readAll(t, csv, "Hello {{ .name }}", true)
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, r := range all {
		got = append(got, r.Identity)
		if (r.Invalid != "") != strings.HasPrefix(r.Identity, "invalid ") {
			t.Errorf("%q: invalid: %q", r.Identity, r.Invalid)
		}
	}
	if want := "ada@example.com|invalid nobody|invalid line 4|eve@example.com"; strings.Join(got, "|") != want {
		t.Errorf("got %q, want %q", strings.Join(got, "|"), want)
	}
}

// The messages of the first rows are composed; a fault is the user's, and names the line.
func TestReaderComposes(t *testing.T) {
	csv := "email,day\n" + strings.Repeat("ada@example.com,2026-01-02\n", sampleRows-1)
	const text = `{{ date "2006" .day }}`
	_, err := readAll(t, csv+"eve@example.com,never\n", text, false)
	if !IsInput(err) || !strings.Contains(err.Error(), "the message for line 101, eve@example.com") {
		t.Errorf("a fault in the last row that is looked at: %v", err)
	}
	all, err := readAll(t, csv+"bob@example.com,2026-01-02\neve@example.com,never\n", text, false)
	if err != nil || len(all) != sampleRows+1 {
		t.Errorf("a fault in the row behind it: %d rows, %v", len(all), err)
	}
}

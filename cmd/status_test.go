package cmd

import (
	"strings"
	"testing"

	"github.com/jedib0t/go-pretty/v6/text"
)

// What is shown on a terminal of 80 columns fits it, without a line that breaks in the middle of a word; elsewhere all columns are there.
func TestStatusFits(t *testing.T) {
	s := statusJSON{reportHead: reportHead{Campaign: "weekly-2026-11-28"}}
	s.Counts.Sent, s.Counts.Failed = 1_000_000, 12
	whole := statusTable([]statusJSON{s}, 0)
	for _, column := range []string{"DEFERRED", "FAILED", "IN DOUBT", "SUPPRESSED", "INVALID"} {
		if !strings.Contains(whole, column) {
			t.Errorf("%s is missing:\n%s", column, whole)
		}
	}
	narrow := statusTable([]statusJSON{s}, 80)
	if text.LongestLineLen(narrow) > 80 || !strings.Contains(narrow, "FAILED") || strings.Contains(narrow, "IN DOUBT") || !strings.Contains(narrow, "1,000,000") || !strings.Contains(narrow, "NEXT DUE") {
		t.Errorf("on 80 columns:\n%s", narrow)
	}
	line := "relay (smtp.example.com:587 club): takes about 14 messages a second; 0 left of 50000/d; waits: the quota of 50000/d is used up"
	wrapped := wrap(line, 80)
	if text.LongestLineLen(wrapped) > 80 || strings.ReplaceAll(wrapped, "\n ", "") != line {
		t.Errorf("wrapped:\n%s", wrapped)
	}
	if got := wrap(line, 0); got != line {
		t.Errorf("where there is no terminal: %q", got)
	}
}

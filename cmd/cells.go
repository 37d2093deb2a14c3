package cmd

import (
	"fmt"

	"mailblast/campaign/list"
)

// harmless puts an apostrophe before a cell that a spreadsheet would run as a formula.
func harmless(s string) string {
	if list.IsFormula(s) {
		return "'" + s
	}
	return s
}

// parseEntry reads an entry of the suppression list, an address or a domain, as the list keeps it.
func parseEntry(s string) (string, error) { return list.ParseEntry(s) }

// shownEntry returns an entry as a person writes it.
func shownEntry(entry string) string { return list.FormatEntry(entry) }

// parseEntries reads arguments that are entries.
func parseEntries(args []string) ([]string, error) {
	entries := make([]string, len(args))
	for i, arg := range args {
		var err error
		if entries[i], err = parseEntry(arg); err != nil {
			return nil, usage(fmt.Errorf("%w; nothing was changed", err))
		}
	}
	return entries, nil
}

// markFormulas marks the cells of a suppression list that a spreadsheet would run as formulas, so that import can take
// the marks away.
func markFormulas(cells ...*string) {
	for _, c := range cells {
		*c = list.MarkFormula(*c)
	}
}

package cmd

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/gocarina/gocsv"
	"github.com/jedib0t/go-pretty/v6/table"
	"github.com/jedib0t/go-pretty/v6/text"
	"github.com/spf13/cobra"

	"mailblast/store"
)

// A suppressionRow is an entry of the suppression list as every format shows it. The names are those that import reads.
type suppressionRow struct {
	Address string `json:"address" csv:"address"`
	Reason  string `json:"reason" csv:"reason"`
	Source  string `json:"source" csv:"source"`
	Created string `json:"created" csv:"created"`
}

type suppressListFlags struct {
	reason, source, domain, format string
	raw                            bool
}

func (a *app) suppressList() *cobra.Command {
	var f suppressListFlags
	cmd := &cobra.Command{
		Use:   "list",
		Short: "Show the list, or a part of it",
		Long: `Show the entries of the list in the order of their addresses. Several filters hold together.

In CSV, cells that a spreadsheet would take for a formula begin with an apostrophe, unless --raw.`,
		Example: `  mailblast suppress list --domain example.com
  mailblast suppress list --source spring-sale --format json | jq -r '.[].reason'`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return a.listSuppressions(cmd, f) },
	}
	flags := cmd.Flags()
	flags.StringVar(&f.reason, "reason", "", "only entries with this `text` in their reason, in any case")
	flags.StringVar(&f.source, "source", "", "only entries from this `source`, which is the campaign's name for those that servers called dead")
	flags.StringVar(&f.domain, "domain", "", "only addresses at this `domain`, and its own entries")
	flags.StringVar(&f.format, "format", "table", "`format`: table, json or csv")
	flags.BoolVar(&f.raw, "raw", false, "CSV cells exactly as they are")
	return cmd
}

func (a *app) suppressExport() *cobra.Command {
	f := suppressListFlags{format: "csv"}
	cmd := &cobra.Command{
		Use:   "export",
		Short: "Write the whole list as CSV",
		Long: `Write the whole list to standard output as CSV: address, reason, source, created. "mailblast suppress import" reads it back.

Cells that a spreadsheet would take for a formula, among them every @domain, begin with an apostrophe, unless --raw.`,
		Example: `  mailblast suppress export > suppressed.csv
  mailblast suppress export --raw | grep '^@'       # the domains`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return a.listSuppressions(cmd, f) },
	}
	cmd.Flags().BoolVar(&f.raw, "raw", false, "cells exactly as they are")
	return cmd
}

func (a *app) listSuppressions(cmd *cobra.Command, f suppressListFlags) error {
	write, ok := map[string]func(io.Writer, func(func([]suppressionRow) error) error) error{
		"table": suppressionTable, "json": suppressionJSON, "csv": suppressionCSV,
	}[f.format]
	if !ok {
		return usage(fmt.Errorf("--format %q: it is table, json or csv", f.format))
	}
	if f.domain != "" {
		entry, err := parseEntry("@" + strings.TrimPrefix(f.domain, "@"))
		if err != nil {
			return usage(fmt.Errorf("--domain: %w", err))
		}
		f.domain = strings.TrimPrefix(entry, "@")
	}
	ctx := cmd.Context()
	s, err := a.openSuppressionList(ctx)
	if err != nil {
		return err
	}
	defer s.Close()
	out := bufio.NewWriter(cmd.OutOrStdout())
	found := false
	rows := func(yield func([]suppressionRow) error) error {
		return f.batches(ctx, s, func(batch []suppressionRow) error {
			found = true
			return yield(batch)
		})
	}
	err = errors.Join(write(out, rows), out.Flush())
	if err == nil && !found {
		a.say(cmd, "no such entry on the suppression list")
	}
	return err
}

// batches reads the entries that are wanted, and yields reportBatch at a time.
func (f suppressListFlags) batches(ctx context.Context, s store.Queue, yield func([]suppressionRow) error) error {
	batch := make([]suppressionRow, 0, reportBatch)
	err := s.Suppressions(ctx, func(e store.Suppression) error {
		if !f.wants(e) {
			return nil
		}
		row := suppressionRow{shownEntry(e.Address), e.Reason, e.Source, e.Created.Format(time.RFC3339)}
		if f.format == "csv" && !f.raw {
			markFormulas(&row.Address, &row.Reason, &row.Source)
		}
		if batch = append(batch, row); len(batch) < reportBatch {
			return nil
		}
		err := yield(batch)
		batch = batch[:0]
		return err
	})
	if err != nil || len(batch) == 0 {
		return err
	}
	return yield(batch)
}

func (f suppressListFlags) wants(e store.Suppression) bool {
	return strings.Contains(strings.ToLower(e.Reason), strings.ToLower(f.reason)) &&
		(f.source == "" || f.source == e.Source) &&
		(f.domain == "" || strings.HasSuffix(e.Address, "@"+f.domain) || e.Address == "@."+f.domain)
}

func suppressionTable(w io.Writer, rows func(func([]suppressionRow) error) error) error {
	t := newTable()
	t.AppendHeader(table.Row{"ADDRESS", "SINCE", "SOURCE", "REASON"})
	t.SetColumnConfigs([]table.ColumnConfig{
		{Number: 1, WidthMin: 36}, {Number: 2, WidthMin: 10}, {Number: 3, WidthMin: 16}, {Number: 4, WidthMax: 60, WidthMaxEnforcer: text.WrapSoft},
	})
	return rows(func(batch []suppressionRow) error {
		for _, r := range batch {
			t.AppendRow(table.Row{r.Address, r.Created[:len(time.DateOnly)], r.Source, r.Reason})
		}
		_, err := fmt.Fprintln(w, t.Render())
		t.ResetRows()
		t.ResetHeaders()
		return err
	})
}

func suppressionJSON(w io.Writer, rows func(func([]suppressionRow) error) error) error {
	separator := "["
	err := rows(func(batch []suppressionRow) error {
		for _, r := range batch {
			line, err := json.Marshal(r)
			if err != nil {
				return err
			}
			if _, err := fmt.Fprint(w, separator, "\n", string(line)); err != nil {
				return err
			}
			separator = ","
		}
		return nil
	})
	if err != nil {
		return err
	}
	if separator == "[" {
		_, err = fmt.Fprintln(w, "[]")
		return err
	}
	_, err = fmt.Fprint(w, "\n]\n")
	return err
}

func suppressionCSV(w io.Writer, rows func(func([]suppressionRow) error) error) error {
	out := gocsv.DefaultCSVWriter(w)
	if err := gocsv.MarshalCSV([]suppressionRow{}, out); err != nil {
		return err
	}
	return rows(func(batch []suppressionRow) error { return gocsv.MarshalCSVWithoutHeaders(batch, out) })
}

package cmd

import (
	"bufio"
	"cmp"
	"context"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/dustin/go-humanize"
	"github.com/spf13/cobra"

	"mailblast/campaign/finding"
	"mailblast/campaign/list"
	"mailblast/campaign/text"
	"mailblast/cmd/plan"
)

// openRecipients opens the list that the flag names, relative to the working folder, or else the campaign file's, and
// reads its header; see openList.
func openRecipients(ctx context.Context, cmd *cobra.Command, p *plan.Plan, flags sendFlags) (*list.Recipients, io.Closer, error) {
	path := flags.recipients
	if path == "" && p.File.Recipients != "-" {
		path = p.Resolve(p.File.Recipients)
	}
	options := list.Options{Name: path, Encoding: flags.encoding}
	if path == "" || path == "-" {
		path, options.Name = "-", standardInput
	}
	wrong := func(err error) error {
		if flags.recipients == "" {
			return p.File.At("recipients", err.Error())
		}
		return usage(fmt.Errorf("--recipients: %w", err))
	}
	header := func(r io.Reader) error {
		_, err := list.ReadRecipients(r, options)
		return err
	}
	file, err := openList(ctx, cmd, path, options.Name, wrong, header)
	if err != nil {
		return nil, nil, err
	}
	rows, err := list.ReadRecipients(file, options)
	if err != nil {
		file.Close()
	}
	return rows, file, err
}

// listDuplicates prints the rows of a list whose address an earlier row has. Only the list, and the campaign file that names it,
// are looked at.
func (a *app) listDuplicates(cmd *cobra.Command, path string, f sendFlags) (err error) {
	ctx := cmd.Context()
	defer func() { err = early(ctx, err) }()
	p, err := plan.Open(path)
	if err != nil {
		return err
	}
	rows, file, err := openRecipients(ctx, cmd, p, f)
	if err != nil {
		return err
	}
	defer file.Close()
	out := bufio.NewWriter(cmd.OutOrStdout())
	n := int64(0)
	bad, err := list.FindDuplicates(ctx, rows, func(d list.Duplicate) error {
		n++
		_, err := fmt.Fprintf(out, "%s:%d: %s stands in line %d already\n", text.QuoteControl(rows.Name()), d.Line, text.Visible(d.Address), d.First)
		return err
	})
	if err := cmp.Or(err, out.Flush()); err != nil {
		return err
	}
	switch n {
	case 0:
		a.say(cmd, "no address stands in the list twice")
	case 1:
		a.say(cmd, "1 row is left out by send, as the first with its address is sent to")
	default:
		a.say(cmd, "%s rows are left out by send, as the first with their address is sent to", humanize.Comma(n))
	}
	if bad > 0 {
		a.say(cmd, "rows that cannot be mailed, and were not compared: %s", humanize.Comma(int64(bad)))
	}
	return nil
}

// openSuppressions opens a list of suppressions, and reads its header; name is what it is called. See openList.
func openSuppressions(ctx context.Context, cmd *cobra.Command, path, encoding string) (rows *list.Suppressions, file io.Closer, name string, err error) {
	options := list.Options{Name: path, Encoding: encoding}
	if path == "-" {
		options.Name = standardInput
	}
	header := func(r io.Reader) error {
		_, err := list.ReadSuppressions(r, options)
		return err
	}
	opened, err := openList(ctx, cmd, path, options.Name, usage, header)
	if err != nil {
		return nil, nil, "", err
	}
	if rows, err = list.ReadSuppressions(opened, options); err != nil {
		opened.Close()
	}
	return rows, opened, options.Name, err
}

// sayWarnings says what may not be as it was meant, before anything is sent. Nothing is refused for it.
func (a *app) sayWarnings(cmd *cobra.Command, all finding.Findings) {
	const most = 20
	for i, f := range all {
		if i == most {
			a.say(cmd, "warning: … and %d more", len(all)-most)
			return
		}
		a.say(cmd, "warning: %v", f)
	}
}

// sayLeftOut says what was passed over in a list.
func (a *app) sayLeftOut(cmd *cobra.Command, leftOut string) {
	if leftOut != "" {
		a.say(cmd, "left out of the list: %s", leftOut)
	}
}

// standardInput is the name of standard input in errors.
const standardInput = "standard input"

// openList opens the list at path, or standard input for "-"; name is what errors call it. It waits until the whole
// list is there: a pipe may be slow, and the queue must not be locked meanwhile. The waiting ends with ctx. The
// function wrong words the error of a file that cannot be opened; header checks the beginning of what comes through a
// pipe.
func openList(ctx context.Context, cmd *cobra.Command, path, name string, wrong func(error) error, header func(io.Reader) error) (io.ReadCloser, error) {
	open := func() (io.ReadCloser, error) {
		list, err := os.Open(path)
		if err == nil {
			if info, statErr := list.Stat(); statErr == nil && info.IsDir() {
				err = fmt.Errorf("%s is a folder", path)
				list.Close()
			}
		}
		if err != nil {
			return nil, wrong(err)
		}
		return list, nil
	}
	if path == "-" {
		open = func() (io.ReadCloser, error) {
			if list, ok := cmd.InOrStdin().(io.ReadCloser); ok {
				return list, nil
			}
			return io.NopCloser(cmd.InOrStdin()), nil
		}
	}

	type opened struct {
		list io.ReadCloser
		err  error
	}
	ready := make(chan opened, 1)
	// Neither the opening of a pipe nor a read of it can be interrupted. The goroutine that waits there holds nothing
	// that others need, and ends with the process.
	go func() {
		list, err := open()
		if err == nil {
			list, err = spool(list, name, header)
		}
		ready <- opened{list, err}
	}()
	select {
	case <-ctx.Done():
		return nil, whileReading(context.Cause(ctx))
	case o := <-ready:
		return o.list, o.err
	}
}

// whileReading is the error of a run that stopped before the list was in the queue.
func whileReading(cause error) error {
	return &exit{exitUnfinished, fmt.Errorf("%w while the list was read: nothing of it was loaded", cause)}
}

// maxHeader bounds the search for a header, in octets: no row may be as long.
const maxHeader = 4 << 20

// spool returns a regular file as it is, and copies everything else into a file without a name, which ends with the
// process. It checks the header first: what is not a list may have no end.
func spool(list io.ReadCloser, name string, header func(io.Reader) error) (_ io.ReadCloser, err error) {
	if file, ok := list.(fs.File); ok {
		if info, err := file.Stat(); err == nil && info.Mode().IsRegular() {
			return list, nil
		}
	}
	defer list.Close()
	file, err := os.CreateTemp("", "mailblast-list-*") // 0600
	if err != nil {
		return nil, fmt.Errorf("a place for the list: %w; name another folder by TMPDIR", err)
	}
	defer func() {
		if err != nil {
			file.Close()
		}
	}()
	if err := os.Remove(file.Name()); err != nil {
		return nil, fmt.Errorf("a place for the list: %w", err)
	}
	if err := header(io.LimitReader(io.TeeReader(list, file), maxHeader)); err != nil {
		return nil, err
	}
	if _, err := io.Copy(file, list); err != nil {
		return nil, fmt.Errorf("%s: keep the list in %s until it has come as a whole (TMPDIR names another folder): %w", name, filepath.Dir(file.Name()), err)
	}
	_, err = file.Seek(0, io.SeekStart)
	return file, err
}

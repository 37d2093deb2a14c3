package cmd

import (
	"context"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/spf13/cobra"

	"mailblast/campaign"
)

// openRecipients opens the list that the flag names, relative to the working folder, or else the campaign file's. It has
// the whole list at hand when it returns: one that comes through a pipe takes as long as it takes, and nobody shall wait for
// the queue meanwhile. When ctx ends, so does the waiting.
func openRecipients(ctx context.Context, cmd *cobra.Command, f *campaign.File, dir string, flags sendFlags) (io.ReadCloser, campaign.RecipientOptions, error) {
	path := flags.recipients
	if path == "" && f.Recipients != "-" {
		path = within(dir, f.Recipients)
	}
	options := campaign.RecipientOptions{Name: path, Encoding: flags.encoding}
	open := func() (io.ReadCloser, error) {
		list, err := os.Open(path)
		if err == nil {
			if info, statErr := list.Stat(); statErr == nil && info.IsDir() {
				err = fmt.Errorf("%s is a folder", path)
				list.Close()
			}
		}
		switch {
		case err != nil && flags.recipients == "":
			return nil, f.At("recipients", err.Error())
		case err != nil:
			return nil, usage(fmt.Errorf("--recipients: %w", err))
		}
		return list, nil
	}
	if path == "" || path == "-" {
		options.Name = "standard input"
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
	// Neither the opening of a pipe nor a read of it can be interrupted. What waits there holds nothing that others need, and
	// ends with the process.
	go func() {
		list, err := open()
		if err == nil {
			list, err = spool(list, options)
		}
		ready <- opened{list, err}
	}()
	select {
	case <-ctx.Done():
		return nil, options, whileReading(context.Cause(ctx))
	case o := <-ready:
		return o.list, options, o.err
	}
}

// whileReading is the error of a run that was stopped before the list was in the queue.
func whileReading(cause error) error {
	return &exit{ExitUnfinished, fmt.Errorf("%w while the list was read: nothing of it was loaded", cause)}
}

// mostHeader is how far a header is looked for, in octets: no row may be as long.
const mostHeader = 4 << 20

// spool returns a regular file as it is, and copies everything else into one that has no name, so that it is gone when the
// process is. A faulty header is reported as soon as it comes; what is not a list, and may have no end, gets no further.
func spool(list io.ReadCloser, options campaign.RecipientOptions) (_ io.ReadCloser, err error) {
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
	if _, err := campaign.ReadRecipients(io.LimitReader(io.TeeReader(list, file), mostHeader), options); err != nil {
		return nil, err
	}
	if _, err := io.Copy(file, list); err != nil {
		return nil, fmt.Errorf("%s: keep the list in %s until it has come as a whole (TMPDIR names another folder): %w", options.Name, filepath.Dir(file.Name()), err)
	}
	_, err = file.Seek(0, io.SeekStart)
	return file, err
}

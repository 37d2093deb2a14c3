package cmd

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/spf13/cobra"
)

// demoDir is the folder of the demo campaign in what main embeds.
const demoDir = "testdata/demo"

func (a *app) initCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "init [DIR]",
		Short: "Write a campaign that works, to edit",
		Long: `Write a small campaign into a folder: campaign file, HTML template, partial, picture and a list of recipients. It can be
sent as it is with --sandbox. Files that are there are never overwritten.`,
		Example: `  mailblast init newsletter
  mailblast send newsletter/campaign.yaml --sandbox`,
		Args: cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			dir := "."
			if len(args) > 0 {
				dir = args[0]
			}
			if err := writeDemo(a.demo, dir); err != nil {
				return err
			}
			file := quoteArg(filepath.Join(dir, "campaign.yaml"))
			a.say(cmd, "%s is there to edit. Try it, without one mail leaving: mailblast send %s --sandbox", file, file)
			return nil
		},
	}
}

// writeDemo copies the demo campaign to dir, all of it or, where a file is in the way, nothing.
func writeDemo(demo fs.FS, dir string) error {
	files, err := fs.Glob(demo, demoDir+"/*")
	if err != nil {
		return err
	}
	for _, name := range files {
		target := filepath.Join(dir, filepath.Base(name))
		switch _, err := os.Lstat(target); {
		case err == nil:
			return usage(fmt.Errorf("%s is there already, and nothing is overwritten: name another folder", target))
		case !errors.Is(err, fs.ErrNotExist):
			return err
		}
	}
	if err := os.MkdirAll(dir, 0o777); err != nil {
		return err
	}
	for _, name := range files {
		content, err := fs.ReadFile(demo, name)
		if err != nil {
			return err
		}
		f, err := os.OpenFile(filepath.Join(dir, filepath.Base(name)), os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o666)
		if err != nil {
			return err
		}
		_, err = f.Write(content)
		if err := errors.Join(err, f.Close()); err != nil {
			return err
		}
	}
	return nil
}

// Package cmd is the command line: one file a command, flags in and words out. What takes more than one of campaign,
// store and sender is done by its package plan.
//
// Rules for all commands. Data goes to standard output, everything else to standard error. An error says where, what and
// what to do next. No command asks a question. Exit codes are in exit.go.
package cmd

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"runtime/debug"
	"strings"
	"sync/atomic"

	"github.com/spf13/cobra"

	"mailblast/store"
	"mailblast/store/sqlite"
)

// An app is what all commands share: the global flags and what Main hands in.
type app struct {
	work     context.Context // ends when even what is under way must stop
	graceful atomic.Bool     // the command may have something under way
	demo     fs.FS           // the campaign that init writes

	db        string
	quiet     bool
	logFormat string
	noColor   bool
	networkFS bool // the queue may be on a network file system
}

// gcPercent is the value for the garbage collector where GOGC is not set. Few objects live long and many are thrown
// away: a larger heap, still of some tens of megabytes, saves a tenth of the time.
const gcPercent = 300

// rootCommand builds the command tree. The context of a command ends as soon as nothing new may be started.
func (a *app) rootCommand() *cobra.Command {
	root := &cobra.Command{
		Use:   "mailblast",
		Short: "Send e-mail campaigns, every message exactly accounted for",
		Long: `Mailblast loads a list of recipients and a message into a durable queue and sends it through an SMTP server.
An interrupted run is finished by "mailblast resume", without sending anything twice.`,
		Example: `  mailblast init newsletter             # a campaign to edit
  mailblast send newsletter/campaign.yaml --sandbox
  mailblast send newsletter/campaign.yaml
  mailblast resume                      # after an interruption, and from cron
  mailblast report --failed`,
		SilenceErrors: true,
		SilenceUsage:  true,
	}
	root.SetOut(&screen{out: os.Stdout})
	root.SetErr(&screen{out: os.Stderr})
	flags := root.PersistentFlags()
	flags.StringVar(&a.db, "db", "", "queue `file` (or MAILBLAST_DB; default "+shortDefaultDB+")")
	flags.BoolVar(&a.networkFS, "allow-network-fs", false, "use a queue on a network file system, which no other machine must use at the same time")
	flags.BoolVarP(&a.quiet, "quiet", "q", false, "say nothing but errors")
	flags.StringVar(&a.logFormat, "log-format", "text", "`format` of log lines: text or json")
	flags.BoolVar(&a.noColor, "no-color", false, "no colours (also NO_COLOR)")
	root.PersistentPreRunE = func(c *cobra.Command, _ []string) error {
		a.graceful.Store(c.Name() == "send" || c.Name() == "resume" || c.Name() == "sink")
		if os.Getenv("GOGC") == "" {
			debug.SetGCPercent(gcPercent)
		}
		if a.logFormat != "text" && a.logFormat != "json" {
			return fmt.Errorf("--log-format %q: it is text or json", a.logFormat)
		}
		return nil
	}
	root.AddCommand(a.sendCommand(), a.resumeCommand(), a.reportCommand(), a.statusCommand(), a.retryCommand(),
		a.suppressCommand(), a.purgeCommand(), a.initCommand(), sinkCommand(), explainCommand(), versionCommand(), statesTopic())
	classifyErrors(root)
	return root
}

// classifyErrors gives the errors of all commands below c their exit codes.
func classifyErrors(c *cobra.Command) {
	for _, c := range c.Commands() {
		if run := c.RunE; run != nil {
			c.RunE = func(c *cobra.Command, args []string) error { return classify(run(c, args)) }
		}
		classifyErrors(c)
	}
}

const shortDefaultDB = "mailblast/queue.db under $XDG_STATE_HOME or ~/.local/state"

// oneArg wants exactly one argument, and says which.
func oneArg(what string) cobra.PositionalArgs {
	return func(cmd *cobra.Command, args []string) error {
		if len(args) != 1 {
			return fmt.Errorf("%s needs %s, and got %d arguments: usage: %s", cmd.Name(), what, len(args), cmd.UseLine())
		}
		return nil
	}
}

// queuePath returns the path of the queue: of the flag, of the environment, or in the user's state folder.
func (a *app) queuePath() (string, error) {
	if a.db != "" {
		return a.db, nil
	}
	if p := os.Getenv("MAILBLAST_DB"); p != "" {
		return p, nil
	}
	state := os.Getenv("XDG_STATE_HOME")
	if !filepath.IsAbs(state) { // the XDG specification says to ignore a relative one
		home, err := os.UserHomeDir()
		if err != nil {
			return "", fmt.Errorf("where is the queue? Name it with --db or MAILBLAST_DB: %w", err)
		}
		state = filepath.Join(home, ".local", "state")
	}
	return filepath.Join(state, "mailblast", "queue.db"), nil
}

// openStore opens the queue; see sqlite.Open.
func (a *app) openStore(ctx context.Context, create bool) (store.Queue, error) {
	path, err := a.queuePath()
	if err != nil {
		return nil, err
	}
	if !a.networkFS {
		if err := sqlite.CheckFileSystem(path); err != nil {
			return nil, usage(err)
		}
	}
	s, err := sqlite.Open(ctx, path, create)
	var fault *store.FaultError
	switch {
	case err == nil:
		return s, nil
	case ctx.Err() == nil && !errors.As(err, &fault):
		return nil, usage(err) // the file is not ours, or damaged, or in the wrong place
	}
	return nil, err
}

// logger returns a logger that writes through p, so that a line and the progress bar do not run into each other.
func (a *app) logger(p *progress) *slog.Logger {
	level := slog.LevelInfo
	if a.quiet {
		level = slog.LevelError
	}
	options := &slog.HandlerOptions{Level: level}
	if terminal(os.Stderr) && a.logFormat == "text" {
		options.ReplaceAttr = func(groups []string, attr slog.Attr) slog.Attr {
			if len(groups) == 0 && attr.Key == slog.TimeKey {
				return slog.Attr{} // on a terminal the time is not needed
			}
			return attr
		}
	}
	if a.logFormat == "json" {
		return slog.New(slog.NewJSONHandler(p, options))
	}
	return slog.New(slog.NewTextHandler(p, options))
}

// campaignNames completes the names of campaigns on the command line.
func (a *app) campaignNames(cmd *cobra.Command, args []string, prefix string) ([]string, cobra.ShellCompDirective) {
	s, err := a.openStore(cmd.Context(), false)
	if err != nil {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	defer s.Close()
	all, _ := s.Campaigns(cmd.Context())
	var names []string
	for _, c := range all {
		if strings.HasPrefix(c.Name, prefix) {
			names = append(names, c.Name)
		}
	}
	return names, cobra.ShellCompDirectiveNoFileComp
}

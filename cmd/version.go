package cmd

import (
	"fmt"
	"runtime"
	"runtime/debug"
	"strings"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"mailblast/store"
	"mailblast/store/sqlite"
)

// Version is set by the linker for releases.
var Version = ""

func versionCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "version",
		Short: "Print the version",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			version := Version
			if info, ok := debug.ReadBuildInfo(); ok && version == "" {
				version = info.Main.Version
			}
			_, err := fmt.Fprintf(cmd.OutOrStdout(), "mailblast %s (%s, SQLite %s, %s/%s)\n", version, runtime.Version(), sqlite.Version(), runtime.GOOS, runtime.GOARCH)
			return err
		},
	}
}

// statesTopic is `mailblast help states`.
func statesTopic() *cobra.Command {
	var b strings.Builder
	b.WriteString("A recipient of a campaign is in one of these states:\n\n")
	w := tabwriter.NewWriter(&b, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "STATE\tMEANING\tLEAVES BY")
	for _, s := range store.States() {
		fmt.Fprintf(w, "%s\t%s\t%s\n", s.State, s.Meaning, s.LeavesBy)
	}
	w.Flush()
	return &cobra.Command{Use: "states", Short: "The states of a recipient", Long: b.String()}
}

//go:build unix

package cmd

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"syscall"
	"testing"

	"github.com/spf13/cobra"

	"mailblast/campaign"
	"mailblast/cmd/plan"
)

// A pipe that nobody writes to is waited for only as long as the run goes on.
func TestOpenRecipientsInterrupted(t *testing.T) {
	path := filepath.Join(t.TempDir(), "list.csv")
	if err := syscall.Mkfifo(path, 0o600); err != nil {
		t.Fatal(err)
	}
	stopped := errors.New("stopped")
	ctx, stop := context.WithCancelCause(t.Context())
	stop(stopped)
	cmd := &cobra.Command{}
	cmd.SetContext(ctx)
	_, _, err := openRecipients(cmd.Context(), cmd, &plan.Plan{File: &campaign.File{}}, sendFlags{recipients: path})
	var e *exit
	if !errors.As(err, &e) || e.code != exitUnfinished || !errors.Is(err, stopped) {
		t.Errorf("got %v", err)
	}
	// Lets go of what waits for somebody to write.
	end, err := os.OpenFile(path, os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	end.Close()
}

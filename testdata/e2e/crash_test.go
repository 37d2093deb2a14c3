package e2e

import (
	"os/exec"
	"path/filepath"
	"testing"
)

// Every way to die, at least once; `make crash` does it three thousand times. See testdata/crash.
func TestCrash(t *testing.T) {
	program := filepath.Join(t.TempDir(), "crash")
	if out, err := exec.Command("go", "build", "-o", program, "mailblast/testdata/crash").CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	out, err := exec.CommandContext(t.Context(), program, "-kills", "50", "-dir", t.TempDir()).CombinedOutput()
	t.Logf("%s", out)
	if err != nil {
		t.Error(err)
	}
}

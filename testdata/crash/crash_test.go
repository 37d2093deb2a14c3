package main

import (
	"math/rand/v2"
	"strings"
	"testing"

	_ "mailblast/cmd" // the test builds it, and is to run again when it has changed
)

// Every way to die, at least once; `make crash` does it three thousand times.
func TestCrash(t *testing.T) {
	table := newTable(50, rand.Uint64(), "")
	if err := table.run(t.Context(), 3, t.TempDir()); err != nil {
		t.Fatal(err)
	}
	var shown strings.Builder
	if !table.print(&shown) {
		t.Error("not all is as it must be")
	}
	t.Logf("\n%s", &shown)
}

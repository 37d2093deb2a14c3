// Package e2e tests the real binary, as a user and the world would treat it.
package e2e

import (
	"os"
	"testing"

	"mailblast/testdata/harness"
)

func TestMain(m *testing.M) { os.Exit(harness.Main(m)) }

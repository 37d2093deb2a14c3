// Mailblast sends e-mail campaigns: see cmd for the commands and README.md for what it is.
package main

import (
	"embed"
	"os"

	"mailblast/cmd"
)

//go:embed testdata/demo
var demo embed.FS

func main() { os.Exit(cmd.Main(cmd.Signals(), demo)) }

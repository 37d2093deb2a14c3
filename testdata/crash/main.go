// Crash kills mailblast in all the ways in which a process or a machine can die, again and again, and compares what the
// queue says afterwards with what the server has seen.
//
//	go run ./testdata/crash              3,000 deaths: prints the table
//	go run ./testdata/crash -kills 50    every kind at least once
//
// It works in this order. It builds mailblast as it is, and once more with the tag crash. A run (run.go) is a list of
// some hundred recipients and a server in this process, whose witness (witness.go) writes down each message before the
// server acknowledges it. Processes send the list, send and resume by turns, and each is killed: at a random moment, at
// a named step of the protocol (cmd/plan/crash.go), or at an operation of the disk. For a power cut, what was not
// synced is undone (disk.go). The last process is not killed. After it nobody may have got two messages, nobody may be
// missing, and no more recipients may be in doubt than two for each connection and kill. Three controls break the
// protocol, and must fail.
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"time"
)

// A kind is one way to die.
type kind struct {
	name       string
	share      float64 // of all kills; where nobody is killed, runs for each
	durability string
	step       string // of cmd/plan/crash.go; "": a random moment
	atDisk     bool   // or an operation of the disk
	power      string // after the kill the power is cut: lost, or torn
	reboot     bool   // and the machine has started anew

	pipeline     int    // messages under way at a time on a connection; 0: one
	unruly       bool   // the server defers some, and drops some connections in place of its 250
	everyInstant bool   // nobody is killed, but the log of the disk is gone through
	control      string // of cmd/plan/crash.go
	mustFail     bool
}

var steps = []string{
	"before-recover", "after-recover", "load", "dial", "before-claim", "after-claim", "before-begin", "after-begin",
	"before-send", "after-send", "before-result", "after-result", "before-finish", "after-finish", "before-release", "after-release",
}

func kinds() []kind {
	all := []kind{
		{name: "random moment", share: 0.34, durability: "strict"},
		{name: "random moment, unruly server", share: 0.05, durability: "strict", unruly: true},
	}
	for _, s := range steps {
		all = append(all, kind{name: "step " + s, share: 0.0125, durability: "strict", step: s})
	}
	return append(all,
		kind{name: "operation of the disk", share: 0.1, durability: "strict", atDisk: true},
		kind{name: "power cut, unsynced lost", share: 0.1, durability: "strict", power: "lost"},
		kind{name: "power cut, unsynced torn", share: 0.1, durability: "strict", power: "torn"},
		kind{name: "power cut at every instant", share: 0.005, durability: "strict", everyInstant: true},
		kind{name: "8 under way: random moment", share: 0.04, durability: "strict", pipeline: 8, unruly: true},
		kind{name: "8 under way: power cut", share: 0.02, durability: "strict", pipeline: 8, power: "lost"},
		kind{name: "8 under way: power cut at every instant", share: 0.005, durability: "strict", pipeline: 8, everyInstant: true},
		kind{name: "process: random moment", share: 0.04, durability: "process"},
		kind{name: "process: power cut, reboot", share: 0.05, durability: "process", power: "lost", reboot: true},
		kind{name: "control: begin late", durability: "strict", control: "begin-late", step: "after-send", mustFail: true},
		kind{name: "control: begin not synced", durability: "process", power: "lost", mustFail: true},
		kind{name: "control: the same, every instant", durability: "process", everyInstant: true, mustFail: true},
	)
}

// killsOfARun is how often one list is interrupted at most.
const killsOfARun = 6

// wanted is how many kills, or runs where nobody is killed, a kind gets of all.
func (k kind) wanted(kills int) int {
	n := max(1, int(k.share*float64(kills)+0.5))
	if k.mustFail && !k.everyInstant {
		n = 2 * killsOfARun
	}
	return n
}

func main() {
	kills := flag.Int("kills", 3000, "`number` of deaths")
	seed := flag.Uint64("seed", uint64(time.Now().UnixNano()), "`number` from which chance begins")
	parallel := flag.Int("parallel", 3, "`number` of runs at a time")
	only := flag.String("only", "", "kinds whose name holds this `text`")
	dir := flag.String("dir", "", "work in a folder below this one; default: the system's for temporary files")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	t := newTable(*kills, *seed, *only)
	if len(t.lines) == 0 {
		fmt.Fprintf(os.Stderr, "crash: no kind has %q in its name\n", *only)
		os.Exit(2)
	}
	if err := t.run(ctx, *parallel, *dir); err != nil {
		fmt.Fprintln(os.Stderr, "crash:", err)
		os.Exit(1)
	}
	if !t.print(os.Stdout) {
		os.Exit(1)
	}
}

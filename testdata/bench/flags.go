package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"strconv"
	"strings"
	"time"
)

// options say what is measured.
type options struct {
	skip       bool // do not measure the senders and the lists
	rows       []int
	load       []int
	rtt        time.Duration
	scale      bool
	attached   int
	queued     int
	slow       time.Duration
	nodemailer string
	npm        bool
}

// parse reads the command line.
func (b *bench) parse() (o options, err error) {
	o.rows = []int{10_000, 100_000, 1_000_000}
	flag.StringVar(&b.mailblast, "mailblast", "build/mailblast", "the `binary` to measure")
	flag.IntVar(&b.runs, "runs", 5, "rounds; the median is printed")
	flag.IntVar(&b.n, "n", 20_000, "messages a run; slow senders get fewer")
	flag.IntVar(&b.conns, "c", 10, "connections")
	flag.BoolVar(&o.skip, "skip", false, "measure neither the senders nor the lists, only what further flags name")
	flag.Func("rows", "`sizes` of the lists that are loaded and then sent from (default 10000,100000,1000000)", sizes(&o.rows))
	flag.Func("load", "measure loading by itself, of lists of these `sizes`, such as 1000000,10000000", sizes(&o.load))
	flag.StringVar(&o.nodemailer, "nodemailer", "", "`folder` whose node_modules holds nodemailer")
	flag.BoolVar(&o.npm, "npm", false, "have npm install nodemailer for this run")
	flag.DurationVar(&o.rtt, "rtt", 0, "measure behind a proxy that adds this round-trip `time`, such as 20ms")
	flag.BoolVar(&o.scale, "scale", false, "measure 1 to 100 connections at 0 to 100 ms round-trip time")
	flag.IntVar(&o.attached, "attachment", 0, "measure an attachment of 1 MB to so many `recipients`, such as 1000")
	flag.IntVar(&o.queued, "queue", 0, "measure how long status and resume take to start on a queue of so many `rows`, such as 1000000")
	flag.DurationVar(&o.slow, "slow-fsync", 0, "measure on a disk whose fsync takes so much `longer`, such as 5ms (needs gcc)")
	all := flag.Bool("all", false, "everything: as -load 10000000 -rtt 20ms -attachment 1000 -queue 1000000 -scale -slow-fsync 5ms")
	flag.Parse()
	if flag.NArg() > 0 || b.runs < 1 || b.n < 100 || b.conns < 1 || o.rtt < 0 || o.slow < 0 || o.attached < 0 || o.queued < 0 || o.queued == 1 {
		return o, errors.New("flags only; -runs and -c at least 1, -n at least 100, -queue at least 2, nothing below 0")
	}
	if *all {
		o.load, o.rtt, o.scale, o.slow, o.attached, o.queued = []int{10_000_000}, 20*time.Millisecond, true, 5*time.Millisecond, 1000, 1_000_000
	}
	return o, nil
}

// sizes parses numbers of rows into to.
func sizes(to *[]int) func(string) error {
	return func(value string) error {
		*to = nil
		for word := range strings.SplitSeq(value, ",") {
			n, err := strconv.Atoi(word)
			if err != nil || n < 2 {
				return fmt.Errorf("%q is no number of rows above 1", word)
			}
			*to = append(*to, n)
		}
		return nil
	}
}

// A part prints a table, and adds to the goals.
type part struct {
	wanted bool
	print  func(context.Context) error
}

// parts are all that there are, in the order in which they are measured.
func (b *bench) parts(o options) []part {
	return []part{
		{!o.skip, b.compare},
		{!o.skip, func(ctx context.Context) error { return b.lists(ctx, o.rows) }},
		{len(o.load) > 0, func(ctx context.Context) error { return b.loads(ctx, o.load) }},
		{o.rtt > 0, func(ctx context.Context) error { return b.distance(ctx, o.rtt) }},
		{o.queued > 0, func(ctx context.Context) error { return b.starts(ctx, o.queued) }},
		{o.scale, b.scale},
		{o.slow > 0, func(ctx context.Context) error { return b.slowDisk(ctx, o.slow) }},
		{o.attached > 0, func(ctx context.Context) error { return b.attachment(ctx, o.attached) }}, // last: making it takes memory, see measure
	}
}

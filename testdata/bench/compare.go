package main

import (
	"context"
	"fmt"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"time"
)

// compare prints the table of senders. Each is compared with mailblast over the same kind of server.
func (b *bench) compare(ctx context.Context) error {
	senders, err := b.compared()
	if err != nil {
		return err
	}
	costs, err := b.rounds(ctx, senders, func(s sender) int { return b.n / s.share }, 0)
	if err != nil {
		return err
	}
	t := table{
		title:   fmt.Sprintf("Senders: %d connections, 10 KB HTML with three fields and a text part", b.conns),
		columns: []string{"sender", "messages", "messages/s", "(lowest to highest)", "mailblast is", "goal", "CPU µs a message", "mailblast takes", "goal", "peak MB"},
	}
	for i, s := range senders {
		own := costs[slices.IndexFunc(senders, func(o sender) bool { return o.relay == s.relay })]
		if costs[i] == nil || own == nil {
			continue
		}
		low, high := extremes(costs[i])
		faster, more := ratio(own, costs[i], cost.rate), ratio(own, costs[i], cost.perMessage)
		rateGoal, cpuGoal := "", ""
		if s.goal > 0 {
			rateGoal = "≥ " + times(s.goal)
			b.goal("messages/s, beside "+s.name, rateGoal, times(faster), faster >= s.goal)
		}
		if s.cpu > 0 {
			cpuGoal = "≤ " + times(s.cpu)
			b.goal("CPU a message, beside "+s.name, cpuGoal, times(more), more <= s.cpu)
		}
		t.row(s.name, whole(float64(b.n/s.share)), whole(median(costs[i], cost.rate)), whole(low)+" to "+whole(high),
			times(faster), rateGoal, whole(median(costs[i], cost.perMessage)), times(more), cpuGoal, peak(costs[i]))
	}
	t.print()
	return nil
}

// compared returns the senders of the table; mailblast is the first of those that share a kind of server.
func (b *bench) compared() ([]sender, error) {
	all := b.usual()
	if path := postfix("smtp-source"); path != "" {
		all = append(all, smtpSource(path, "Postfix smtp-source -d", "-d"), smtpSource(path, "Postfix smtp-source"))
	} else {
		b.note("smtp-source was not found and not measured: install Postfix (Debian package postfix)")
	}
	_, noPolicy := exec.LookPath("chrt")
	_, noPlace := exec.LookPath("taskset")
	if noPolicy == nil && noPlace == nil && runtime.NumCPU() > 1 {
		all = append(all, b.pair(relay{pinned: true}, b.dir, "client-bare")...)
	} else {
		b.note("a relay on one processor was not measured: it takes chrt and taskset (Debian package util-linux) and two processors")
	}
	dir := filepath.Join(b.dir, tlsFolder)
	if err := writeCampaign(dir, variant{starttls: true}); err != nil {
		return nil, err
	}
	encrypted := b.pair(relay{starttls: true}, dir, "client-bare-tls")
	encrypted[1].goal = 0.8
	return append(all, encrypted...), nil
}

// send has one sender do one job, with env added to its environment, and fails unless the server took every message.
func (b *bench) send(ctx context.Context, s sender, n int, rtt time.Duration, env ...string) (c cost, err error) {
	err = b.inJob(ctx, n, b.conns, func(ctx context.Context, j job) error {
		j.relay = s.relay
		c, err = b.serve(ctx, j, rtt, 0, func(ctx context.Context, j job) *exec.Cmd {
			cmd := s.command(ctx, j)
			cmd.Env = append(cmd.Environ(), env...)
			return cmd
		})
		if err == nil && c.messages != n {
			err = fmt.Errorf("the server took %d messages of %d", c.messages, n)
		}
		return err
	})
	if err != nil {
		return c, fmt.Errorf("%s: %w", s.name, err)
	}
	return c, nil
}

// rounds lets the senders take turns, in every second round backwards, so that nobody always comes behind the same one.
// It returns the costs by sender, then by round. A sender that fails is noted and has none; if mailblast does, rounds
// ends with its error.
func (b *bench) rounds(ctx context.Context, senders []sender, n func(sender) int, rtt time.Duration) ([][]cost, error) {
	costs := make([][]cost, len(senders))
	failed := make([]bool, len(senders))
	order := make([]int, len(senders))
	for i := range order {
		order[i] = i
	}
	for range b.runs {
		for _, i := range order {
			if failed[i] {
				continue
			}
			c, err := b.send(ctx, senders[i], n(senders[i]), rtt)
			switch {
			case err != nil && (i == 0 || ctx.Err() != nil):
				return nil, err
			case err != nil:
				b.note("failed: %v", err)
				failed[i], costs[i] = true, nil
			default:
				costs[i] = append(costs[i], c)
			}
		}
		slices.Reverse(order)
	}
	return costs, nil
}

// ratio returns the median of a figure of a by that of b, round by round.
func ratio(a, b []cost, of func(cost) float64) float64 {
	values := make([]float64, len(a))
	for i := range a {
		values[i] = of(a[i]) / of(b[i])
	}
	return middle(values)
}

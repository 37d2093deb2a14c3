//go:build !linux

package cmd

import "time"

const lookEvery = time.Second

// stayTogether is for Linux only.
func stayTogether(time.Duration, func(int) func() bool) (apart func()) { return func() {} }

func busyProcessor(int) func() bool { return nil }

//go:build !linux

package cmd

// batch is for Linux only.
func batch() {}

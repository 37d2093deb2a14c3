//go:build !linux

package sqlite

import "time"

// CheckFileSystem would refuse a queue on a network file system; on this system nobody can tell.
func CheckFileSystem(string) error { return nil }

func bootTime() (t time.Time, ok bool) { return t, false }

//go:build !linux

package sqlite

// CheckFileSystem would refuse a queue on a network file system; on this system nobody can tell.
func CheckFileSystem(string) error { return nil }

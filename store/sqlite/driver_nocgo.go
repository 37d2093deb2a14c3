//go:build !cgo

package sqlite

import _ "github.com/mattn/go-sqlite3" // says that it needs cgo when a queue is opened

func resultCode(error) (int, bool) { return 0, false }

// Version is SQLite's, of which there is none without cgo.
func Version() string { return "missing" }

//go:build cgo

package sqlite

import (
	"errors"

	"github.com/mattn/go-sqlite3"
)

// resultCode is SQLite's code of an error; false for an error that is not SQLite's.
func resultCode(err error) (int, bool) {
	var e sqlite3.Error
	if !errors.As(err, &e) {
		return 0, false
	}
	return int(e.Code), true
}

// Version is SQLite's.
func Version() string {
	version, _, _ := sqlite3.Version()
	return version
}

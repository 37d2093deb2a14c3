package sqlite

import (
	"fmt"

	"mailblast/store"
)

// SQLite's result codes, as far as they are told apart: https://sqlite.org/rescode.html.
const (
	codePerm     = 3
	codeBusy     = 5
	codeLocked   = 6
	codeReadonly = 8
	codeIOErr    = 10
	codeCorrupt  = 11
	codeFull     = 13
	codeCantOpen = 14
	codeNotADB   = 26
)

// explain makes of SQLite's errors the contract's, and adds what a person can do about them.
func explain(err error) error {
	code, ok := resultCode(err)
	if !ok {
		return err
	}
	mayPass := false
	switch code {
	case codeNotADB, codeCorrupt:
		return fmt.Errorf("%w: the file is damaged; it was left as it is. Restore it from a backup, or try `sqlite3 FILE .recover`", err)
	case codeFull:
		mayPass = true
		err = fmt.Errorf("%w: make room on the disk and run the same command again", err)
	case codeIOErr:
		mayPass = true
		err = fmt.Errorf("%w: the disk may be full or failing (the system's log knows more); mend that and run the same command again", err)
	case codeReadonly, codeCantOpen, codePerm:
		err = fmt.Errorf("%w: the queue and its folder must be writable", err)
	case codeBusy, codeLocked:
		mayPass = true
		err = fmt.Errorf("%w: another program holds the queue", err)
	}
	return &store.FaultError{Err: err, MayPass: mayPass}
}

// busy reports whether another connection is in the way.
func busy(err error) bool {
	code, _ := resultCode(err)
	return code == codeBusy || code == codeLocked
}

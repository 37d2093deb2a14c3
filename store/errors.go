package store

import (
	"errors"
	"fmt"
	"strings"
)

// What a caller tells apart. Stores wrap these with what they are about.
var (
	// ErrNoQueue says that there is no queue, and none was to be made.
	ErrNoQueue = errors.New("there is no queue yet")

	// ErrNoCampaign says that a name is not in the queue.
	ErrNoCampaign = errors.New("no such campaign")

	// ErrHeld says that another process is draining the campaign. A store that lets several drain it never does.
	ErrHeld = errors.New("another process is sending this campaign")

	// ErrPurged refuses to load a campaign whose recipients were removed: who got it is not known any more, and nobody
	// shall get it twice.
	ErrPurged = errors.New("its personal data was removed by mailblast purge, so nobody knows any more who was sent to; choose another name")

	// ErrTraces is returned by Scrub when another process reads the queue for so long that what was deleted had to be left
	// where it was.
	ErrTraces = errors.New("another process reads the queue, and traces of what was removed are still in its files: when that process has ended, run the same command again, or any other mailblast purge")
)

// A ChangedError says that a campaign whose first message has left would be sent differently from now on.
type ChangedError struct {
	Campaign string
	What     []string // the campaign file, or paths of templates and attachments
}

func (e *ChangedError) Error() string {
	return fmt.Sprintf("campaign %q has begun to be sent, and since then there is a change in %s: "+
		"put it back, choose another name, or go on with the change by --accept-changes", e.Campaign, strings.Join(e.What, ", "))
}

// A FaultError is a fault of what the queue stands on: a disk that is full, a lock, rights that are missing, a connection.
// The queue itself is as it should be.
type FaultError struct {
	Err     error
	MayPass bool // by itself, so that it is worth while to try again
}

func (e *FaultError) Error() string { return e.Err.Error() }

func (e *FaultError) Unwrap() error { return e.Err }

// Transient reports whether an error may go by itself: a disk that is full or does not answer, a lock.
func Transient(err error) bool {
	var fault *FaultError
	return errors.As(err, &fault) && fault.MayPass
}

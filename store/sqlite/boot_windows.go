package sqlite

import (
	"time"

	"golang.org/x/sys/windows"
)

func bootID() string { return bootTime(time.Now().Add(-windows.DurationSinceBoot())) }

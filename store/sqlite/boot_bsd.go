//go:build darwin || dragonfly || freebsd || netbsd || openbsd

package sqlite

import (
	"time"

	"golang.org/x/sys/unix"
)

func bootID() string {
	if id, err := unix.Sysctl("kern.bootsessionuuid"); err == nil && id != "" { // macOS
		return id
	}
	t, err := unix.SysctlTimeval("kern.boottime")
	if err != nil {
		return ""
	}
	return bootTime(time.Unix(t.Unix()))
}

package text

import (
	"fmt"
	"time"
)

// Period names the time of a quota: an hour, 24 hours, 7 days.
func Period(d time.Duration) string {
	switch {
	case d == 24*time.Hour:
		return "24 hours"
	case d%(24*time.Hour) == 0:
		return fmt.Sprintf("%d days", d/(24*time.Hour))
	case d == time.Hour:
		return "an hour"
	}
	return d.String()
}

// Rounded writes how long something took or takes, no more exactly than a person wants to know.
func Rounded(d time.Duration) string {
	switch {
	case d < time.Second:
		return d.Round(time.Millisecond).String()
	case d < time.Minute:
		return d.Round(100 * time.Millisecond).String()
	}
	return d.Round(time.Second).String()
}

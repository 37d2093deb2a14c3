package reply

import (
	"testing"
	"time"
)

func TestRetryAfter(t *testing.T) {
	for _, c := range []struct {
		text  string
		after time.Duration
		exact bool
	}{
		{"Over the limit, try again in 3600 seconds", time.Hour, true},
		{"retry in 15 minutes", 15 * time.Minute, true},
		{"Please retry after 5 min.", 5 * time.Minute, true},
		{"Retry-After: 60s", time.Minute, true},
		{"greylisted for 300 seconds", 5 * time.Minute, true},
		{"Greylisting in action, come back in 00:04:59", 4*time.Minute + 59*time.Second, true},
		{"come back in 04:59", 4*time.Minute + 59*time.Second, true},
		{"wait 1 hour and 30 minutes", 90 * time.Minute, true},
		{"try again in an hour", time.Hour, true},
		{"please come back in ten minutes", 10 * time.Minute, true},
		{"You may not send for 2 day(s): retry in 2 day(s)", 48 * time.Hour, true},
		{"Daily limit reached. Try again in\n24 hours", 24 * time.Hour, true},
		{"Bitte in 10 Minuten erneut versuchen, erneut nach 10 Minuten", 10 * time.Minute, true},
		{"at most 100 messages in 60 minutes, wait 20 seconds", 20 * time.Second, true},

		{"The daily message quota is used up", 24 * time.Hour, false},
		{"you reached the limit of today, try again tomorrow", 24 * time.Hour, false},
		{"more than 500 messages in 24 hours", 24 * time.Hour, false},
		{"Monthly allowance exceeded", 31 * 24 * time.Hour, false},
		{"200 messages per hour exceeded", time.Hour, false},
		{"60 per minute exceeded", time.Minute, false},

		{"", 0, false},
		{"try again later", 0, false},
		{"try again", 0, false},
		{"user unknown", 0, false},
		{"Rate limit: 100 messages in 60 seconds. Try again later", 0, false},
		{"retry in 0 seconds", 0, false},
		{"retry in 9999999 days", 0, false},
		{"retry in 99999999999999999999 seconds", 0, false},
		{"again 30", 0, false},
		{"wait 5 messages", 0, false},
	} {
		if after, exact := retryAfter(c.text); after != c.after || exact != c.exact {
			t.Errorf("%q: %v, %v, want %v, %v", c.text, after, exact, c.after, c.exact)
		}
	}
}

func FuzzRetryAfter(f *testing.F) {
	f.Add("try again in 3600 seconds")
	f.Add("wait 1 hour and 30 minutes")
	f.Add("come back in 00:04:59, daily \xff")
	f.Fuzz(func(t *testing.T, text string) {
		after, exact := retryAfter(text)
		switch {
		case after < 0, exact && after == 0, exact && after > longestWait+99*time.Hour:
			t.Fatalf("%q: %v, %v", text, after, exact)
		}
	})
}

package reply

import (
	"regexp"
	"strconv"
	"strings"
	"time"
)

// retryAfter returns how long a server asks to be left alone, 0 when its reply does not say.
//
// exact means that the reply names the time, as greylisting and rate limits often do: "try again in 15 minutes".
// Otherwise it only names the period of a quota that is used up ("daily limit exceeded"), and the result is the longest
// time until the quota is new: no server says when its day began, and for some the day is the last 24 hours.
//
// Times of more than a week mean something else and do not count.
func retryAfter(text string) (after time.Duration, exact bool) {
	text = plain(text)
	for _, m := range waitClock.FindAllStringSubmatch(text, -1) {
		if d := clock(m[1], m[2], m[3]); d > 0 {
			return d, true
		}
	}
	for _, m := range waitTime.FindAllStringSubmatch(text, -1) {
		if d := amount(m[1], m[2]) + amount(m[3], m[4]); 0 < d && d <= longestWait {
			return d, true
		}
	}
	for _, p := range quotaPeriods {
		if p.named.MatchString(text) {
			return p.period, false
		}
	}
	return 0, false
}

const longestWait = 7 * 24 * time.Hour

// A number is in digits or a word, and its unit is a word or an abbreviation.
const (
	waitNumber = `(\d{1,7}|an?|one|two|three|five|ten|fifteen|twenty|thirty|sixty) ?`
	waitUnit   = `(s|secs?|seconds?|sekunden?|secondes?|segundos?|m|mins?|minutes?|minuten?|minutos?|minuti|h|hrs?|hours?|stunden?|heures?|horas?|days?)\b(?:\(s\))?`
	waitWords  = `\b(?:again|retry|retries|retrying|wait|waiting|back|resend|resume|greylist\w*|graylist\w*|deferred|delayed|throttled|erneut|warten|reessaye[rz]|reintentar|riprova\w*)\b`
)

var (
	// A few words without figures may stand between the request and the time.
	waitTime  = regexp.MustCompile(waitWords + `(?:[ ,;:(-]+[a-z]+){0,4}?[ ,;:(=-]+` + waitNumber + waitUnit + `(?:[ ,]*(?:and )?` + waitNumber + waitUnit + `)?`)
	waitClock = regexp.MustCompile(waitWords + `(?:[ ,;:(-]+[a-z]+){0,4}?[ ,;:(=-]+(\d\d?):(\d\d)(?::(\d\d))?\b`)

	quotaPeriods = []struct {
		named  *regexp.Regexp
		period time.Duration
	}{
		{regexp.MustCompile(`\b(?:month(?:ly)?)\b`), 31 * 24 * time.Hour},
		{regexp.MustCompile(`\b(?:daily|today|tomorrow|(?:per|a|each|this|every|of the|for the) day|24 ?-?(?:h|hrs?|hours?))\b`), 24 * time.Hour},
		{regexp.MustCompile(`\b(?:hourly|(?:per|an|each|this|every|last|past|1|one) hour|/ ?h(?:our)?)\b`), time.Hour},
		{regexp.MustCompile(`\b(?:(?:per|a|each|this|every|last|past) minute|/ ?min(?:ute)?)\b`), time.Minute},
	}

	waitNumbers = map[string]int{
		"a": 1, "an": 1, "one": 1, "two": 2, "three": 3, "five": 5, "ten": 10, "fifteen": 15, "twenty": 20, "thirty": 30, "sixty": 60,
	}
)

// amount returns the duration of so many units, 0 if there is none.
func amount(number, unit string) time.Duration {
	n, ok := waitNumbers[number]
	if !ok {
		n, _ = strconv.Atoi(number)
	}
	per := time.Duration(0)
	switch {
	case unit == "":
	case strings.HasPrefix(unit, "d"):
		per = 24 * time.Hour
	case strings.HasPrefix(unit, "h"), strings.HasPrefix(unit, "st"):
		per = time.Hour
	case strings.HasPrefix(unit, "m"):
		per = time.Minute
	default:
		per = time.Second
	}
	return time.Duration(n) * per
}

// clock reads 00:04:59, or 04:59 in minutes and seconds.
func clock(a, b, c string) time.Duration {
	if c == "" {
		return amount(a, "m") + amount(b, "s")
	}
	return amount(a, "h") + amount(b, "m") + amount(c, "s")
}

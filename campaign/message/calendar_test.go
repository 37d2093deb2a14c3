package message

import "testing"

func TestMediaTypeOfCalendar(t *testing.T) {
	for _, c := range []struct{ name, content, want string }{
		{"a.ics", "BEGIN:VCALENDAR\r\nVERSION:2.0\r\nMETHOD:REQUEST\r\nBEGIN:VEVENT\r\nDESCRIPTION:METHOD:X\r\n", "text/calendar; charset=utf-8; method=REQUEST"},
		{"a.ICS", "BEGIN:VCALENDAR\nMeth\n od;X-A=\"b\":publish \nEND:VCALENDAR\n", "text/calendar; charset=utf-8; method=PUBLISH"},
		{"a.ics", "BEGIN:VCALENDAR\r\nBEGIN:VEVENT\r\n METHOD:REQUEST\r\n", "text/calendar; charset=utf-8"},
		{"a.ics", "METHOD:RE QUEST; x=\"y\r\n", "text/calendar; charset=utf-8"},
		{"a.ics", "METHOD:\r\n", "text/calendar; charset=utf-8"},
		{"a.txt", "METHOD:REQUEST\r\n", "text/plain; charset=utf-8"},
	} {
		if got := mediaType(c.name, []byte(c.content)); got != c.want {
			t.Errorf("%s: %q is %s, want %s", c.name, c.content, got, c.want)
		}
	}
}

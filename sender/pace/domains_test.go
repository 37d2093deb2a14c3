package pace

import (
	"testing"
	"time"
)

// What a server answered makes room for one more of its domain. What was put back without an answer does not: a domain that hangs would
// get ever more connections.
func TestRoomForAnswers(t *testing.T) {
	d := NewDomains[int](0, nil, func() int { return 0 })
	v := d.get("example.com")
	admitted := func() (n int) {
		for {
			switch ok, err := d.admit(t.Context(), v, time.Now()); {
			case err != nil:
				t.Fatal(err)
			case !ok:
				return n
			}
			n++
		}
	}
	if n := admitted(); n != windowFirst {
		t.Errorf("%d were admitted at first", n)
	}
	d.Done("example.com", ServiceTime{}, false, Untried)
	if n := admitted(); n != 1 {
		t.Errorf("%d were admitted for one that was put back", n)
	}
	d.Done("example.com", ServiceTime{time.Hour, 1}, false, Spent)
	if n := admitted(); n != 1 {
		t.Errorf("%d were admitted for one that was never answered", n)
	}
	d.Done("example.com", ServiceTime{time.Second, 1}, true, Spent)
	if n := admitted(); n != 2 {
		t.Errorf("%d were admitted for one that was answered", n)
	}
}

package sink

import (
	"encoding/json"
	"io"
	"net/http"
	"net/url"
	"reflect"
	"strings"
	"testing"
	"time"
)

const newsletter = "From: Müller <a@example.com>\r\n" +
	"Subject: =?utf-8?q?Gr=C3=BC=C3=9Fe_<script>?=\r\n" +
	"Message-ID: <1@example.com>\r\n" +
	"Content-Type: multipart/mixed; boundary=m\r\n\r\n" +
	"--m\r\nContent-Type: multipart/related; boundary=r\r\n\r\n" +
	"--r\r\nContent-Type: multipart/alternative; boundary=a\r\n\r\n" +
	"--a\r\nContent-Type: text/plain; charset=iso-8859-1\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\nGr=FC=DFe <script>alert(1)</script>\r\n" +
	"--a\r\nContent-Type: text/html; charset=utf-8\r\n\r\n<p>Hello<script>alert(2)</script><img src=\"cid:logo%40x\"><img src='cid:none'></p>\r\n" +
	"--a--\r\n" +
	"--r\r\nContent-Type: image/png\r\nContent-ID: <logo@x>\r\nContent-Transfer-Encoding: base64\r\n\r\niVBORw==\r\n" +
	"--r--\r\n" +
	"--m\r\nContent-Type: text/html\r\nContent-Disposition: attachment; filename=\"../<b>.html\"\r\n\r\n<script>alert(3)</script>\r\n" +
	"--m--\r\n"

// browser gets pages of a server and keeps nothing between them.
type browser struct {
	t      *testing.T
	server *Server
}

func (b browser) do(method, path string, header http.Header) (status int, got http.Header, body string) {
	b.t.Helper()
	request, err := http.NewRequestWithContext(b.t.Context(), method, "http://"+b.server.HTTPAddr().String()+path, nil)
	if err != nil {
		b.t.Fatal(err)
	}
	if host := header.Get("Host"); host != "" {
		request.Host = host
	}
	request.Header = header.Clone()
	request.Close = true
	client := http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }, Timeout: hang}
	response, err := client.Do(request)
	if err != nil {
		b.t.Fatal(err)
	}
	defer response.Body.Close()
	content, err := io.ReadAll(response.Body)
	if err != nil {
		b.t.Fatal(err)
	}
	return response.StatusCode, response.Header, string(content)
}

func (b browser) get(path string) string {
	b.t.Helper()
	status, _, body := b.do("GET", path, nil)
	if status != http.StatusOK {
		b.t.Fatalf("GET %s: status %d, %s", path, status, body)
	}
	return body
}

func startWithPage(t *testing.T) (*Server, browser) {
	server := start(t, Options{HTTP: "127.0.0.1:0"})
	return server, browser{t, server}
}

// send sends the newsletter, and a plain message to another address.
func send(t *testing.T, server *Server) {
	c := dial(t, server)
	c.say(hello + envelope + "> DATA\n< 354\n")
	io.WriteString(c.conn, newsletter+".\r\n")
	c.say("< 250\n> MAIL FROM:<>\n< 250\n> RCPT TO:<other@example.net>\n< 250\n> DATA\n< 354\n> no header\n> .\n< 250\n")
}

func TestPageShowsMessages(t *testing.T) {
	server, b := startWithPage(t)
	if got := b.get("/"); !strings.Contains(got, "Nothing yet") || !strings.Contains(got, server.Addr().String()) {
		t.Errorf("empty list: %s", got)
	}
	send(t, server)
	tests := []struct{ path, has, hasNot string }{
		{"/", `<a href="/messages/1">Grüße &lt;script&gt;</a>`, "<script"},
		{"/", `<a href="/messages/2">(no subject)</a>`, ""},
		{"/", "<b>2</b> accepted", ""},
		{"/", "&lt;&gt;", ""},
		{"/?q=OTHER@", "/messages/2", "/messages/1"},
		{"/?q=b@ex", "/messages/1", "/messages/2"},
		{"/?q=" + url.QueryEscape("<script>"), "&lt;script&gt;", "<script"},
		{"/messages/1", `<iframe sandbox src="/messages/1/html"`, "<script"},
		{"/messages/1", "Grüße &lt;script&gt;alert(1)", ""},
		{"/messages/1", `<a href="/messages/1/parts/1">../&lt;b&gt;.html</a>`, ""},
		{"/messages/1", "<th>From</th><td>Müller &lt;a@example.com&gt;</td>", ""},
		{"/messages/2", "(no subject)", "<iframe"},
		{"/messages/1/html", `<img src="data:image/png;base64,iVBORw=="><img src='cid:none'>`, ""},
		{"/messages/1/source", newsletter, ""},
		{"/messages/1/parts/1", "<script>alert(3)</script>", ""},
		{"/style.css", "color-scheme: light dark", ""},
	}
	for _, tt := range tests {
		got := b.get(tt.path)
		if !strings.Contains(got, tt.has) {
			t.Errorf("GET %s: no %q in\n%s", tt.path, tt.has, got)
		}
		if tt.hasNot != "" && strings.Contains(got, tt.hasNot) {
			t.Errorf("GET %s: there is %q in\n%s", tt.path, tt.hasNot, got)
		}
	}
	for _, path := range []string{"/messages/3", "/messages/x", "/messages/-1", "/messages/1/parts/2", "/messages/1/parts/-1", "/api/messages/3", "/nothing"} {
		if status, _, _ := b.do("GET", path, nil); status != http.StatusNotFound {
			t.Errorf("GET %s: status %d, want 404", path, status)
		}
	}
}

// Nothing that came in a message runs, loads or is shown outside its frame.
func TestPageSandboxesMessages(t *testing.T) {
	server, b := startWithPage(t)
	send(t, server)
	tests := []struct{ path, policy, contentType, disposition string }{
		{"/", pagePolicy, "text/html; charset=utf-8", ""},
		{"/messages/1", pagePolicy, "text/html; charset=utf-8", ""},
		{"/messages/1/html", mailPolicy, "text/html; charset=utf-8", ""},
		{"/messages/1/source", mailPolicy, "text/plain; charset=utf-8", ""},
		{"/messages/1/parts/0", mailPolicy, "image/png", "attachment; filename=part-0"},
		{"/messages/1/parts/1", mailPolicy, "text/html", `attachment; filename="../<b>.html"`},
		{"/api/messages/1", pagePolicy, "application/json", ""},
	}
	for _, tt := range tests {
		_, got, _ := b.do("GET", tt.path, nil)
		for name, want := range map[string]string{
			"Content-Security-Policy": tt.policy, "Content-Type": tt.contentType, "Content-Disposition": tt.disposition,
			"X-Content-Type-Options": "nosniff", "Referrer-Policy": "same-origin",
		} {
			if got.Get(name) != want {
				t.Errorf("GET %s: %s: %q, want %q", tt.path, name, got.Get(name), want)
			}
		}
	}
	for _, policy := range []string{pagePolicy, mailPolicy} {
		if !strings.Contains(policy, "default-src 'none'") || strings.Contains(policy, "script-src") {
			t.Errorf("policy allows scripts: %s", policy)
		}
	}
	if !strings.HasPrefix(mailPolicy, "sandbox;") {
		t.Errorf("policy of mail has no empty sandbox: %s", mailPolicy)
	}
}

func TestAPI(t *testing.T) {
	server, b := startWithPage(t)
	if got := b.get("/api/messages"); got != "[]\n" {
		t.Errorf("empty list: %q", got)
	}
	send(t, server)
	var list []apiMessage
	if err := json.Unmarshal([]byte(b.get("/api/messages")), &list); err != nil {
		t.Fatal(err)
	}
	if len(list) != 2 || list[0].ID != 2 || list[1].ID != 1 {
		t.Fatalf("got %+v, want messages 2 and 1", list)
	}
	var m apiMessage
	if err := json.Unmarshal([]byte(b.get("/api/messages/1")), &m); err != nil {
		t.Fatal(err)
	}
	if time.Since(m.Time) > hang {
		t.Errorf("time %v", m.Time)
	}
	m.Time, m.Headers = time.Time{}, nil
	want := apiMessage{
		ID: 1, From: "a@example.com", To: []string{"b@example.com"}, Subject: "Grüße <script>", MessageID: "1@example.com", Size: len(newsletter),
		Text: "Grüße <script>alert(1)</script>", HTML: "<p>Hello<script>alert(2)</script><img src=\"cid:logo%40x\"><img src='cid:none'></p>",
		Attachments: []part{{Name: "", Type: "image/png", ContentID: "logo@x", Size: 4}, {Name: "../<b>.html", Type: "text/html", Size: 25}},
	}
	if !reflect.DeepEqual(m, want) {
		t.Errorf("got  %+v\nwant %+v", m, want)
	}
	if status, _, _ := b.do("DELETE", "/api/messages", nil); status != http.StatusNoContent {
		t.Errorf("DELETE: status %d", status)
	}
	if got := b.get("/api/messages"); got != "[]\n" {
		t.Errorf("after DELETE: %q", got)
	}
	if got := server.Counts().Accepted; got != 2 {
		t.Errorf("after DELETE: accepted %d, want still 2", got)
	}
}

func TestPageRefusesOtherSites(t *testing.T) {
	server, b := startWithPage(t)
	send(t, server)
	tests := []struct {
		method, path string
		header       http.Header
		want         int
	}{
		{"POST", "/clear", http.Header{"Sec-Fetch-Site": {"cross-site"}}, http.StatusForbidden},
		{"POST", "/clear", http.Header{"Origin": {"http://evil.example"}}, http.StatusForbidden},
		{"DELETE", "/api/messages", http.Header{"Origin": {"http://evil.example"}}, http.StatusForbidden},
		{"GET", "/api/messages", http.Header{"Host": {"evil.example"}}, http.StatusMisdirectedRequest},
		{"GET", "/", http.Header{"Host": {"localhost:1080"}}, http.StatusOK},
		{"GET", "/", http.Header{"Host": {"[::1]:1080"}}, http.StatusOK},
		{"GET", "/messages/1", nil, http.StatusOK},
		{"POST", "/clear", http.Header{"Sec-Fetch-Site": {"same-origin"}}, http.StatusSeeOther},
		{"GET", "/messages/1", nil, http.StatusNotFound},
	}
	for _, tt := range tests {
		if got, _, _ := b.do(tt.method, tt.path, tt.header); got != tt.want {
			t.Errorf("%s %s with %v: status %d, want %d", tt.method, tt.path, tt.header, got, tt.want)
		}
	}
}

func TestInboxIsBounded(t *testing.T) {
	tests := map[string]struct {
		messages int
		bytes    int64
		sizes    []int
		want     []int64
	}{
		"by number":           {2, 1 << 30, []int{1, 1, 1}, []int64{3, 2}},
		"by octets":           {100, 3000, []int{1000, 1000, 1000}, []int64{3}},
		"a large one at last": {100, 3000, []int{10, 5000}, nil},
		"a large one before":  {100, 3000, []int{5000, 10}, []int64{2}},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			box := newInbox(tt.messages, tt.bytes)
			for i, size := range tt.sizes {
				box.add(Message{ID: int64(i + 1), Data: make([]byte, size)})
			}
			var got []int64
			var cost int64
			for _, k := range box.list("") {
				got = append(got, k.ID)
				cost += k.cost()
			}
			if !reflect.DeepEqual(got, tt.want) {
				t.Errorf("kept %v, want %v", got, tt.want)
			}
			if cost != box.bytes {
				t.Errorf("counts %d octets, has %d", box.bytes, cost)
			}
		})
	}
}

package sink

import (
	"embed"
	"encoding/json"
	"fmt"
	"html/template"
	"mime"
	"net"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/dustin/go-humanize"
)

//go:embed web
var web embed.FS

const (
	// Our own pages: their style sheet and the frame, nothing else. There is no script in them.
	pagePolicy = "default-src 'none'; style-src 'self'; frame-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"

	// What came from outside: no script, no network, no origin; images only from within the message.
	mailPolicy = "sandbox; default-src 'none'; img-src data:; style-src 'unsafe-inline'; form-action 'none'; base-uri 'none'; frame-ancestors 'self'"
)

// A page shows the inbox to a browser and, as JSON, to scripts.
type page struct {
	srv   *Server
	inbox *inbox
	list  *template.Template
	view  *template.Template
}

// newPage returns the handler. It refuses requests that another web site makes the browser send.
func newPage(s *Server) http.Handler {
	funcs := template.FuncMap{
		"clock": func(t time.Time) string { return t.Format("2006-01-02 15:04:05") },
		"size":  func(n int) string { return humanize.IBytes(uint64(n)) },
		"join":  func(list []string) string { return strings.Join(list, ", ") },
	}
	load := func(name string) *template.Template {
		return template.Must(template.New(name).Funcs(funcs).ParseFS(web, "web/layout.html", "web/"+name))
	}
	p := &page{srv: s, inbox: s.inbox, list: load("list.html"), view: load("message.html")}

	mux := http.NewServeMux()
	mux.HandleFunc("GET /{$}", p.showList)
	mux.HandleFunc("POST /clear", p.clear)
	mux.HandleFunc("GET /style.css", p.style)
	mux.HandleFunc("GET /messages/{id}", p.withMessage(p.showMessage))
	mux.HandleFunc("GET /messages/{id}/html", p.withMessage(p.showHTML))
	mux.HandleFunc("GET /messages/{id}/source", p.withMessage(p.showSource))
	mux.HandleFunc("GET /messages/{id}/parts/{part}", p.withMessage(p.showPart))
	mux.HandleFunc("GET /api/messages", p.apiList)
	mux.HandleFunc("GET /api/messages/{id}", p.withMessage(p.apiMessage))
	mux.HandleFunc("DELETE /api/messages", p.apiClear)

	guarded := http.NewCrossOriginProtection().Handler(mux)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !hostAllowed(r) {
			http.Error(w, "this page is reached by its IP address or as localhost", http.StatusMisdirectedRequest)
			return
		}
		h := w.Header()
		h.Set("Content-Security-Policy", pagePolicy)
		h.Set("X-Content-Type-Options", "nosniff")
		h.Set("Referrer-Policy", "same-origin") // with no-referrer the Clear button would come without an Origin
		h.Set("Cache-Control", "no-store")
		guarded.ServeHTTP(w, r)
	})
}

// hostAllowed refuses every name but localhost for a loopback address: a web site could point its own name there (DNS
// rebinding) and read the mail as if it were its own.
func hostAllowed(r *http.Request) bool {
	local, ok := r.Context().Value(http.LocalAddrContextKey).(*net.TCPAddr)
	if !ok || !local.IP.IsLoopback() {
		return true
	}
	host := r.Host
	if name, _, err := net.SplitHostPort(host); err == nil {
		host = name
	}
	return host == "localhost" || net.ParseIP(strings.Trim(host, "[]")) != nil
}

// withMessage finds the message that the path names and takes it apart.
func (p *page) withMessage(show func(http.ResponseWriter, *http.Request, kept, view)) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		id, err := strconv.ParseInt(r.PathValue("id"), 10, 64)
		k, ok := p.inbox.get(id)
		if err != nil || !ok {
			http.Error(w, "no such message: only the newest ones are kept", http.StatusNotFound)
			return
		}
		show(w, r, k, parse(k.Data))
	}
}

func (p *page) render(w http.ResponseWriter, t *template.Template, data any) {
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	if err := t.ExecuteTemplate(w, "layout.html", data); err != nil {
		p.srv.opts.Log.Debug("page not sent", "error", err.Error())
	}
}

func (p *page) showList(w http.ResponseWriter, r *http.Request) {
	search := r.FormValue("q")
	p.render(w, p.list, map[string]any{
		"Title": "Messages", "Search": search, "Messages": p.inbox.list(search), "Counts": p.srv.Counts(), "Address": p.srv.Addr().String(),
	})
}

func (p *page) showMessage(w http.ResponseWriter, _ *http.Request, k kept, v view) {
	p.render(w, p.view, map[string]any{"Title": k.Subject, "Message": k, "View": v})
}

func (p *page) showHTML(w http.ResponseWriter, _ *http.Request, _ kept, v view) {
	w.Header().Set("Content-Security-Policy", mailPolicy)
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	fmt.Fprint(w, v.inlineHTML())
}

func (p *page) showSource(w http.ResponseWriter, _ *http.Request, k kept, _ view) {
	w.Header().Set("Content-Security-Policy", mailPolicy)
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	w.Write(k.Data)
}

// showPart sends a part for saving, never for showing.
func (p *page) showPart(w http.ResponseWriter, r *http.Request, _ kept, v view) {
	n, err := strconv.Atoi(r.PathValue("part"))
	if err != nil || n < 0 || n >= len(v.Parts) {
		http.Error(w, "no such part", http.StatusNotFound)
		return
	}
	found := v.Parts[n]
	contentType := mime.FormatMediaType(found.Type, nil)
	if contentType == "" {
		contentType = defaultType
	}
	name := found.Name
	if name == "" {
		name = fmt.Sprintf("part-%d", n)
	}
	w.Header().Set("Content-Security-Policy", mailPolicy)
	w.Header().Set("Content-Type", contentType)
	w.Header().Set("Content-Disposition", mime.FormatMediaType("attachment", map[string]string{"filename": name}))
	w.Write(found.data)
}

func (p *page) style(w http.ResponseWriter, r *http.Request) {
	http.ServeFileFS(w, r, web, "web/style.css")
}

func (p *page) clear(w http.ResponseWriter, r *http.Request) {
	p.inbox.clear()
	http.Redirect(w, r, "/", http.StatusSeeOther)
}

// An apiMessage is a message in JSON; the list leaves out what is below Size.
type apiMessage struct {
	ID        int64     `json:"id"`
	Time      time.Time `json:"time"`
	From      string    `json:"from"`
	To        []string  `json:"to"`
	Subject   string    `json:"subject"`
	MessageID string    `json:"message_id"`
	Size      int       `json:"size"`

	Headers     []headerField `json:"headers,omitempty"`
	Text        string        `json:"text,omitempty"`
	HTML        string        `json:"html,omitempty"`
	Attachments []part        `json:"attachments,omitempty"`
	Problem     string        `json:"problem,omitempty"`
}

func newAPIMessage(k kept) apiMessage {
	return apiMessage{ID: k.ID, Time: k.Time, From: k.From, To: k.To, Subject: k.Subject, MessageID: k.MessageID, Size: len(k.Data)}
}

func (p *page) apiList(w http.ResponseWriter, r *http.Request) {
	list := []apiMessage{}
	for _, k := range p.inbox.list(r.FormValue("q")) {
		list = append(list, newAPIMessage(k))
	}
	p.sendJSON(w, list)
}

func (p *page) apiMessage(w http.ResponseWriter, _ *http.Request, k kept, v view) {
	m := newAPIMessage(k)
	m.Headers, m.Text, m.HTML, m.Attachments, m.Problem = v.Headers, v.Text, v.HTML, v.Parts, v.Problem
	p.sendJSON(w, m)
}

func (p *page) sendJSON(w http.ResponseWriter, v any) {
	w.Header().Set("Content-Type", "application/json")
	if err := json.NewEncoder(w).Encode(v); err != nil {
		p.srv.opts.Log.Debug("answer not sent", "error", err.Error())
	}
}

func (p *page) apiClear(w http.ResponseWriter, _ *http.Request) {
	p.inbox.clear()
	w.WriteHeader(http.StatusNoContent)
}

package sink

import (
	"bytes"
	"encoding/base64"
	"errors"
	"html"
	"io"
	"mime"
	"net/url"
	"regexp"
	"strings"

	"github.com/emersion/go-message"
)

const (
	maxParts    = 200
	maxDepth    = 20
	maxBody     = 4 << 20 // octets of a text that are shown
	maxInline   = 4 << 20 // octets of all inline images in the HTML
	defaultType = "application/octet-stream"
)

// A view is a message taken apart for reading.
type view struct {
	Headers []headerField
	Text    string // the first text/plain part
	HTML    string // the first text/html part
	HasText bool
	HasHTML bool
	Parts   []part // everything else: attachments and inline images
	Problem string // why the message could not be read to its end; "" when it could
}

type headerField struct {
	Name  string `json:"name"`
	Value string `json:"value"`
}

// A part is an attachment or an inline image.
type part struct {
	Name      string `json:"name"`
	Type      string `json:"type"`
	ContentID string `json:"content_id,omitempty"`
	Size      int    `json:"size"`
	data      []byte
}

var errBounds = errors.New("too many or too deeply nested parts")

// parse takes a message apart. It accepts any input, and shows as much as it can.
func parse(data []byte) view {
	var v view
	for field := range headerFields(data) {
		if name, value, ok := strings.Cut(field, ":"); ok {
			v.Headers = append(v.Headers, headerField{strings.ToValidUTF8(name, "\uFFFD"), decodeText(strings.TrimSpace(value))})
		}
	}
	entity, err := message.Read(bytes.NewReader(data))
	if entity == nil {
		v.Problem = problem(err)
		return v
	}
	count := 0
	err = entity.Walk(func(path []int, e *message.Entity, err error) error {
		if count++; count > maxParts || len(path) > maxDepth {
			return errBounds
		}
		if err != nil {
			v.Problem = problem(err)
		}
		return v.add(e)
	})
	if err != nil {
		v.Problem = problem(err)
	}
	return v
}

// problem makes an error printable: it may quote the message.
func problem(err error) string { return strings.ToValidUTF8(err.Error(), "\uFFFD") }

func (v *view) add(e *message.Entity) error {
	mediaType, params, err := e.Header.ContentType()
	if err != nil || mediaType == "" {
		mediaType = "text/plain"
	}
	if strings.HasPrefix(mediaType, "multipart/") {
		return nil
	}
	disposition, dparams, _ := e.Header.ContentDisposition()
	body, err := io.ReadAll(e.Body)
	text := func() string { return strings.ToValidUTF8(string(body[:min(len(body), maxBody)]), "\uFFFD") }
	switch {
	case disposition != "attachment" && mediaType == "text/plain" && !v.HasText:
		v.Text, v.HasText = text(), true
	case disposition != "attachment" && mediaType == "text/html" && !v.HasHTML:
		v.HTML, v.HasHTML = text(), true
	default:
		name := dparams["filename"]
		if name == "" {
			name = params["name"]
		}
		v.Parts = append(v.Parts, part{
			Name:      decodeText(name),
			Type:      strings.ToValidUTF8(mediaType, "\uFFFD"),
			ContentID: strings.ToValidUTF8(strings.Trim(e.Header.Get("Content-Id"), "<> "), "\uFFFD"),
			Size:      len(body),
			data:      body,
		})
	}
	return err
}

var cidURL = regexp.MustCompile(`(?i)cid:[^"'\s)>]+`)

// inlineHTML returns the HTML with its cid: images (RFC 2392) as data: URLs, since the frame that shows it may load
// nothing.
func (v *view) inlineHTML() string {
	images := map[string]string{}
	room := maxInline
	for _, p := range v.Parts {
		if p.ContentID == "" || !strings.HasPrefix(p.Type, "image/") || p.Size > room || mime.FormatMediaType(p.Type, nil) == "" {
			continue
		}
		room -= p.Size
		images[p.ContentID] = "data:" + p.Type + ";base64," + base64.StdEncoding.EncodeToString(p.data)
	}
	if len(images) == 0 {
		return v.HTML
	}
	used := 0
	return cidURL.ReplaceAllStringFunc(v.HTML, func(found string) string {
		id := html.UnescapeString(found[len("cid:"):])
		if plain, err := url.PathUnescape(id); err == nil {
			id = plain
		}
		image, ok := images[id]
		// An image may be shown many times, but the page must not grow without bound.
		if used += len(image); !ok || used > 4*maxInline {
			return found
		}
		return image
	})
}

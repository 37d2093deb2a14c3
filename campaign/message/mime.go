package message

import (
	"encoding/base64"
	"fmt"
	"maps"
	"net/http"
	"path"
	"regexp"
	"slices"
	"strings"
	"unicode/utf8"

	"mailblast/campaign/finding"
	"mailblast/campaign/message/header"
	"mailblast/campaign/text"
)

// A mimeTree is the message below its own header fields, laid out once: what comes before each recipient's parts, and what
// follows the last of them. go-simple-mail is not used for it: mending its line ends, file names and header order would take
// more work than these few lines.
type mimeTree struct {
	boundary string // the common beginning of all boundaries
	text     string // from the end of the message's own header to the Content-Transfer-Encoding of the text part
	html     string // from the end of the text part to the Content-Transfer-Encoding of the HTML part; empty: there is none
	tail     []byte
}

// An attachment is a file of the message, encoded.
type attachment struct {
	mediaType, name string
	id              string // Content-ID without angle brackets; empty: the file is not inline
	base64          []byte
}

// layOut builds the tree: mixed(related(alternative(text, html), inline…), attachments…), without the levels that are not
// needed. The boundaries come from a hash of the campaign, so the same campaign always gives the same message. =_ cannot
// occur in quoted-printable (RFC 2045 section 6.7), and Compose looks for it in what goes out as 7bit.
func layOut(hash string, hasHTML bool, inline, attachments []attachment) mimeTree {
	t := mimeTree{boundary: "=_" + hash}
	mixed, related, alternative := t.boundary+"m", t.boundary+"r", t.boundary+"a"
	var head strings.Builder
	open := func(subtype, boundary string) {
		fmt.Fprintf(&head, "Content-Type: multipart/%s;\r\n boundary=\"%s\"\r\n\r\n--%s\r\n", subtype, boundary, boundary)
	}
	if len(attachments) > 0 {
		open("mixed", mixed)
	}
	if len(inline) > 0 {
		open(`related; type="multipart/alternative"`, related)
	}
	if hasHTML {
		open("alternative", alternative)
		t.html = fmt.Sprintf("--%s\r\nContent-Type: text/html; charset=utf-8\r\nContent-Transfer-Encoding: ", alternative)
		t.tail = fmt.Appendf(t.tail, "--%s--\r\n", alternative)
	}
	head.WriteString("Content-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: ")
	t.text = head.String()
	for _, level := range []struct {
		boundary string
		files    []attachment
	}{{related, inline}, {mixed, attachments}} {
		for _, a := range level.files {
			t.tail = a.append(fmt.Appendf(t.tail, "--%s\r\n", level.boundary))
		}
		if len(level.files) > 0 {
			t.tail = fmt.Appendf(t.tail, "--%s--\r\n", level.boundary)
		}
	}
	return t
}

func (a attachment) append(dst []byte) []byte {
	disposition := "attachment"
	if a.id != "" {
		disposition = "inline"
	}
	dst = header.AppendName(fmt.Appendf(dst, "Content-Type: %s", a.mediaType), a.name)
	dst = fmt.Appendf(dst, "\r\nContent-Transfer-Encoding: base64\r\nContent-Disposition: %s", disposition)
	dst = append(header.AppendFilename(dst, a.name), crlf...)
	if a.id != "" {
		dst = fmt.Appendf(dst, "Content-ID: <%s>\r\n", a.id)
	}
	return append(append(dst, crlf...), a.base64...)
}

// newAttachment encodes a file. The last part of the path is its name.
func newAttachment(file string, content []byte) attachment {
	name := text.OneLine(path.Base(strings.ReplaceAll(file, `\`, "/")))
	return attachment{name: name, mediaType: mediaType(name, content), base64: appendBase64(nil, content)}
}

// appendBase64 appends content as base64 in lines of 76 (RFC 2045 section 6.8).
func appendBase64(dst, content []byte) []byte {
	const line = 57 // octets that make 76 characters
	for len(content) > 0 {
		n := min(line, len(content))
		dst = append(base64.StdEncoding.AppendEncode(dst, content[:n]), crlf...)
		content = content[n:]
	}
	return dst
}

// mediaTypes are the usual files of a campaign. We have our own list, because that of package mime depends on the machine.
var mediaTypes = map[string]string{
	".csv": "text/csv", ".htm": "text/html", ".html": "text/html", ".ics": "text/calendar", ".md": "text/markdown",
	".txt": "text/plain", ".vcf": "text/vcard", ".xml": "text/xml",
	".avif": "image/avif", ".gif": "image/gif", ".jpeg": "image/jpeg", ".jpg": "image/jpeg", ".png": "image/png",
	".svg": "image/svg+xml", ".webp": "image/webp",
	".m4a": "audio/mp4", ".mp3": "audio/mpeg", ".mp4": "video/mp4",
	".doc": "application/msword", ".json": "application/json", ".pdf": "application/pdf", ".rtf": "application/rtf",
	".ppt": "application/vnd.ms-powerpoint", ".xls": "application/vnd.ms-excel", ".zip": "application/zip",
	".docx": "application/vnd.openxmlformats-officedocument.wordprocessingml.document",
	".pptx": "application/vnd.openxmlformats-officedocument.presentationml.presentation",
	".xlsx": "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
	".odp":  "application/vnd.oasis.opendocument.presentation", ".ods": "application/vnd.oasis.opendocument.spreadsheet",
	".odt": "application/vnd.oasis.opendocument.text",
	// base64 is not allowed for message/rfc822 (RFC 2046 section 5.2.1).
	".eml": "application/octet-stream",
}

func mediaType(name string, content []byte) string {
	t := mediaTypes[strings.ToLower(path.Ext(name))]
	if t == "" {
		t = http.DetectContentType(content)
	}
	if strings.HasPrefix(t, "text/") && !strings.Contains(t, ";") && utf8.Valid(content) {
		t += "; charset=utf-8"
	}
	if method := calendarMethod(content); method != "" && strings.HasPrefix(t, "text/calendar") {
		t += "; method=" + method
	}
	return t
}

// inlineName matches what may stand in a cid: URL and in a Content-ID as it is (RFC 2392, RFC 5322 section 3.2.3).
var inlineName = regexp.MustCompile(`^[A-Za-z0-9_-]+(\.[A-Za-z0-9_-]+)*$`)

// attachments reads and encodes the attachments.
func (c *compiler) attachments() []attachment {
	var all []attachment
	for _, file := range c.file.Attachments {
		if content, ok := c.readFile(file); ok {
			all = append(all, newAttachment(file, content))
		}
	}
	return all
}

// inlineFiles are the inline files of a campaign, and what the HTML refers to of them.
type inlineFiles struct {
	attachments []attachment
	files       map[string]string // the path of each, by its name
	domain      string            // of their Content-IDs, with its @
	referred    map[string]bool   // by name
}

// readInline reads and encodes the inline files.
func (c *compiler) readInline() *inlineFiles {
	all := &inlineFiles{files: map[string]string{}, referred: map[string]bool{}}
	for i, file := range c.file.Inline {
		key := fmt.Sprintf("inline[%d]", i)
		content, ok := c.readFile(file)
		a := newAttachment(file, content)
		if first, twice := all.files[a.name]; twice {
			c.report(c.file.At(key, fmt.Sprintf("inline: %s has the same name as %s", text.Quoted(file), text.Quoted(first))))
			continue
		}
		if !inlineName.MatchString(a.name) {
			f := c.file.At(key, fmt.Sprintf("inline: %s cannot stand in a cid: address", text.Quoted(a.name)))
			f.Hint = "rename the file: letters, digits, - and _ with single dots between"
			c.report(f)
		}
		all.files[a.name] = file
		if ok {
			all.attachments = append(all.attachments, a)
		}
	}
	all.domain = "@" + c.sum()[:16] + ".mailblast"
	for i := range all.attachments {
		all.attachments[i].id = all.attachments[i].name + all.domain
	}
	return all
}

// refer completes a reference: cid:logo.png becomes cid:logo.png@HASH.mailblast, because a Content-ID is a message id and
// unique in the world (RFC 2045 section 7). It reports a name that no inline file has.
func (all *inlineFiles) refer(c *compiler, file string, offset int, name string) string {
	all.referred[name] = true
	if all.files[name] != "" {
		return name + all.domain
	}
	hint := finding.DidYouMean(name, slices.Sorted(maps.Keys(all.files)))
	if hint == "" {
		hint = "list the file under inline:, and write its name out in the template"
	}
	if markdown, ok := strings.CutSuffix(file, asHTML); ok {
		file, offset = markdown, strings.Index(c.sources[markdown], "cid:"+name)
	} else {
		offset -= len("cid:")
	}
	c.reportAt(file, offset, fmt.Sprintf("cid:%s refers to no inline file", text.QuoteControl(name)), hint)
	return name
}

// reportUnused reports the inline files that nothing refers to.
func (all *inlineFiles) reportUnused(c *compiler) {
	for i, file := range c.file.Inline {
		if name := path.Base(file); !all.referred[name] && all.files[name] == file {
			f := c.file.At(fmt.Sprintf("inline[%d]", i), fmt.Sprintf("inline: nothing in the HTML refers to %s", text.Quoted(name)))
			f.Hint = fmt.Sprintf(`refer to it, as in <img src="cid:%s">, or make it an attachment`, name)
			c.report(f)
		}
	}
}

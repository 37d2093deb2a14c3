package plaintext

import (
	"regexp"
	"slices"
	"strings"

	"golang.org/x/net/html"
	"golang.org/x/net/html/atom"
)

// A display is how an element takes part in the layout.
type display int

const (
	inline    display = iota
	block             // on lines of its own
	paragraph         // a block with space above and below
	none              // not shown
)

var displays = map[atom.Atom]display{
	atom.Address: block, atom.Article: block, atom.Aside: block, atom.Body: block, atom.Caption: block, atom.Center: block, atom.Dd: block,
	atom.Details: block, atom.Dialog: none, atom.Div: block, atom.Dt: block, atom.Fieldset: block, atom.Figcaption: block, atom.Footer: block,
	atom.Form: block, atom.Header: block, atom.Hgroup: block, atom.Legend: block, atom.Li: block, atom.Main: block, atom.Nav: block,
	atom.Option: block, atom.Search: block, atom.Section: block, atom.Summary: block, atom.Table: block, atom.Tr: block,

	atom.Blockquote: paragraph, atom.Dl: paragraph, atom.Figure: paragraph, atom.H1: paragraph, atom.H2: paragraph, atom.H3: paragraph,
	atom.H4: paragraph, atom.H5: paragraph, atom.H6: paragraph, atom.Hr: paragraph, atom.Menu: paragraph, atom.Ol: paragraph,
	atom.P: paragraph, atom.Pre: paragraph, atom.Ul: paragraph,

	atom.Area: none, atom.Audio: none, atom.Base: none, atom.Canvas: none, atom.Datalist: none, atom.Embed: none, atom.Head: none,
	atom.Iframe: none, atom.Input: none, atom.Link: none, atom.Map: none, atom.Meta: none, atom.Noembed: none, atom.Noframes: none,
	atom.Object: none, atom.Param: none, atom.Rp: none, atom.Script: none, atom.Select: none, atom.Source: none, atom.Style: none,
	atom.Svg: none, atom.Template: none, atom.Textarea: none, atom.Title: none, atom.Track: none, atom.Video: none,
}

// displayOf is how an element is shown, by what it is and by its style attribute.
func (w *writer) displayOf(n *html.Node) display {
	d := displays[n.DataAtom]
	if d == none || w.isHidden(n) {
		return none
	}
	style := declarations(attribute(n, "style"))
	switch value := style["display"]; {
	case value == "none", style["visibility"] == "hidden", zero(style["opacity"]), style["mso-hide"] == "all" && style["max-height"] == "0":
		return none
	case zero(style["max-height"]) && style["overflow"] == "hidden", zero(style["height"]) && style["overflow"] == "hidden" && zero(style["width"]):
		return none
	case value == "inline", value == "inline-block", value == "inline-flex", value == "contents":
		return inline
	case d == inline && slices.Contains([]string{"block", "flex", "grid", "list-item", "table", "table-row", "flow-root"}, value):
		return block
	}
	return d
}

// zero says whether a value is 0, with a unit or without.
func zero(value string) bool {
	number := strings.TrimRight(value, "abcdefghijklmnopqrstuvwxyz%")
	return number != "" && strings.Trim(number, "0.") == ""
}

// keepsSpace says whether an element's style keeps its white space as <pre> does.
func keepsSpace(n *html.Node) bool {
	value := declarations(attribute(n, "style"))["white-space"]
	return strings.HasPrefix(value, "pre") || value == "break-spaces"
}

// isBox says whether an inline element looks like a block beside another: no reader sees its words touch those beside it.
func (w *writer) isBox(n *html.Node) bool {
	switch displays[n.DataAtom] {
	case block, paragraph:
		return true
	}
	if n.DataAtom == atom.Button {
		return true
	}
	switch declarations(attribute(n, "style"))["display"] {
	case "table-cell", "inline-table", "inline-flex":
		return true
	case "inline-block":
		return n.DataAtom == atom.A
	}
	return false
}

// declarations reads the value of a style attribute. What a browser that does not know !important would drop does not matter.
func declarations(style string) map[string]string {
	if style == "" {
		return nil
	}
	all := map[string]string{}
	for declaration := range strings.SplitSeq(style, ";") {
		name, value, ok := strings.Cut(declaration, ":")
		if !ok {
			continue
		}
		value, _, _ = strings.Cut(strings.ToLower(value), "!")
		all[strings.ToLower(strings.TrimSpace(name))] = strings.TrimSpace(value)
	}
	return all
}

func attribute(n *html.Node, name string) string {
	for _, a := range n.Attr {
		if a.Key == name {
			return a.Val
		}
	}
	return ""
}

func hasAttribute(n *html.Node, name string) bool {
	return slices.ContainsFunc(n.Attr, func(a html.Attribute) bool { return a.Key == name })
}

// isHidden says whether the attribute hidden, or a rule of a style sheet, hides an element.
func (w *writer) isHidden(n *html.Node) bool {
	if hasAttribute(n, "hidden") {
		return true
	}
	if len(w.hidden) == 0 {
		return false
	}
	if id := attribute(n, "id"); id != "" && w.hidden["#"+id] {
		return true
	}
	for class := range strings.FieldsSeq(attribute(n, "class")) {
		if w.hidden["."+class] || w.hidden[n.Data+"."+class] {
			return true
		}
	}
	return false
}

var (
	cssComment = regexp.MustCompile(`(?s)/\*.*?\*/|<!--|-->`)
	cssRule    = regexp.MustCompile(`([^{}]*)\{([^{}]*)\}`)
	plainRule  = regexp.MustCompile(`^(?:[a-z0-9]*\.[\w-]+|[a-z0-9]*#[\w-]+)$`)
)

// hiddenSelectors are the classes and ids that the style sheets of a page hide, by rules that hold everywhere: those in
// @media and the like may not.
func hiddenSelectors(doc *html.Node) map[string]bool {
	var hidden map[string]bool
	for n := range doc.Descendants() {
		if n.DataAtom != atom.Style || n.FirstChild == nil || !everywhere(attribute(n, "media")) {
			continue
		}
		for _, rule := range cssRule.FindAllStringSubmatch(topLevel(atURL.ReplaceAllString(cssComment.ReplaceAllString(n.FirstChild.Data, ""), "@import ")), -1) {
			if declarations(rule[2])["display"] != "none" {
				continue
			}
			for selector := range strings.SplitSeq(rule[1], ",") {
				if selector = strings.TrimSpace(selector); plainRule.MatchString(selector) {
					if hidden == nil {
						hidden = map[string]bool{}
					}
					hidden[selector] = true
				}
			}
		}
	}
	return hidden
}

// everywhere says whether a style sheet for such media holds on each screen.
func everywhere(media string) bool {
	media = strings.ToLower(strings.TrimSpace(media))
	return media == "" || media == "all" || media == "screen"
}

// atURL is the address in an @import, which may hold the signs that end a rule.
var atURL = regexp.MustCompile(`(?i)@import\s+(?:url\(\s*)?(?:"[^"]*"|'[^']*'|[^\s)'"]*)`)

// topLevel leaves out the blocks of @ rules.
func topLevel(css string) string {
	var out strings.Builder
	for {
		at := strings.IndexByte(css, '@')
		if at < 0 {
			out.WriteString(css)
			return out.String()
		}
		out.WriteString(css[:at])
		css = css[at:]
		end := strings.IndexAny(css, ";{")
		if end < 0 {
			return out.String()
		}
		if css[end] == '{' {
			depth := 0
			for ; end < len(css); end++ {
				if css[end] == '{' {
					depth++
				} else if css[end] == '}' {
					if depth--; depth == 0 {
						break
					}
				}
			}
		}
		css = css[min(end+1, len(css)):]
	}
}

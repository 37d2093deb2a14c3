package message

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
	"unicode/utf8"

	"mailblast/campaign/finding"
	"mailblast/campaign/text"
)

// A leftover is a merge tag of another program in the text of a template. It would be sent as it stands, so Compile warns of it.
// Whether one was meant is not certain: such marks can be text as well, and nothing is refused because of them.

// A tagForm is how another program writes a merge tag.
type tagForm struct {
	form *regexp.Regexp // from the beginning of a text; its group is the name of the field
	// sure says that nobody writes this for anything else. The other forms are tags only if a field has the name.
	sure bool
	// exact says that the name must be that of a field to the letter, because the marks are usual around words.
	exact bool
}

// maxTag bounds a tag, in octets.
const maxTag = 200

// A name has at least two letters, so that [x] is the box of a list.
const (
	tagName = `\s*(\pL[\pL\pN\pM_ .'’-]{0,40}[\pL\pN\pM])\s*`
	tagWord = `(\pL[\pL\pN\pM_.-]{0,40}[\pL\pN\pM])`
)

// tagForms are the forms by the octet that they begin with.
var tagForms = map[byte][]tagForm{
	'*': {{form: regexp.MustCompile(`^\*\|([^|*\n{}<>]{1,60})\|\*`), sure: true}}, // *|FNAME|*
	'%': {
		{form: regexp.MustCompile(`^%%` + tagName + `%%`), sure: true},  // %%First Name%%
		{form: regexp.MustCompile(`^%%=([^\n]{1,80}?)=%%`), sure: true}, // %%=v(@name)=%%
		{form: regexp.MustCompile(`^%` + tagWord + `%`)},                // %FIRSTNAME%, %recipient.name%
	},
	'{': {
		{form: regexp.MustCompile(`^\{%-?\s*(\pL[^%\n]{0,80}?)\s*-?%\}`), sure: true}, // {% if name %}
		{form: regexp.MustCompile(`^\{\$?` + tagName + `\}`)},                         // {name}, ${name}, {$name}
	},
	'<': {
		{form: regexp.MustCompile(`^<%=?\s*(\pL[^%\n<>]{0,60}?)\s*%>`), sure: true}, // <%= recipient.name %>
		{form: regexp.MustCompile(`^<<` + tagName + `>>`)},                          // <<name>>
	},
	'&':    {{form: regexp.MustCompile(`^&lt;&lt;` + tagName + `&gt;&gt;`)}},
	'[':    {{form: regexp.MustCompile(`^\[\[?` + tagName + `(?:,[^\]\n]{0,60})?\]\]?`)}}, // [NAME], [firstname,fallback=x]
	'\xc2': {{form: regexp.MustCompile(`^«` + tagName + `»`), exact: true}},               // «First_Name»
	'#':    {{form: regexp.MustCompile(`^#` + tagWord + `#`), exact: true}},               // #name#
}

// noText matches what a person does not read in HTML: styles, scripts and comments.
var noText = regexp.MustCompile(`(?is)<style\b.*?</style\s*>|<script\b.*?</script\s*>|<!--.*?-->`)

// A leftoverFinder looks for merge tags in the text of one template.
type leftoverFinder struct {
	compiler *compiler
	file     string
	template string
	format   format
	hidden   [][]int // what noText matches, once it was looked for
	searched bool
	seen     map[string]bool
	open     openBlocks
}

// warnLeftovers warns of the merge tags of other programs in a template, of each once.
func (c *compiler) warnLeftovers(file, template string, format format) {
	l := &leftoverFinder{compiler: c, file: file, template: template, format: format, seen: map[string]bool{}}
	from := 0
	eachAction(template, func(a action) {
		l.look(from, a.start-len("{{"))
		from = min(a.end()+len("}}"), len(template))
		l.open.follow(a)
	})
	l.look(from, len(template))
}

// look looks through a part of the template that is no action.
func (l *leftoverFinder) look(from, to int) {
	for at := from; at < to; at++ {
		forms := tagForms[l.template[at]]
		if forms == nil {
			continue
		}
		part := l.template[at:min(to, at+maxTag)]
		for _, form := range forms {
			if m := form.form.FindStringSubmatch(part); m != nil && l.tag(form, at, m[0], m[1]) {
				at += len(m[0]) - 1
				break
			}
		}
	}
}

// tag warns of a tag, if it is one.
func (l *leftoverFinder) tag(form tagForm, at int, tag, name string) bool {
	field := l.compiler.meant(form, name)
	if field == "" && !form.sure || !form.sure && l.isHidden(at) || l.format == formatMarkdown && isReference(l.template, tag, at+len(tag)) {
		return false
	}
	if !l.seen[tag] {
		l.seen[tag] = true
		l.compiler.warn(l.file, at, fmt.Sprintf("%s is no merge field here, and is sent as it stands", text.Quoted(tag)), l.instead(name, field))
	}
	return true
}

// isHidden reports whether no person reads what stands there.
func (l *leftoverFinder) isHidden(at int) bool {
	if l.format == formatText {
		return false
	}
	if !l.searched {
		l.hidden, l.searched = noText.FindAllStringIndex(l.template, -1), true
	}
	return slices.ContainsFunc(l.hidden, func(r []int) bool { return r[0] <= at && at < r[1] })
}

// condition matches what begins, divides or ends a block in other languages.
var condition = regexp.MustCompile(`(?i)^(?:if|else|elseif|elsif|end|endif|for|endfor|unless|case|when|foreach)\b`)

// instead is the hint for a tag that means a field, or something else.
func (l *leftoverFinder) instead(name, field string) string {
	switch {
	case field != "":
		return "for the field write " + l.compiler.write(l.open.row(), field)
	case condition.MatchString(name):
		return blocks['#']
	}
	return "columns: " + l.compiler.written
}

// meant returns the field that a tag means, or "".
func (c *compiler) meant(form tagForm, name string) string {
	switch {
	case !form.exact:
		return c.guessForeign(name)
	case slices.Contains(c.fields, name):
		return name
	}
	return ""
}

// isReference reports whether a tag in brackets is a link, an image or a footnote of Markdown.
func isReference(template, tag string, end int) bool {
	if !strings.HasPrefix(tag, "[") {
		return false
	}
	next, _ := utf8.DecodeRuneInString(template[end:])
	before, _ := utf8.DecodeLastRuneInString(template[:end-len(tag)])
	return strings.ContainsRune("([:", next) || strings.ContainsRune("]!^", before) || strings.Contains(template, tag+":")
}

// warn adds a warning at an octet of a template.
func (c *compiler) warn(file string, offset int, message, hint string) {
	c.warnings = append(c.warnings, c.findingAt(file, offset, message, hint))
}

// Warnings are what the author of the campaign may have overlooked, in the order of the files. They are no faults.
func (m *Compiled) Warnings() finding.Findings { return m.warnings }

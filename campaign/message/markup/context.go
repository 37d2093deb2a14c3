package markup

import "fmt"

// A context is a place in the HTML, as far as it matters for what stands there.
type context struct {
	state     state
	element   element   // whose content the place is in, where that is no HTML; the tag's, inside a tag
	name      string    // of the tag or the attribute, in lower case, as far as it was read
	attribute attribute // in stateBeforeValue and stateValue
	quote     byte      // around the attribute's value; 0: none
	bare      bool      // a value is all that there is yet of an attribute without quotes
	url       urlPart   // in the value of a URL
	code      code      // in CSS and in scripts
	open      string    // conditional comments that the place is behind the beginning of, a letter each: see conditionals
}

// A state is the part of the HTML that a place is in (HTML Living Standard, section 13.2.5).
type state byte

const (
	stateText        state = iota // also the content of elements that hold no markup: see context.element
	stateTag                      // between the attributes of a tag
	stateTagName                  // in the name of a tag
	stateName                     // in the name of an attribute
	stateAfterName                // behind it
	stateBeforeValue              // behind the =
	stateValue                    // in the value
	stateComment                  // <!-- … -->
	stateBogus                    // <! … >, <? … >: nobody shows it
	stateFailed                   // what follows is not looked at
)

// An element is one whose content is read in its own way; 0 are all others.
type element byte

const (
	elementTitle    element = iota + 1 // references are read in it, no tags
	elementTextarea                    // likewise
	elementStyle
	elementScript
	elementXMP // and the others whose content is text as it is
	elementIframe
	elementNoembed
	elementNoframes
)

var elements = map[string]element{
	"title": elementTitle, "textarea": elementTextarea, "style": elementStyle, "script": elementScript,
	"xmp": elementXMP, "iframe": elementIframe, "noembed": elementNoembed, "noframes": elementNoframes,
}

// An attribute is the kind of value that an attribute has.
type attribute byte

const (
	attributePlain attribute = iota
	attributeURL
	attributeSrcset
	attributeCSS
	attributeScript
	attributeHTML    // srcdoc
	attributeRefused // javascript: and the like, where no value can be made safe
)

// A urlPart is how much of a URL stands before a place.
type urlPart byte

const (
	urlStart      urlPart = iota // nothing: a value brings the scheme
	urlScheme                    // some letters, which may be the beginning of a scheme
	urlPath                      // more: a value adds to the path
	urlUnknown                   // a value, and no literal that says more
	urlQuery                     // a literal ?, &, = or #
	urlParameter                 // a literal ? or &, and nothing behind it: a value may be name=value
	urlDescriptor                // in srcset: the URL has ended, and "2x" or "300w" follows
)

// A code is the place in CSS or in a script.
type code byte

const (
	codeBare      code = iota
	codeDouble         // in a "string"
	codeSingle         // in a 'string'
	codeTemplate       // in a `string` of a script
	codeComment        // /* … */
	codeLine           // a comment to the end of the line, in a script
	codeURL            // CSS: url(…), without quotes
	codeURLDouble      // url("…")
	codeURLSingle      // url('…')
)

// Conditional comments, which Outlook reads as HTML, by their letters in context.open.
const (
	hidden   = 'h' // <!--[if mso]> … <![endif]-->: a comment to all others
	revealed = 'r' // <!--[if !mso]><!--> … <!--<![endif]-->: shown by all others
	bogus    = 'b' // <![if …]> … <![endif]>: likewise
)

var conditionals = map[byte]string{hidden: "<!--[if …]>", revealed: "<!--[if …]><!-->", bogus: "<![if …]>"}

// last is the conditional comment that began last; 0: none is open.
func (c context) last() byte {
	if c.open == "" {
		return 0
	}
	return c.open[len(c.open)-1]
}

func (c context) failed() bool { return c.state == stateFailed }

// String says the place to a person.
func (c context) String() string {
	where := map[state]string{
		stateText: "text", stateTag: "in a tag", stateTagName: "in the name of a tag", stateName: "in the name of an attribute",
		stateAfterName: "behind the name of an attribute", stateBeforeValue: "behind the = of an attribute", stateValue: "in the value of an attribute",
		stateComment: "in a comment", stateBogus: "in <!…> or <?…>",
	}[c.state]
	switch {
	case c.state == stateText && c.element != 0:
		for name, e := range elements {
			if e == c.element {
				where = fmt.Sprintf("in <%s>", name)
			}
		}
	case c.state == stateValue && c.quote == 0:
		where += " without quotes"
	case c.state == stateValue:
		where += fmt.Sprintf(" in %c", c.quote)
	}
	if c.open != "" {
		where += " behind " + conditionals[c.last()]
	}
	return where
}

// join is the context in which two ways meet; false: they cannot.
func join(a, b context) (context, bool) {
	if a == b {
		return a, true
	}
	// A name or an unquoted value at the end of one way, and nothing on the other: what follows ends both.
	for _, c := range [][2]context{{a, b}, {b, a}} {
		longer, shorter := c[0], c[1]
		ends := longer.state == stateName || longer.state == stateAfterName || longer.state == stateValue && longer.quote == 0
		if longer.state == stateTagName {
			longer.element, ends = elements[longer.name], true
		}
		if ends && shorter.state == stateTag && longer.element == shorter.element && longer.open == shorter.open {
			return c[0], true
		}
	}
	// Different beginnings of a URL, or of CSS that is not finished.
	u, v := a, b
	u.url, v.url = 0, 0
	if u == v {
		switch {
		case a.isQuery() || b.isQuery():
			a.url = urlQuery
		default:
			a.url = urlUnknown
		}
		return a, true
	}
	u.name, v.name = "", ""
	if u == v && a.state == stateValue { // the value of one attribute or of another one of the same kind
		a.url = max(a.url, b.url)
		return a, true
	}
	return context{}, false
}

// beforeValue is the context of a value that begins here.
func (c context) beforeValue() context {
	switch c.state {
	case stateBeforeValue:
		c.state, c.quote, c.bare = stateValue, 0, true
	case stateAfterName:
		c.state, c.name = stateName, ""
	case stateTag:
		c.state, c.name = stateName, ""
	}
	return c
}

// afterValue is the context behind a value.
func (c context) afterValue() context {
	switch c.state {
	case stateName, stateTagName:
		c.name += "\x00" // a part that nobody knows
	}
	c.bare = false
	switch {
	case !c.inURL():
	case c.isQuery():
		c.url = urlQuery
	case c.url != urlPath:
		c.url = urlUnknown
	}
	return c
}

// inURL says whether the place is in a URL.
func (c context) inURL() bool {
	switch c.code {
	case codeURL, codeURLDouble, codeURLSingle:
		return true
	}
	return c.state == stateValue && (c.attribute == attributeURL || c.attribute == attributeSrcset)
}

// isQuery says whether values are escaped as those of a query.
func (c context) isQuery() bool { return c.inURL() && (c.url == urlQuery || c.url == urlParameter) }

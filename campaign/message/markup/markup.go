// Package markup finds out where in the HTML each action of a template stands, and escapes values for that place.
//
// Escape walks the parse trees of a set of templates in the order in which they are executed, through every branch, and
// reads the static text between the actions the way an HTML parser does (scan.go, css.go): the text is only read, never
// written, so that it leaves as the user wrote it, comments and conditional comments included. Behind each action that
// prints it puts a call of Func, which carries the number of an Escaper (escape.go, url.go): the one for that place. A
// template that is called from several kinds of places gets a copy for each.
//
// html/template is not used, since it rewrites what it does not know (comments, <?xml, <![if, // in CSS) and puts the
// word ZgotmplZ in the place of what it does not like.
package markup

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"text/template/parse"
)

// Func is the function that executes an Escaper. No person writes it into a template.
const Func = "_mailblast_escape"

// A Set is the templates that can call each other.
type Set struct {
	Trees map[string]*parse.Tree // by name; Escape changes them, and adds copies

	// Report is told what is wrong: the name of the file, the octet in it, and a hint that may be empty.
	Report func(file string, offset int, message, hint string)

	// Reference is told each name that a cid: URL in static text refers to, and returns what stands for it.
	Reference func(file string, offset int, name string) string
}

// An Escaper makes a value fit for the place where an action stands.
type Escaper struct {
	Escape func(value string) (string, error) // an error says what is wrong with the value
	File   string                             // where the action stands
	Offset int
	Action string // as it was written, without the braces
}

// Number is the number of the Escaper that a command calls; false: it calls something else.
func Number(cmd *parse.CommandNode) (n int, ok bool) {
	if name, isName := cmd.Args[0].(*parse.IdentifierNode); !isName || name.Ident != Func {
		return 0, false
	}
	number, ok := cmd.Args[1].(*parse.NumberNode)
	return int(number.Int64), ok
}

// Escape puts escapers into the trees that are reached from entry. Func is to call them by their number.
func Escape(set Set, entry string) []Escaper {
	w := &walker{Set: set, done: map[call]context{}, names: map[call]string{}}
	if end := w.template(entry, context{}); !end.failed() {
		w.checkEnd(set.Trees[entry], end)
	}
	return w.escapers
}

// A walker goes through the trees as an execution would.
type walker struct {
	Set
	escapers []Escaper
	done     map[call]context // in which context a template ends
	names    map[call]string  // of the copies
	tree     *parse.Tree
	loops    []loop
}

// A call is a template that is called in a context.
type call struct {
	name string
	in   context
}

// A loop is a {{ range }} that is being walked: {{ break }} and {{ continue }} have to stand in the context of its beginning.
type loop struct{ begin context }

func (w *walker) report(at parse.Pos, message, hint string) {
	w.Report(w.tree.ParseName, int(at), message, hint)
}

// template walks a template that is called in a context, and returns the context at its end.
func (w *walker) template(name string, in context) context {
	c := call{name, in}
	if end, ok := w.done[c]; ok {
		return end
	}
	tree := w.Trees[name]
	if tree == nil { // somebody else has reported it
		return in
	}
	w.done[c] = in // for one that calls itself, which somebody else has reported
	w.names[c] = name
	if in != (context{}) {
		tree = tree.Copy()
		w.names[c] = fmt.Sprintf("%s$%d", name, len(w.names))
		w.Trees[w.names[c]] = tree
	}
	outer, loops := w.tree, w.loops
	w.tree, w.loops = tree, nil
	end := w.list(tree.Root, in)
	w.tree, w.loops = outer, loops
	w.done[c] = end
	return end
}

func (w *walker) list(list *parse.ListNode, c context) context {
	if list == nil {
		return c
	}
	for _, n := range list.Nodes {
		if c.failed() {
			return c
		}
		c = w.node(n, c)
	}
	return c
}

func (w *walker) node(n parse.Node, c context) context {
	switch n := n.(type) {
	case *parse.TextNode:
		return w.text(n, c)
	case *parse.ActionNode:
		return w.action(n, c)
	case *parse.IfNode:
		return w.branch(&n.BranchNode, c, "if")
	case *parse.WithNode:
		return w.branch(&n.BranchNode, c, "with")
	case *parse.RangeNode:
		return w.rangeOver(n, c)
	case *parse.TemplateNode:
		end := w.template(n.Name, c)
		if name := w.names[call{n.Name, c}]; name != "" {
			n.Name = name
		}
		return end
	case *parse.BreakNode, *parse.ContinueNode:
		if len(w.loops) > 0 {
			w.meet(n.Position(), "range", w.loops[len(w.loops)-1].begin, c)
		}
	}
	return c
}

// branch walks both ways through an {{ if }} or a {{ with }}, which have to end in the same context.
func (w *walker) branch(n *parse.BranchNode, c context, word string) context {
	return w.meet(n.Pos, word, w.list(n.List, c), w.list(n.ElseList, c))
}

// rangeOver walks the body of a loop twice: the first round begins in the context before the loop, the others in that of
// the body's end.
func (w *walker) rangeOver(n *parse.RangeNode, c context) context {
	w.loops = append(w.loops, loop{c})
	defer func() { w.loops = w.loops[:len(w.loops)-1] }()
	again := w.peek(n.List, c)
	begin := w.meet(n.Pos, "range", c, again)
	if begin.failed() {
		return begin
	}
	w.loops[len(w.loops)-1].begin = begin
	end := w.meet(n.Pos, "range", begin, w.list(n.List, begin))
	if end.failed() {
		return end
	}
	return w.meet(n.Pos, "range", end, w.list(n.ElseList, c))
}

// peek is the context at the end of a list that is walked for that alone: nothing is changed or reported.
func (w *walker) peek(list *parse.ListNode, c context) context {
	look := &walker{
		Set: Set{
			Trees:     maps.Clone(w.Trees),
			Report:    func(string, int, string, string) {},
			Reference: func(_ string, _ int, name string) string { return name },
		},
		done: map[call]context{}, names: map[call]string{}, tree: w.tree, loops: slices.Clone(w.loops),
	}
	for name, tree := range look.Trees { // what is called is changed, too
		look.Trees[name] = tree.Copy()
	}
	return look.list(list.CopyList(), c)
}

// meet is the context in which two ways go on together.
func (w *walker) meet(at parse.Pos, word string, a, b context) context {
	if a.failed() {
		return b
	}
	if b.failed() {
		return a
	}
	c, ok := join(a, b)
	if !ok {
		w.report(at, fmt.Sprintf("{{ %s }} has ways that end in different places of the HTML: %v and %v", word, a, b),
			"each way through it has to close what it opens: tags, quotes, comments")
		return context{state: stateFailed}
	}
	return c
}

// text reads a static text.
func (w *walker) text(n *parse.TextNode, c context) context {
	s := scanner{context: c, text: n.Text}
	s.run()
	if s.fault != "" {
		w.report(n.Pos+parse.Pos(s.at), s.fault, s.hint)
		return context{state: stateFailed}
	}
	if len(s.references) == 0 {
		return s.context
	}
	var out []byte
	written := 0
	for _, r := range s.references {
		out = append(out, n.Text[written:r.from]...)
		out = append(out, w.Reference(w.tree.ParseName, int(n.Pos)+r.from, string(n.Text[r.from:r.to]))...)
		written = r.to
	}
	n.Text = append(out, n.Text[written:]...)
	return s.context
}

// action puts an escaper behind an action that prints.
func (w *walker) action(n *parse.ActionNode, c context) context {
	if len(n.Pipe.Decl) > 0 {
		return c
	}
	c = c.beforeValue()
	escape, wrong := c.escaper()
	if wrong != "" {
		w.report(n.Pos, wrong, "")
		return context{state: stateFailed}
	}
	written := strings.TrimSuffix(strings.TrimPrefix(n.String(), "{{"), "}}")
	if last := n.Pipe.Cmds[len(n.Pipe.Cmds)-1]; c.isQuery() && len(n.Pipe.Cmds) > 1 && len(last.Args) == 1 && last.String() == "urlquery" {
		n.Pipe.Cmds = n.Pipe.Cmds[:len(n.Pipe.Cmds)-1] // once is enough
	}
	number := len(w.escapers)
	w.escapers = append(w.escapers, Escaper{Escape: escape, File: w.tree.ParseName, Offset: int(n.Pos), Action: strings.TrimSpace(written)})
	n.Pipe.Cmds = append(n.Pipe.Cmds, &parse.CommandNode{NodeType: parse.NodeCommand, Pos: n.Pos, Args: []parse.Node{
		parse.NewIdentifier(Func).SetPos(n.Pos),
		&parse.NumberNode{NodeType: parse.NodeNumber, Pos: n.Pos, IsInt: true, Int64: int64(number), Text: fmt.Sprint(number)},
	}})
	return c.afterValue()
}

// checkEnd reports what is still open at the end of the page.
func (w *walker) checkEnd(tree *parse.Tree, c context) {
	w.tree = tree
	end := parse.Pos(0)
	if nodes := tree.Root.Nodes; len(nodes) > 0 {
		last := nodes[len(nodes)-1]
		end = last.Position()
		if text, ok := last.(*parse.TextNode); ok {
			end += parse.Pos(len(text.Text))
		}
	}
	if c.open != "" {
		w.report(end, "a conditional comment has no end: "+conditionals[c.last()], "<!--[if …]> ends with <![endif]-->, <!--[if …]><!--> with <!--<![endif]-->")
	}
	if c.state >= stateTag && c.state <= stateValue {
		w.report(end, "the page ends inside a tag", "close its quotes and the tag")
	}
}

package message

import (
	"io"
	"text/template/parse"

	"mailblast/campaign/message/markup"
)

// A linear is a template that consists of texts and fields only, one after the other. Most templates do, and writing the steps
// takes a fifth of the time in which text/template interprets each action. The steps write the same octets with the same
// calls of Write; a fuzz test compares them with the original.
type linear []step

// A step writes a text or, if it has a field, the field's value after some functions, escaped if it stands in HTML.
type step struct {
	text   []byte
	field  string
	apply  []func(string) string
	escape func(string) (string, error) // nil outside of HTML
}

// execute does what the template's own Execute does.
func (s linear) execute(w io.Writer, data map[string]string, scratch *[]byte) error {
	for i := range s {
		out := s[i].text
		if s[i].field != "" {
			value := data[s[i].field]
			for _, f := range s[i].apply {
				value = f(value)
			}
			if s[i].escape != nil {
				var err error
				if value, err = s[i].escape(value); err != nil {
					return err
				}
			}
			*scratch = append((*scratch)[:0], value...)
			out = *scratch
		}
		if _, err := w.Write(out); err != nil {
			return err
		}
	}
	return nil
}

// linearize returns the steps of a template of the set, or nil if it is not linear. The set must be executable, so that the
// trees contain the calls of the escapers.
func (s *templateSet) linearize(name string, fields map[string]string, escapers []func(string) (string, error)) linear {
	known := functions()
	var steps linear
	var walk func(name string) bool
	walk = func(name string) bool {
		tree := s.trees[name]
		if tree == nil || len(steps) > maxRounds { // too many steps come from nested calls
			return false
		}
		for _, n := range tree.Root.Nodes {
			switch n := n.(type) {
			case *parse.TextNode:
				steps = append(steps, step{text: n.Text})
			case *parse.ActionNode:
				st, ok := fieldStep(n.Pipe, known, escapers)
				if _, there := fields[st.field]; !ok || !there {
					return false
				}
				steps = append(steps, st)
			case *parse.TemplateNode:
				if !passesDot(n.Pipe) || !walk(n.Name) {
					return false
				}
			default:
				return false
			}
		}
		return true
	}
	if !walk(name) {
		return nil
	}
	return steps
}

// fieldStep returns the step of an action that begins with a field, and false for any other action.
func fieldStep(pipe *parse.PipeNode, known map[string]any, escapers []func(string) (string, error)) (st step, ok bool) {
	if len(pipe.Decl) > 0 || len(pipe.Cmds) == 0 || len(pipe.Cmds[0].Args) != 1 {
		return st, false
	}
	field, ok := pipe.Cmds[0].Args[0].(*parse.FieldNode)
	if !ok || len(field.Ident) != 1 {
		return st, false
	}
	st.field = field.Ident[0]
	for _, cmd := range pipe.Cmds[1:] {
		if number, ok := markup.Number(cmd); ok { // the last one
			st.escape = escapers[number]
			continue
		}
		f := textFunction(cmd, known)
		if f == nil {
			return st, false
		}
		st.apply = append(st.apply, f)
	}
	return st, true
}

// textFunction returns a command that turns one text into another and cannot fail, or nil for any other command.
func textFunction(cmd *parse.CommandNode, known map[string]any) func(string) string {
	name, ok := cmd.Args[0].(*parse.IdentifierNode)
	if !ok {
		return nil
	}
	switch f := known[name.Ident].(type) {
	case func(string) string:
		if len(cmd.Args) == 1 {
			return f
		}
	case func(string, string) string:
		if len(cmd.Args) != 2 {
			return nil
		}
		if first, ok := cmd.Args[1].(*parse.StringNode); ok {
			return func(s string) string { return f(first.Text, s) }
		}
	}
	return nil
}

// passesDot reports whether a template is called with the data of its caller.
func passesDot(pipe *parse.PipeNode) bool {
	if pipe == nil || len(pipe.Decl) > 0 || len(pipe.Cmds) != 1 || len(pipe.Cmds[0].Args) != 1 {
		return false
	}
	_, ok := pipe.Cmds[0].Args[0].(*parse.DotNode)
	return ok
}

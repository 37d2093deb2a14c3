// Package plan is where the rooms meet: a campaign file, the message, the queue and the servers become a run. Whatever
// a command does with more than one of campaign, store and sender, it does through this package.
//
// A plan begins with the campaign file on disk (Open, ReadFiles) or with the copy of it in the queue (FromQueue).
// Compile makes the message for the columns of a list, Connect prepares the sessions with the servers, and Load brings
// the list into the queue. Run then puts together what the sender needs, Drain sends, and Finish writes down what was
// found out and says what is left.
package plan

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"time"

	"mailblast/campaign"
	"mailblast/campaign/finding"
	"mailblast/campaign/message"
	"mailblast/sender"
	"mailblast/sender/reply"
	"mailblast/store"
)

// A Plan is a campaign that is about to be sent.
type Plan struct {
	File *campaign.File

	path    string // the campaign file's
	source  []byte
	files   map[string][]byte // that the campaign file names, by the path that it uses
	replies *reply.Classifier // one rulebook for the whole run

	message    *message.Compiled  // set by Compile
	transports []sender.Transport // set by Connect, by server
}

// Open reads a campaign file. What it names is read by ReadFiles.
func Open(path string) (*Plan, error) {
	source, err := readSource(path)
	if err != nil {
		return nil, &InputError{fmt.Errorf("campaign file: %w", err)}
	}
	file, err := campaign.Parse(path, source, os.LookupEnv)
	if err != nil {
		return nil, err
	}
	return &Plan{File: file, path: path, source: source, replies: classifier(file)}, nil
}

// FromQueue makes the plan of a campaign in the queue from its snapshot, with the message for the rows as they are there.
func FromQueue(ctx context.Context, q store.Catalog, c store.Campaign) (*Plan, error) {
	snap, err := q.Snapshot(ctx, c.Name)
	if err != nil {
		return nil, err
	}
	file, err := campaign.Parse(c.Path, snap.Source, os.LookupEnv)
	if err != nil {
		return nil, fmt.Errorf("campaign %q, as it is kept in the queue: %w", c.Name, err)
	}
	file.Name = c.Name // which may have been given by --name
	p := &Plan{File: file, path: c.Path, source: snap.Source, files: snap.Files, replies: classifier(file)}
	return p, p.Compile(snap.Columns)
}

// Rename gives the campaign a name in place of the file's.
func (p *Plan) Rename(name string) error {
	if err := campaign.CheckName(name); err != nil {
		return err
	}
	p.File.Name = name
	return nil
}

// Resolve returns a path of the campaign file, which is relative to its folder, for the working folder.
func (p *Plan) Resolve(path string) string { return within(filepath.Dir(p.path), path) }

// Compile makes the message for rows with these columns.
func (p *Plan) Compile(columns []string) (err error) {
	p.message, err = message.Compile(message.Source{File: p.File, Columns: columns, Read: p.read})
	return err
}

// Recompile makes the message for the rows as the queue holds them: there may be more columns than in the list, in
// another order.
func (p *Plan) Recompile(ctx context.Context, q store.Catalog) error {
	c, err := q.Campaign(ctx, p.File.Name)
	if err != nil {
		return err
	}
	return p.Compile(c.Columns)
}

// Warnings are what may not be as the author meant it, in the campaign file and, once the message is compiled, in the templates.
func (p *Plan) Warnings() finding.Findings {
	all := slices.Clone(p.File.Warnings)
	if p.message != nil {
		all = append(all, p.message.Warnings()...)
	}
	return all
}

// read returns a file that the campaign file names.
func (p *Plan) read(path string) ([]byte, error) {
	content, ok := p.files[path]
	if !ok {
		return nil, fmt.Errorf("%s is not in the queue", path)
	}
	return content, nil
}

// Deliverable says why nothing of the campaign could be sent, before it is loaded.
func (p *Plan) Deliverable(ctx context.Context, q store.Catalog) error {
	now := time.Now()
	loaded := now
	c, err := q.Campaign(ctx, p.File.Name)
	switch {
	case err == nil:
		loaded = c.Created
	case !errors.Is(err, store.ErrNoCampaign):
		return err
	}
	return p.File.Deliverable(loaded, now)
}

// Rules returns what knows the rules for replies of a campaign file.
func Rules(path string) (*reply.Classifier, error) {
	source, err := readSource(path)
	if err != nil {
		return nil, err
	}
	f, err := parseWithoutSecrets(path, source)
	if err != nil {
		return nil, err
	}
	return classifier(f), nil
}

// classifier knows the campaign's own rules for replies.
func classifier(f *campaign.File) *reply.Classifier {
	own := make([]reply.OwnRule, len(f.Rules))
	for i, r := range f.Rules {
		own[i] = reply.OwnRule{Name: fmt.Sprintf("rules[%d]", i), Match: r.Match, Class: reply.Class(r.Class)}
	}
	return reply.NewClassifier(own)
}

// ServerNames returns the names of a campaign's servers. Variables of its file need not be set; nil: it cannot be read
// even so.
func ServerNames(ctx context.Context, q store.Catalog, c store.Campaign) (names []string, err error) {
	source, err := q.Source(ctx, c.Name)
	if err != nil {
		return nil, err
	}
	f, err := campaign.Parse(c.Path, source, func(variable string) (string, bool) {
		if value, ok := os.LookupEnv(variable); ok {
			return value, true
		}
		return "1", true // is good for a port, too
	})
	if err != nil {
		return nil, nil
	}
	for i := range f.Servers {
		names = append(names, f.Servers[i].Name)
	}
	return names, nil
}

// unset stands for a variable that is not set, in a file of parseWithoutSecrets.
const unset = "variable-not-set"

// parseWithoutSecrets reads a campaign file although its secrets may not be at hand: a variable that is not set is no
// fault.
func parseWithoutSecrets(path string, source []byte) (*campaign.File, error) {
	f, err := campaign.Parse(path, source, os.LookupEnv)
	if err == nil {
		return f, nil
	}
	anything := func(name string) (string, bool) {
		v, ok := os.LookupEnv(name)
		if !ok && bytes.Contains(source, []byte("${"+name+"}")) { // it has no default
			v, ok = unset, true
		}
		return v, ok
	}
	if lenient, again := campaign.Parse(path, source, anything); again == nil {
		return lenient, nil
	}
	return nil, err
}

package plan

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"

	"github.com/dustin/go-humanize"

	"mailblast/campaign"
	"mailblast/campaign/finding"
)

// maxFiles bounds the files of a campaign together, in octets: they are held in memory, and no server takes a message
// as large as that.
const maxFiles = 100 << 20

// readSource reads a campaign file, or enough of it for campaign.Parse to say that it is too large.
func readSource(path string) ([]byte, error) {
	const most = 1 << 20
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return io.ReadAll(io.LimitReader(f, most+1))
}

// ReadFiles reads every file that the campaign file names, and reports all that cannot be read. Whoever may edit a
// campaign file shall not get to mail the other files of whoever sends it, so they have to lie below its folder,
// symbolic links included, unless outside. The list of recipients is not among these files and may come from anywhere:
// what is in the cells of a CSV with a column email can be mailed. The certificates of ca_file are not mailed, and live
// in /etc.
func (p *Plan) ReadFiles(outside bool) error {
	f, dir := p.File, filepath.Dir(p.path)
	root, err := os.OpenRoot(dir)
	if err != nil {
		return fmt.Errorf("the folder of the campaign file: %w", err)
	}
	defer root.Close()
	p.files = map[string][]byte{}
	left := int64(maxFiles)
	var findings finding.Findings
	for _, ref := range f.Files() {
		var content []byte
		if outside || strings.HasSuffix(ref.Key, ".ca_file") {
			content, err = readFile(within(dir, ref.Path), os.Stat, os.OpenFile, left)
		} else {
			content, err = readFile(ref.Path, root.Stat, root.OpenFile, left)
			if err != nil && leadsOutside(dir, ref.Path) {
				err = errOutside
				if filepath.IsAbs(ref.Path) && isInside(dir, ref.Path) {
					err = errAbsolute
				}
			}
		}
		if err != nil {
			findings = append(findings, fileFinding(f, ref, err))
			continue
		}
		left -= int64(len(content))
		p.files[ref.Path] = content
	}
	if len(findings) > 0 {
		return findings
	}
	return nil
}

var (
	errOutside  = errors.New("lies outside of the campaign file's folder")
	errAbsolute = errors.New("is an absolute path, and paths have to be relative to the campaign file's folder")
	errKind     = errors.New("is not a file that has an end")
	errTooMuch  = fmt.Errorf("makes the campaign's files larger than %s together", humanize.IBytes(maxFiles))
)

// fileFinding says why a file that the campaign file names cannot be read.
func fileFinding(f *campaign.File, ref campaign.Reference, err error) finding.Finding {
	if cause := (*fs.PathError)(nil); errors.As(err, &cause) {
		op := "open" // not statat or openat, which the user does not know
		if cause.Op == "read" {
			op = cause.Op
		}
		return f.At(ref.Key, fmt.Sprintf("%s: %s %q: %v", ref.Key, op, ref.Path, cause.Err))
	}
	found := f.At(ref.Key, fmt.Sprintf("%s: %q %v", ref.Key, ref.Path, err))
	if errors.Is(err, errOutside) {
		found.Hint = "copy it there, or allow such files by --allow-outside"
	}
	return found
}

// leadsOutside reports whether a path that could not be read leads out of dir, by itself or by a symbolic link.
func leadsOutside(dir, path string) bool {
	if !filepath.IsLocal(path) {
		return true
	}
	_, err := filepath.EvalSymlinks(filepath.Join(dir, path))
	return err == nil && !isInside(dir, filepath.Join(dir, path))
}

// isInside reports whether a path exists below dir, when all symbolic links are followed.
func isInside(dir, path string) bool {
	real, err := filepath.EvalSymlinks(path)
	if err != nil {
		return false
	}
	if dir, err = filepath.EvalSymlinks(dir); err != nil {
		return false
	}
	if dir, err = filepath.Abs(dir); err != nil {
		return false
	}
	if real, err = filepath.Abs(real); err != nil {
		return false
	}
	below, err := filepath.Rel(dir, real)
	return err == nil && filepath.IsLocal(below)
}

// readFile reads a regular file of at most that many octets. It opens nothing else: a pipe may never have a writer, and
// a device may do things when it is opened.
func readFile(path string, stat func(string) (fs.FileInfo, error), open func(string, int, fs.FileMode) (*os.File, error), most int64) ([]byte, error) {
	regular := func(info fs.FileInfo, err error) error {
		if err == nil && !info.Mode().IsRegular() {
			return errKind
		}
		return err
	}
	if err := regular(stat(path)); err != nil {
		return nil, err
	}
	f, err := open(path, os.O_RDONLY|syscall.O_NONBLOCK, 0) // it may have been replaced since
	if err != nil {
		return nil, err
	}
	defer f.Close()
	if err := regular(f.Stat()); err != nil {
		return nil, err
	}
	content, err := io.ReadAll(io.LimitReader(f, most+1))
	if err == nil && int64(len(content)) > most {
		err = errTooMuch
	}
	return content, err
}

// within returns a path of the campaign file as one from the working folder; dir is the folder of the campaign file.
func within(dir, path string) string {
	if filepath.IsAbs(path) {
		return path
	}
	return filepath.Join(dir, path)
}

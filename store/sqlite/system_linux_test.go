package sqlite

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

func TestNetworkFileSystem(t *testing.T) {
	for _, test := range []struct {
		magic uint32
		want  string // in the name; "" for a file system of this machine
	}{
		{unix.NFS_SUPER_MAGIC, "NFS"},
		{unix.SMB_SUPER_MAGIC, "SMB"},
		{unix.CIFS_SUPER_MAGIC, "SMB"},
		{unix.SMB2_SUPER_MAGIC, "SMB"},
		{unix.V9FS_MAGIC, "9p"},
		{unix.FUSE_SUPER_MAGIC, "FUSE"},
		{unix.AFS_SUPER_MAGIC, "AFS"},
		{unix.AFS_FS_MAGIC, "AFS"},
		{unix.CEPH_SUPER_MAGIC, "Ceph"},
		{unix.CODA_SUPER_MAGIC, "Coda"},
		{unix.NCP_SUPER_MAGIC, "NCP"},
		{0x0bd00bd0, "Lustre"},
		{unix.EXT4_SUPER_MAGIC, ""},
		{unix.XFS_SUPER_MAGIC, ""},
		{unix.BTRFS_SUPER_MAGIC, ""},
		{unix.TMPFS_MAGIC, ""},
		{unix.OVERLAYFS_SUPER_MAGIC, ""},
		{unix.F2FS_SUPER_MAGIC, ""},
		{0x2fc12fc1, ""}, // ZFS
		{0, ""},
	} {
		got := networkFileSystem(test.magic)
		if (got == "") != (test.want == "") || !strings.Contains(got, test.want) {
			t.Errorf("%#x: %q, want %q", test.magic, got, test.want)
		}
	}
}

// The file system is that of the next folder above that is there, or of the file that a link leads to.
func TestCheckFileSystem(t *testing.T) {
	dir := t.TempDir()
	link := filepath.Join(dir, "link")
	if err := os.Symlink("nowhere", link); err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{filepath.Join(dir, "queue.db"), filepath.Join(dir, "a", "b", "queue.db"), link, dir} {
		if err := CheckFileSystem(path); err != nil {
			t.Errorf("%s: %v", path, err)
		}
	}
}

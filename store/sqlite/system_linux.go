package sqlite

import (
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"

	"golang.org/x/sys/unix"
)

// CheckFileSystem refuses a queue on a file system that is shared over a network, or that cannot be told from one.
// There SQLite's locks may not lock and its shared memory may not be shared (https://sqlite.org/wal.html, "all
// processes using a database must be on the same host computer"): two machines would send the same mail, and the queue
// would be damaged. The file need not exist yet.
func CheckFileSystem(path string) error {
	path, err := filepath.Abs(path)
	if err != nil {
		return err
	}
	var s unix.Statfs_t
	for {
		err := unix.Statfs(path, &s)
		if parent := filepath.Dir(path); errors.Is(err, fs.ErrNotExist) && parent != path {
			path = parent // where it will be made
			continue
		}
		if err != nil {
			return nil // opening it says what is wrong
		}
		break
	}
	if name := networkFileSystem(uint32(s.Type)); name != "" {
		return fmt.Errorf("the queue must not be on a network file system, and %s is on %s: its locks are not safe there, so that mail could be sent twice. "+
			"Name a file on a local disk with --db or MAILBLAST_DB; or, if you know that no other machine uses it, say --allow-network-fs", path, name)
	}
	return nil
}

// networkFileSystem names the file system with that magic number, if it is shared over a network or with a virtual
// machine's host; "" for others.
func networkFileSystem(magic uint32) string {
	switch magic {
	case unix.NFS_SUPER_MAGIC:
		return "NFS"
	case unix.SMB_SUPER_MAGIC, unix.CIFS_SUPER_MAGIC, unix.SMB2_SUPER_MAGIC:
		return "SMB"
	case unix.V9FS_MAGIC:
		return "9p (a folder of another system, such as Windows under WSL)"
	case unix.FUSE_SUPER_MAGIC:
		// Sshfs, s3fs and virtiofs are FUSE as much as ntfs-3g is, and nothing but their names tells them apart.
		return "FUSE (such as sshfs, or a folder shared with a virtual machine)"
	case unix.AFS_SUPER_MAGIC, unix.AFS_FS_MAGIC:
		return "AFS"
	case unix.CEPH_SUPER_MAGIC:
		return "Ceph"
	case unix.CODA_SUPER_MAGIC:
		return "Coda"
	case unix.NCP_SUPER_MAGIC:
		return "NCP"
	// These the kernel's headers do not name; see statfs(2) and coreutils' stat.c.
	case 0x0bd00bd0:
		return "Lustre"
	case 0x47504653:
		return "GPFS"
	case 0x19830326:
		return "BeeGFS"
	case 0x01161970:
		return "GFS2"
	case 0x7461636f:
		return "OCFS2"
	case 0x786f4256:
		return "vboxsf (a folder shared with VirtualBox's host)"
	case 0xbacbacbc:
		return "vmhgfs (a folder shared with VMware's host)"
	}
	return ""
}

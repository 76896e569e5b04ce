//! Files and folders that only their owner may look into, whatever the umask, and whatever was there before.

use std::fs::{DirBuilder, File, OpenOptions, Permissions};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt};
use std::path::Path;

const FILE: u32 = 0o600;
const FOLDER: u32 = 0o700;

/// Writes a file, which is replaced if it is there.
pub fn write_private(path: &Path, contents: impl AsRef<[u8]>) -> io::Result<()> {
    open(path, OpenOptions::new().write(true).truncate(true))?.write_all(contents.as_ref())
}

/// Opens a file to be appended to; it may be new.
pub fn append_private(path: &Path) -> io::Result<File> {
    open(path, OpenOptions::new().append(true))
}

fn open(path: &Path, how: &mut OpenOptions) -> io::Result<File> {
    let file = how.create(true).mode(FILE).open(path)?;
    // One that was there keeps its mode otherwise.
    file.set_permissions(Permissions::from_mode(FILE))?;
    Ok(file)
}

/// Makes a folder and those above it; only this one is private.
pub fn make_private_folder(path: &Path) -> io::Result<()> {
    if let Some(above) = path.parent() {
        std::fs::create_dir_all(above)?;
    }
    match DirBuilder::new().mode(FOLDER).create(path) {
        Err(e) if e.kind() == io::ErrorKind::AlreadyExists && path.is_dir() => {
            std::fs::set_permissions(path, Permissions::from_mode(FOLDER))
        }
        made => made,
    }
}

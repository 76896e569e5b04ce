//! Kernel settings below `/proc/sys`; those of the network belong to the calling thread's namespace.

use std::fmt::Display;
use std::io;

/// Writes a setting and reads it back.
pub fn set(name: &str, value: impl Display) -> io::Result<()> {
    let value = value.to_string();
    write(name, &value)?;
    let now = get(name)?;
    if now == value { Ok(()) } else { Err(io::Error::other(format!("{name} is {now} after {value} was written"))) }
}

/// Writes a setting.
pub fn write(name: &str, value: &str) -> io::Result<()> {
    std::fs::write(path(name), value).map_err(|e| io::Error::new(e.kind(), format!("write {value} to {name}: {e}")))
}

/// Reads a setting.
pub fn get(name: &str) -> io::Result<String> {
    match std::fs::read_to_string(path(name)) {
        Ok(text) => Ok(text.trim().to_owned()),
        Err(e) => Err(io::Error::new(e.kind(), format!("read {name}: {e}"))),
    }
}

fn path(name: &str) -> String {
    format!("/proc/sys/{name}")
}

//! What the program changes about its own limits when it starts.

/// To be called first in `main`, while the process has one thread.
pub fn prepare() {
    crate::sys::ignore_file_size_signal();
}

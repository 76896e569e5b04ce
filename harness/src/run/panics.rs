//! Remembers the first panic of this process, whichever task or thread it was in: most of them end without anybody being told.

use std::panic::{self, PanicHookInfo};
use std::sync::OnceLock;

static FIRST: OnceLock<String> = OnceLock::new();

/// From now on. What is said of a panic elsewhere is said as before.
pub fn watch() {
    let before = panic::take_hook();
    panic::set_hook(Box::new(move |info| {
        // Only the first counts.
        let _ = FIRST.set(words(info));
        before(info);
    }));
}

/// Returns what was said of the first panic, if there was any.
pub fn first() -> Option<&'static str> {
    FIRST.get().map(String::as_str)
}

fn words(info: &PanicHookInfo) -> String {
    let what = info.payload_as_str().unwrap_or("no reason that can be shown");
    match info.location() {
        Some(at) => format!("panicked at {}:{}: {what}", at.file(), at.line()),
        None => format!("panicked: {what}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_panic_of_any_thread_is_remembered() {
        watch();
        let ended = std::thread::spawn(|| panic!("as asked for")).join();
        assert!(ended.is_err());
        let said = first().unwrap();
        assert!(said.starts_with("panicked at ") && said.contains(file!()), "{said}");
    }
}

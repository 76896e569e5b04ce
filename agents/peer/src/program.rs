//! Small programs that are asked something by a probe.

use std::process::{Output, Stdio};

use tokio::process::Command;

use crate::{DriverError, Ending};

/// Name of the node that the daemons and programs of a probe are in.
const PROBE: &str = "probe";

/// Runs a program to its end, without input. `doing`: what is asked. One that a signal ended has not answered: an accident.
pub async fn ask_program(doing: &str, command: &mut Command) -> Result<Output, DriverError> {
    let output = command.stdin(Stdio::null()).kill_on_drop(true).output().await;
    answered(doing, output)
}

/// The same of one that has come to its end.
pub(crate) fn answered(doing: &str, output: std::io::Result<Output>) -> Result<Output, DriverError> {
    let output = output.map_err(|source| DriverError::Io { gateway: PROBE.into(), doing: doing.into(), source })?;
    let ending = Ending::of(Ok(output.status));
    if ending.by_signal() {
        return Err(DriverError::Died { gateway: PROBE.into(), ending, last: format!("none; it was asked {doing}") });
    }
    Ok(output)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_program_that_was_killed_has_not_answered() {
        let ask = async |script: &str| ask_program("for nothing", Command::new("sh").args(["-c", script])).await;
        assert!(ask("kill -KILL $$").await.unwrap_err().is_accident());
        assert_eq!(ask("exit 3").await.unwrap().status.code(), Some(3), "its answer is for others to judge");
        let absent = ask_program("for nothing", &mut Command::new("/nonexistent")).await.unwrap_err();
        assert!(!absent.is_accident(), "{absent}");
    }
}

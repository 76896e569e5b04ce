//! `faultlab list`, `show` and `check`.

use clap::Args;

use super::exit::{CliError, Exit};
use super::{print, scenarios};
use crate::report::to_stderr;
use crate::scenario::library::Library;
use crate::scenario::model::ScenarioKind;
use crate::text::{json, shown};

/// Arguments of `list`.
#[derive(Debug, Args)]
pub struct ListArgs {
    /// Files, ids, groups or tags; all when none is given.
    pub what: Vec<String>,
    /// `human` or `json`.
    #[arg(long, default_value = "human", value_parser = ["human", "json"])]
    pub format: String,
}

/// Arguments of `show`.
#[derive(Debug, Args)]
pub struct ShowArgs {
    /// Scenario file or id.
    pub what: String,
}

/// Arguments of `check`.
#[derive(Debug, Args)]
pub struct CheckArgs {
    /// Scenario files, ids, groups or tags; all when none is given.
    pub what: Vec<String>,
}

/// Lists scenarios.
pub fn list(args: &ListArgs, library: &Library) -> Result<Exit, CliError> {
    let scenarios = scenarios::select(library, &args.what)?;
    if args.format == "json" {
        let rows: Vec<_> = scenarios
            .iter()
            .map(|s| {
                serde_json::json!({ "id": s.id, "group": s.group, "kind": s.kind, "title": s.title, "level": s.level, "tags": s.tags,
                    "slides": s.slides, "rfc": s.rfc, "file": s.file, "layout": s.broken.network.layout })
            })
            .collect();
        let text = serde_json::to_string_pretty(&rows).map_err(|e| CliError::bug(e.to_string()))?;
        print(&json(&text))?;
        return Ok(Exit::Expected);
    }
    let mut scenarios = scenarios;
    scenarios.sort_by(|a, b| (&a.group, &a.id).cmp(&(&b.group, &b.id)));
    let mut group = None;
    let mut out = String::new();
    for s in &scenarios {
        if group != Some(&s.group) {
            out.push_str(&format!("{}{}\n", if group.is_some() { "\n" } else { "" }, shown(&s.group)));
            group = Some(&s.group);
        }
        let mark = if s.kind == ScenarioKind::Control { "control" } else { "" };
        out.push_str(&format!("  {:<34} {:<8} {}\n", s.id, mark, shown(&s.title)));
    }
    print(&out)?;
    Ok(Exit::Expected)
}

/// Shows one scenario.
pub fn show(args: &ShowArgs, library: &Library) -> Result<Exit, CliError> {
    for s in scenarios::select(library, std::slice::from_ref(&args.what))? {
        print(&super::show::show(&s))?;
    }
    Ok(Exit::Expected)
}

/// Checks scenario files.
pub fn check(args: &CheckArgs, library: &Library) -> Result<Exit, CliError> {
    let scenarios = scenarios::select(library, &args.what)?;
    to_stderr(&format!("{} scenario{} checked, no mistakes", scenarios.len(), if scenarios.len() == 1 { "" } else { "s" }));
    Ok(Exit::Expected)
}

//! Secrets of scenarios and keys of SAs, in everything that a run leaves or says.

use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use libtest_mimic::Failed;

use crate::stage::{Stage, files, said};

/// The pre-shared keys of `psk-mismatch-v2`, as they are and as some daemons write them.
const SECRETS: [&str; 4] = ["battery staple", "correct horse", "62617474657279", "636f727265637420"];
/// What only the owner may read.
const PRIVATE: [&str; 5] = ["keys.json", "esp_sa", "ikev1_decryption_table", "ikev2_decryption_table", "gateways"];

pub fn host_world() -> Result<(), Failed> {
    runs("host", &["inhouse", "strongswan", "libreswan", "openiked"])
}

pub fn pocket_world() -> Result<(), Failed> {
    runs("pocket", &["inhouse", "strongswan", "libreswan", "openiked"])
}

fn runs(world: &str, implementations: &[&str]) -> Result<(), Failed> {
    let mut ran = 0;
    for name in implementations {
        let pair = format!("{name}:{name}");
        // What is said does not depend on who plays.
        let formats = if ran == 0 { &["human", "json", "junit"][..] } else { &["human"] };
        for format in formats {
            let stage = Stage::new()?;
            let run = stage.run(&[
                "run",
                "psk-mismatch-v2",
                "--verbose",
                "--world",
                world,
                "--pair",
                &pair,
                "--format",
                format,
                "--evidence",
                "evidence",
            ])?;
            let text = said(&run);
            if text.contains("skipped") {
                break;
            }
            ran += 1;
            if let Some(secret) = SECRETS.iter().find(|s| text.contains(**s)) {
                return Err(format!("{pair}, {format}: `{secret}` in {text}").into());
            }
            looked_at(&stage).map_err(|e| format!("{pair}: {}", e.message().unwrap_or_default()))?;
        }
    }
    if ran == 0 { Err("no implementation is here".into()) } else { Ok(()) }
}

/// What others may read of the evidence tells no secret, and what is private is there.
fn looked_at(stage: &Stage) -> Result<(), Failed> {
    let evidence = stage.path("evidence");
    let all = files(&evidence)?;
    let private = |file: &PathBuf| {
        file.ancestors().take_while(|a| *a != evidence).any(|a| std::fs::metadata(a).is_ok_and(|m| m.permissions().mode() & 0o077 == 0))
    };
    let named =
        |file: &Path| file.strip_prefix(&evidence).is_ok_and(|f| f.components().any(|c| PRIVATE.iter().any(|p| c.as_os_str() == *p)));
    let wrong: Vec<&PathBuf> = all.iter().filter(|f| named(f) && !private(f)).collect();
    if !wrong.is_empty() {
        return Err(format!("others may read {wrong:?}").into());
    }
    let mut told: Vec<String> = SECRETS.map(str::to_owned).into();
    for file in all.iter().filter(|f| f.ends_with("keys.json")) {
        let keys: peer::Keys = serde_json::from_slice(&std::fs::read(file)?)?;
        told.extend(keys.esp.iter().map(|k| serde_json::to_string(&k.key)).collect::<Result<Vec<_>, _>>()?);
        told.extend(keys.ikev2.iter().map(|k| serde_json::to_string(&k.sk_ei)).collect::<Result<Vec<_>, _>>()?);
    }
    if told.len() == SECRETS.len() {
        return Err("the run told no keys".into());
    }
    let told: Vec<&str> = told.iter().map(String::as_str).collect();
    let public: Vec<PathBuf> = stage.holding("evidence", &told)?.into_iter().filter(|f| !private(f)).collect();
    if public.is_empty() { Ok(()) } else { Err(format!("secrets in {public:?}, which everybody may read").into()) }
}

/// What the program says of a scenario without running it.
pub fn shown() -> Result<(), Failed> {
    let stage = Stage::new()?;
    for arguments in [&["show", "psk-mismatch-v2"][..], &["list", "--format", "json"]] {
        let text = said(&stage.run(arguments)?);
        if let Some(secret) = SECRETS.iter().find(|s| text.contains(**s)) {
            return Err(format!("`{secret}` in {text}").into());
        }
    }
    let text = said(&stage.run(&["show", "psk-mismatch-v2"])?);
    if text.contains("psk = \"sha256:") { Ok(()) } else { Err(text.into()) }
}

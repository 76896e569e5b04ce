//! The page: one static file that needs nothing else and can be read without scripts. Links lead to the evidence beside it.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::{self, Write};
use std::time::Duration;

use super::changes::Absence;
use super::plan::{CellId, Shard};
use super::results::{CellResult, Results, Status};
use super::store::Row;
use crate::run::artefacts;
use crate::text::lines;

/// Text that must not become markup.
pub struct Text<'a>(pub &'a str);

impl fmt::Display for Text<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Control characters are not allowed in HTML, not even as references.
        for c in lines(self.0).chars() {
            match c {
                '&' => f.write_str("&amp;")?,
                '<' => f.write_str("&lt;")?,
                '>' => f.write_str("&gt;")?,
                '"' => f.write_str("&quot;")?,
                '\'' => f.write_str("&#39;")?,
                c => f.write_char(c)?,
            }
        }
        Ok(())
    }
}

/// A relative path as a link: everything that could mean something else is encoded.
pub fn url(path: &str) -> String {
    let mut out = String::new();
    for octet in path.bytes() {
        if octet.is_ascii_alphanumeric() || b"-._~/+".contains(&octet) {
            out.push(char::from(octet));
        } else {
            out.push_str(&format!("%{octet:02X}"));
        }
    }
    // A first segment with a colon would be a scheme; colons are encoded above, and an absolute path is none of ours.
    out.trim_start_matches('/').to_owned()
}

/// The page.
pub fn page(results: &Results) -> String {
    Page { results, out: String::new() }.write().unwrap_or_default()
}

struct Page<'a> {
    results: &'a Results,
    out: String,
}

impl Page<'_> {
    fn write(mut self) -> Result<String, fmt::Error> {
        let out = &mut self.out;
        out.push_str("<!doctype html>\n<html lang=en>\n<meta charset=utf-8>\n<meta name=viewport content=\"width=device-width\">\n");
        writeln!(out, "<title>faultlab matrix: {}</title>", Text(&self.results.tally()))?;
        writeln!(out, "<style>\n{}</style>", include_str!("page.css"))?;
        self.head()?;
        self.differences()?;
        self.grid()?;
        self.attention()?;
        self.deviations()?;
        self.skipped()?;
        writeln!(self.out, "<script>\n{}</script>\n</html>", include_str!("page.js"))?;
        Ok(self.out)
    }

    fn head(&mut self) -> fmt::Result {
        let (out, h) = (&mut self.out, &self.results.header);
        writeln!(out, "<h1>faultlab matrix</h1>")?;
        let shard = if h.shard == Shard::WHOLE { String::new() } else { format!(", shard {}", h.shard) };
        let repeat = if h.repeat == 1 { String::new() } else { format!(", each cell {} times", h.repeat) };
        let started = self.results.cells.iter().flat_map(|c| &c.runs).filter_map(|r| r.started.as_deref()).min();
        let started = started.map(|s| format!(", begun {s}")).unwrap_or_default();
        let elapsed = humantime::format_duration(Duration::from_secs(self.results.elapsed_ms.div_ceil(1000)));
        let text = format!(
            "{} × {} × {}{repeat}{shard}; {elapsed}{started}; faultlab {}, scenarios {}",
            counted(h.scenarios.len(), "scenario"),
            counted(h.pairings.len(), "pairing"),
            counted(h.worlds.len(), "world"),
            h.version,
            h.content.get(..12).unwrap_or(&h.content)
        );
        writeln!(out, "<p class=facts>{}</p>", Text(&text))?;
        let played: Vec<String> = self.results.played().into_iter().map(|(name, v)| format!("{name} {}", v.join(" and "))).collect();
        if !played.is_empty() {
            writeln!(out, "<p class=facts>played by {}</p>", Text(&played.join(", ")))?;
        }
        for l in &h.left_out {
            writeln!(out, "<p class=facts>left out: {}: {}</p>", Text(&l.what), Text(&l.why))?;
        }
        writeln!(out, "<ul class=pills>")?;
        for status in Status::ALL.into_iter().filter(|s| self.results.count(*s) > 0) {
            writeln!(out, "<li class={}>{} {} {}", class(status), status.mark(), self.results.count(status), Text(status.words()))?;
        }
        writeln!(out, "</ul>")
    }

    fn differences(&mut self) -> fmt::Result {
        let Some(changes) = &self.results.changes else { return Ok(()) };
        let out = &mut self.out;
        writeln!(out, "<h2>Since the previous results</h2>")?;
        for sentence in changes.absent.iter().map(Absence::to_string).chain(changes.nothing_changed()) {
            let (first, rest) = sentence.split_at(sentence.chars().next().map_or(0, char::len_utf8));
            writeln!(out, "<p>{}{}.</p>", Text(&first.to_uppercase()), Text(rest))?;
        }
        let differences = &changes.cells;
        if differences.is_empty() {
            return Ok(());
        }
        // After a change of the matrix itself it is a long list, and the grid is the point.
        let open = if differences.len() <= 20 { " open" } else { "" };
        writeln!(out, "<details{open}><summary>{}</summary>", counted(differences.len(), "cell"))?;
        writeln!(out, "<table>\n<tr><th>cell<th>before<th>now")?;
        for d in differences {
            let cell = Text(&d.cell.to_string()).to_string();
            writeln!(out, "<tr data-who=\"{}\"><td>{cell}<td>{}<td>{}", who(&d.cell), Text(&d.before), Text(&d.now))?;
        }
        writeln!(out, "</table></details>")
    }

    /// Everything that somebody must look at, with its reason.
    fn attention(&mut self) -> fmt::Result {
        self.listed("Needs attention", |c| c.status.failed())
    }

    fn skipped(&mut self) -> fmt::Result {
        let mut reasons: BTreeMap<&str, usize> = BTreeMap::new();
        for cell in self.results.cells.iter().filter(|c| c.status == Status::Skipped) {
            *reasons.entry(cell.text.as_deref().unwrap_or_default()).or_default() += 1;
        }
        if reasons.is_empty() {
            return Ok(());
        }
        writeln!(self.out, "<h2>Skipped, and why</h2>\n<table>\n<tr><th>cells<th>reason")?;
        for (reason, n) in reasons {
            writeln!(self.out, "<tr><td>{n}<td class=reason>{}", Text(reason))?;
        }
        writeln!(self.out, "</table>")
    }

    fn listed(&mut self, title: &str, chosen: fn(&&CellResult) -> bool) -> fmt::Result {
        let mut cells = self.results.cells.iter().filter(chosen).peekable();
        if cells.peek().is_none() {
            return Ok(());
        }
        let out = &mut self.out;
        writeln!(out, "<h2>{title}</h2>\n<table>\n<tr><th>cell<th>status<th>reason")?;
        for c in cells {
            let name = c.cell.to_string();
            let cell = match link(c) {
                Some(href) => format!("<a href=\"{href}\">{}</a>", Text(&name)),
                None => Text(&name).to_string(),
            };
            let text = c.text.as_deref().unwrap_or_default();
            let (who, class, saying) = (who(&c.cell), class(c.status), c.saying());
            writeln!(out, "<tr data-who=\"{who}\"><td>{cell}<td class={class}>{}<td class=reason>{}", Text(&saying), Text(text))?;
        }
        writeln!(out, "</table>")
    }

    fn deviations(&mut self) -> fmt::Result {
        let list = &self.results.header.deviations;
        if list.is_empty() {
            return Ok(());
        }
        let out = &mut self.out;
        writeln!(out, "<h2>Known deviations</h2>\n<table>\n<tr><th>scenario<th>pairing<th>world<th>shows<th>reason<th>link")?;
        for d in list {
            // Nothing but the web: a list must not bring scripts along.
            let web = d.link.starts_with("https://") || d.link.starts_with("http://");
            let link = if web { format!("<a href=\"{0}\">{0}</a>", Text(&d.link)) } else { Text(&d.link).to_string() };
            let (scenario, pairing) = (Text(&d.scenario), d.pairing.to_string());
            let world = d.world.map_or("any", |w| w.name());
            writeln!(
                out,
                "<tr><td>{scenario}<td>{}<td>{world}<td>{}<td class=reason>{}<td>{link}",
                Text(&pairing),
                Text(&d.verdict),
                Text(&d.reason)
            )?;
        }
        writeln!(out, "</table>")
    }

    fn grid(&mut self) -> fmt::Result {
        let (out, h) = (&mut self.out, &self.results.header);
        writeln!(out, "<h2>Cells</h2>")?;
        let names: BTreeSet<&str> = h.pairings.iter().flat_map(|p| p.split(':')).collect();
        write!(out, "<p class=controls hidden><label>implementation <select id=implementation><option value=\"\">all")?;
        for name in names {
            write!(out, "<option>{}", Text(name))?;
        }
        writeln!(out, "</select></label>\n<label><input type=checkbox id=attention> only what needs attention or has changed</label></p>")?;
        writeln!(out, "<div class=scroll><table class=grid>\n<thead>\n<tr><th rowspan=2>scenario")?;
        let width = h.worlds.len();
        for p in &h.pairings {
            let shown = Text(p).to_string().replacen(':', ":<wbr>", 1);
            write!(out, "<th colspan={width} data-who=\"{}\">{shown}", Text(&p.replace(':', " ")))?;
        }
        write!(out, "\n<tr>")?;
        for p in &h.pairings {
            for w in &h.worlds {
                write!(out, "<th data-who=\"{}\">{}", Text(&p.replace(':', " ")), w.name())?;
            }
        }
        writeln!(out, "\n</thead>\n<tbody>")?;
        let mut by_row: BTreeMap<&str, Vec<&CellResult>> = BTreeMap::new();
        self.results.cells.iter().for_each(|c| by_row.entry(&c.cell.scenario).or_default().push(c));
        let changed: BTreeSet<&CellId> = self.results.changes.iter().flat_map(|c| &c.cells).map(|d| &d.cell).collect();
        let mut rows: Vec<&Row> = h.scenarios.iter().collect();
        rows.sort_by(|a, b| (&a.group, &a.id).cmp(&(&b.group, &b.id)));
        let mut group = None;
        for row in rows {
            if group != Some(&row.group) {
                writeln!(out, "<tr class=group><th colspan={}>{}", 1 + h.pairings.len() * width, Text(&row.group))?;
                group = Some(&row.group);
            }
            write!(out, "<tr><th>{}<span class=title>{}</span>", Text(&row.id), Text(&row.title))?;
            let cells = by_row.get(row.id.as_str()).map(Vec::as_slice).unwrap_or_default();
            for p in &h.pairings {
                for w in &h.worlds {
                    match cells.iter().find(|c| c.cell.pairing == *p && c.cell.world == *w) {
                        Some(c) => cell(out, c, changed.contains(&c.cell))?,
                        // Another shard's.
                        None => write!(out, "<td data-who=\"{}\">", Text(&p.replace(':', " ")))?,
                    }
                }
            }
            out.push('\n');
        }
        let legend: Vec<String> = Status::ALL.iter().map(|s| format!("{} {}", s.mark(), s.words())).collect();
        let legend = Text(&legend.join(" · ")).to_string();
        writeln!(out, "</tbody></table></div>\n<p class=legend>{legend} · Δ changed since the previous results</p>")
    }
}

fn cell(out: &mut String, c: &CellResult, changed: bool) -> fmt::Result {
    let mut classes = format!("cell {}", class(c.status));
    for (add, name) in [(c.status.failed(), " failed"), (changed, " changed")] {
        classes.push_str(if add { name } else { "" });
    }
    let times: Vec<String> = c.runs.iter().map(|r| format!("{:.1} s", r.elapsed_ms as f64 / 1000.0)).collect();
    let text = c.text.as_ref().map(|t| format!("\n{t}")).unwrap_or_default();
    let versions = c.versions().iter().map(|v| format!("\n{v}")).collect::<String>();
    let title = format!("{}\n{} {}{versions}{text}", c.cell, c.saying(), times.join(", "));
    write!(out, "<td class=\"{classes}\" data-who=\"{}\" title=\"{}\">", who(&c.cell), Text(&title))?;
    match link(c) {
        Some(href) => write!(out, "<a href=\"{href}\">{}</a>", c.status.mark())?,
        None => write!(out, "{}", c.status.mark())?,
    }
    if c.runs.len() > 1 && c.runs.iter().any(|r| r.evidence.is_some()) {
        for run in &c.runs {
            let (n, Some(e)) = (run.attempt, &run.evidence) else { continue };
            write!(out, "<sup><a href=\"{}/{}\" title=\"{}\">{n}</a></sup>", url(e), artefacts::STORY, Text(&run.verdict))?;
        }
    }
    Ok(())
}

fn counted(n: usize, what: &str) -> String {
    format!("{n} {what}{}", if n == 1 { "" } else { "s" })
}

/// The evidence of the run that shows best why the cell says what it says: the first that did not reproduce, or the first.
fn link(c: &CellResult) -> Option<String> {
    let with = || c.runs.iter().filter(|r| r.evidence.is_some());
    let run = with().find(|r| r.bug || r.verdict != "reproduced").or_else(|| with().next())?;
    run.evidence.as_ref().map(|e| format!("{}/{}", url(e), artefacts::STORY))
}

/// The implementations that take part, for the filter.
fn who(cell: &CellId) -> String {
    Text(&cell.pairing.replace(':', " ")).to_string()
}

/// The status as a class of the style sheet.
fn class(status: Status) -> String {
    serde_json::to_value(status).ok().and_then(|v| v.as_str().map(str::to_owned)).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::super::store::Store;
    use super::super::store::tests::{header, record};
    use super::*;
    use crate::run::versions::Versions;

    fn results(change: impl FnOnce(&mut super::super::store::Header)) -> (tempfile::TempDir, Results) {
        let dir = tempfile::tempdir().unwrap();
        let mut header = header();
        change(&mut header);
        let store = Store::create(dir.path(), header).unwrap();
        for (cell, verdict) in store.header.cells().iter().zip(["reproduced", "not-reproduced", "skipped"]) {
            store.write(&record(cell, 1, verdict)).unwrap();
        }
        let results = Results::of(&store, 1).unwrap();
        (dir, results)
    }

    #[test]
    fn text_is_never_markup() {
        assert_eq!(Text("<a href=\"x\">&'\u{0}\n").to_string(), "&lt;a href=&quot;x&quot;&gt;&amp;&#39;\\u{0}\n");
        let (_dir, results) = results(|h| h.scenarios[0].title = "<script>alert(1)</script> \"& '".to_owned());
        let html = page(&results);
        assert!(!html.contains("<script>alert") && html.contains("&lt;script&gt;alert(1)&lt;/script&gt; &quot;&amp; &#39;"));
    }

    #[test]
    fn links_stay_within_the_folder() {
        assert_eq!(url("evidence/a+b/host/1/x"), "evidence/a+b/host/1/x");
        assert_eq!(url("a b#c?d%\"<é:"), "a%20b%23c%3Fd%25%22%3C%C3%A9%3A");
        assert_eq!(url("//elsewhere/x"), "elsewhere/x");
    }

    #[test]
    fn every_cell_is_shown_with_its_evidence() {
        let (_dir, results) = results(|_| ());
        let html = page(&results.clone().since(&results));
        for status in ["cell expected", "cell unexpected failed", "cell skipped", "cell missing failed"] {
            assert!(html.contains(status), "no `{status}` in {html}");
        }
        assert!(html.contains("href=\"evidence/a+b/host/1/one/index.html\""));
        assert!(html.contains("because not-reproduced") && html.contains("because skipped"));
        assert!(html.contains("says the same as before"));
        for needs in ["http://", "https://", "@import", "src="] {
            assert!(!html.contains(needs), "the page must not need {needs}");
        }
    }

    #[test]
    fn versions_are_shown_where_they_are_known() {
        let (_dir, mut results) = results(|_| ());
        assert!(!page(&results).contains("played by"));
        let versions = |v: &str| Versions { first: Some(v.to_owned()), others: Some("<1>".to_owned()) };
        results.cells[0].runs[0].versions = versions("5.2");
        results.cells[1].runs[0].versions = versions("4.10");
        let html = page(&results);
        assert!(html.contains("played by a 4.10 and 5.2, b &lt;1&gt;</p>"), "{html}");
        assert!(html.contains("0.0 s\na 5.2, b &lt;1&gt;") && html.contains("0.0 s\na 4.10, b &lt;1&gt;\nbecause"), "{html}");
    }

    #[test]
    fn what_has_changed_is_marked() {
        let (_dir, now) = results(|_| ());
        let mut before = now.clone();
        before.cells[0].status = Status::Skipped;
        let html = page(&now.clone().since(&before));
        assert!(html.contains("<td>one/a:b/host<td>skipped<td>as expected") && html.contains("expected changed"));
        before.cells.remove(0);
        before.header.scenarios.remove(0);
        let html = page(&now.since(&before));
        assert!(html.contains("<p>1 cell of this matrix was not part of the previous one: scenarios one.</p>"), "{html}");
        assert!(html.contains("<p>All 3 cells that both have say the same as before.</p>") && !html.contains("expected changed"));
    }
}

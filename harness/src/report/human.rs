//! For people: live progress on a terminal, plain lines elsewhere, and an explanation of what was seen. Writes to stderr.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::io::IsTerminal;
use std::time::Duration;

use indicatif::{MultiProgress, ProgressBar, ProgressStyle};
use owo_colors::OwoColorize;

use super::{Reporter, RunInfo, ScenarioResult, tally, to_stderr};
use crate::event::{Event, StepResult, What};
use crate::run::artefacts;
use crate::run::drivers::Pairing;
use crate::run::orchestrate::AUTO;
use crate::run::outcome::{ExpectReport, FaultState, Found, PacketLine, SideReport, Verdict};
use crate::scenario::model::{Must, ScenarioKind, Side};
use crate::text::{lines, path, shown};

/// Characters of a packet's summary that are shown.
const LINE: usize = 140;

/// Human reporter.
pub struct Human {
    colour: bool,
    verbose: bool,
    /// Each scenario has its own pairing.
    auto: bool,
    bars: Option<MultiProgress>,
    lines: BTreeMap<(String, Side), ProgressBar>,
}

impl Human {
    /// `verbose`: explain every scenario; otherwise only when there are few, and failures always.
    pub fn new(verbose: bool) -> Human {
        let terminal = std::io::stderr().is_terminal();
        let colour = terminal && std::env::var_os("NO_COLOR").is_none();
        Human { colour, verbose, auto: false, bars: terminal.then(MultiProgress::new), lines: BTreeMap::new() }
    }

    fn print(&self, text: &str) {
        match &self.bars {
            // A vanished terminal must not end the run.
            Some(bars) => drop(bars.println(text)),
            None => to_stderr(text),
        }
    }
}

impl Reporter for Human {
    fn begin(&mut self, run: &RunInfo<'_>) {
        let n = run.scenarios.len();
        self.verbose |= n <= 2;
        self.auto = run.pairing == AUTO;
        self.print(&format!(
            "faultlab: {n} scenario{}, {}, up to {} cells at once; evidence in {}",
            if n == 1 { "" } else { "s" },
            if self.auto { "each with the first implementation that can" } else { run.pairing },
            run.jobs,
            path(run.dir)
        ));
    }

    fn side_started(&mut self, scenario: &str, side: Side) {
        if let Some(bars) = &self.bars {
            let bar = bars.add(ProgressBar::new_spinner());
            if let Ok(style) = ProgressStyle::with_template("  {spinner} {prefix:<44} {elapsed:>4} {wide_msg:.dim}") {
                bar.set_style(style);
            }
            bar.set_prefix(format!("{scenario} ({})", side.name()));
            // It starts a thread, and panics where there can be none.
            if std::thread::Builder::new().spawn(|| ()).is_ok() {
                bar.enable_steady_tick(Duration::from_millis(120));
            }
            self.lines.insert((scenario.to_owned(), side), bar);
        }
    }

    fn event(&mut self, scenario: &str, side: Side, event: &Event) {
        if let (Some(bar), Some(text)) = (self.lines.get(&(scenario.to_owned(), side)), progress(&event.what)) {
            bar.set_message(shown(&text).into_owned());
        }
    }

    fn side_ended(&mut self, report: &SideReport) {
        if let Some(bar) = self.lines.remove(&(report.scenario.clone(), report.side)) {
            bar.finish_and_clear();
        }
    }

    fn scenario_ended(&mut self, result: &ScenarioResult) {
        self.print(&headline(result, self.auto, self.colour));
        if self.verbose || !matches!(result.verdict, Verdict::Reproduced | Verdict::Skipped(_)) {
            self.print(&explain(result, self.colour));
        } else {
            for warning in result.sides.iter().flat_map(|s| &s.warnings) {
                self.print(&format!("    ! {}", indent(warning)));
            }
        }
    }

    fn end(&mut self, results: &[ScenarioResult], elapsed: Duration) {
        let n = results.len();
        self.print(&format!("{n} scenario{} in {:.1} s: {}", if n == 1 { "" } else { "s" }, elapsed.as_secs_f64(), tally(results)));
    }
}

fn progress(what: &What) -> Option<String> {
    match what {
        What::Phase { name } => Some(name.clone()),
        What::StepStarted { step } => Some(format!("traffic: {step}")),
        What::StepEnded { step, result: StepResult::Probe(p) } => Some(format!("{step}: {:?}", p.outcome).to_lowercase()),
        What::FaultSet { fault } => Some(format!("fault: {fault}")),
        What::Daemon { gateway, state } => Some(format!("{gateway}: {state}")),
        _ => None,
    }
}

/// `auto`: the pairing is told when it is not the usual one.
fn headline(r: &ScenarioResult, auto: bool, colour: bool) -> String {
    let (mark, word) = match &r.verdict {
        Verdict::Reproduced => ("✓", paint(r.verdict.word(), Tone::Good, colour)),
        Verdict::Skipped(_) => ("–", paint(r.verdict.word(), Tone::Dim, colour)),
        _ => ("✗", paint(r.verdict.word(), Tone::Bad, colour)),
    };
    let mut line = format!("{mark} {:<34} {word} {:>5.1} s  {}", r.scenario, r.elapsed.as_secs_f64(), shown(&r.title));
    if let Verdict::Skipped(skip) = &r.verdict {
        let _ = write!(line, "\n    {}", indent(&skip.text));
    } else if auto && r.pairing != Pairing::default().to_string() {
        let _ = write!(line, " ({})", r.pairing);
    }
    line
}

/// The whole story of a scenario's run.
pub fn explain(r: &ScenarioResult, colour: bool) -> String {
    let mut s = String::new();
    let head = |t: &str| paint(t, Tone::Head, colour);
    if !r.ticket.is_empty() {
        let _ = writeln!(s, "  {}  {}", head("complaint"), indent(r.ticket.trim()));
    }
    for side in &r.sides {
        let name = if r.kind == ScenarioKind::Control { "control" } else { side.side.name() };
        side_story(&mut s, name, side, colour);
        if side.side == Side::Broken {
            if !r.diagnosis.is_empty() {
                let _ = writeln!(s, "  {}  {}", head("diagnosis"), indent(r.diagnosis.trim()));
            }
            if !r.fix.is_empty() {
                let _ = writeln!(s, "  {}        {}", head("fix"), indent(r.fix.trim()));
            }
        }
    }
    let bad = !matches!(r.verdict, Verdict::Reproduced);
    if let Some(reason) = r.verdict.reason() {
        let _ = writeln!(
            s,
            "  {}    {}",
            head("verdict"),
            paint(&format!("{}: {}", r.verdict.word(), indent(reason)), Tone::Bad, colour && bad)
        );
    } else {
        let _ = writeln!(s, "  {}    {}", head("verdict"), paint(r.verdict.word(), Tone::Good, colour));
    }
    if !r.rfc.is_empty() || !r.slides.is_empty() {
        let slides = r.slides.iter().map(u16::to_string).collect::<Vec<_>>().join(", ");
        let slides = if slides.is_empty() { String::new() } else { format!("; slides {slides}") };
        let _ = writeln!(s, "  {}       {}{slides}", head("read"), shown(&r.rfc.join(", ")));
    }
    for side in &r.sides {
        let _ = writeln!(s, "  {}    {}", head("capture"), path(&side.dir.join(artefacts::CAPTURE)));
    }
    let _ = write!(s, "  {}      {}", head("again"), shown(&r.again));
    s
}

fn side_story(s: &mut String, name: &str, side: &SideReport, colour: bool) {
    let _ = writeln!(
        s,
        "  {}  {} packets{} in {:.1} s",
        paint(&format!("{name:<9}"), Tone::Head, colour),
        side.packets,
        if side.lost > 0 { format!(" ({} lost by the capture)", side.lost) } else { String::new() },
        side.elapsed.as_secs_f64()
    );
    if let Some(trouble) = &side.trouble {
        let _ = writeln!(s, "    ✗ {}", indent(&trouble.text));
    }
    for warning in &side.warnings {
        let _ = writeln!(s, "    ! {}", indent(warning));
    }
    for f in &side.faults {
        let mark = match f.state {
            FaultState::Proved => paint("✓", Tone::Good, colour),
            FaultState::Unproved if f.remedy => "·".to_owned(),
            _ => paint("✗", Tone::Bad, colour),
        };
        let kind = if f.remedy { "remedy" } else { "fault" };
        let _ = writeln!(s, "    {mark} {kind} `{}` ({}): {}", shown(&f.name), f.action, indent(&f.text));
    }
    for e in &side.expects {
        expect_story(s, e, colour);
    }
    if let Some(h) = &side.health {
        let mark = if h.good() { paint("✓", Tone::Good, colour) } else { paint("✗", Tone::Bad, colour) };
        let state = if h.healthy { "healthy" } else { "not healthy" };
        let _ = writeln!(s, "    {mark} {state}: {}", indent(&h.text));
    }
}

fn expect_story(s: &mut String, e: &ExpectReport, colour: bool) {
    let mark = match (e.must, e.good()) {
        (Must::Whatever, _) => "·".to_owned(),
        (_, true) => paint("✓", Tone::Good, colour),
        (_, false) => paint("✗", Tone::Bad, colour),
    };
    let word = match (e.must, e.found) {
        (Must::Vanish, Found::Fails) => "gone: ",
        (_, Found::Inconclusive) => "inconclusive: ",
        (Must::Hold, Found::Fails) => "missing: ",
        (Must::Vanish, Found::Holds) => "still there: ",
        _ => "",
    };
    let _ = writeln!(s, "    {mark} {} (line {}) {word}{}", e.symptom, e.line, indent(&e.text));
    if !e.good() {
        let _ = writeln!(s, "        expected{}: {}", if e.must == Must::Vanish { " not" } else { "" }, shown(&e.wanted));
    }
    let shown = if e.good() { 3 } else { 8 };
    for p in e.packets.iter().take(shown) {
        let _ = writeln!(s, "        {}", packet_line(p));
    }
    if e.packets.len() > shown {
        let _ = writeln!(s, "        … and {} more", e.packets.len() - shown);
    }
}

/// `#12  0.104210  east.wan  IKE_SA_INIT …`
pub fn packet_line(p: &PacketLine) -> String {
    // The whole summary is in the JSON report and in `faultlab packets`.
    let whole = shown(&p.summary);
    let mut summary: String = whole.chars().take(LINE).collect();
    if summary.len() < whole.len() {
        summary.push('…');
    }
    format!("#{:<5} {:>10.6}  {:<12} {summary}", p.number, p.time.as_secs_f64(), shown(&p.tap))
}

fn indent(text: &str) -> String {
    lines(text).replace('\n', "\n      ")
}

#[derive(Clone, Copy)]
enum Tone {
    Good,
    Bad,
    Dim,
    Head,
}

fn paint(text: &str, tone: Tone, colour: bool) -> String {
    match (colour, tone) {
        (false, _) => text.to_owned(),
        (true, Tone::Good) => text.green().to_string(),
        (true, Tone::Bad) => text.red().bold().to_string(),
        (true, Tone::Dim) => text.dimmed().to_string(),
        (true, Tone::Head) => text.bold().to_string(),
    }
}

//! A reporter that says nothing.

use std::time::Duration;

use faultlab::event::Event;
use faultlab::report::{Reporter, RunInfo, ScenarioResult};
use faultlab::run::outcome::SideReport;
use faultlab::scenario::model::Side;

/// Says nothing.
pub struct Silent;

impl Reporter for Silent {
    fn begin(&mut self, _: &RunInfo<'_>) {}
    fn side_started(&mut self, _: &str, _: Side) {}
    fn event(&mut self, _: &str, _: Side, _: &Event) {}
    fn side_ended(&mut self, _: &SideReport) {}
    fn scenario_ended(&mut self, _: &ScenarioResult) {}
    fn end(&mut self, _: &[ScenarioResult], _: Duration) {}
}

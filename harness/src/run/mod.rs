//! Runs: from a plan to a verdict. The parent side schedules cells and collects reports; the cell side builds the world,
//! starts everything, injects the faults and judges.

pub mod artefacts;
pub mod attend;
pub mod certificates;
pub mod drivers;
pub mod ended;
pub mod evidence;
pub mod faults;
pub mod flood;
pub mod judge;
pub mod lab;
pub mod lack;
pub mod ledger;
pub mod lives;
pub mod orchestrate;
pub mod outcome;
pub mod panics;
pub mod probing;
pub mod script;
pub mod shortage;
pub mod supervise;
pub mod traffic;
pub mod tunnel;
pub mod unread;
pub mod unsent;
pub mod versions;
pub mod worlds;

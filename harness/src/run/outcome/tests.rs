use super::*;

fn side(side: Side) -> SideReport {
    let must = if side == Side::Broken { Must::Hold } else { Must::Vanish };
    let found = if side == Side::Broken { Found::Holds } else { Found::Fails };
    SideReport {
        scenario: "x".into(),
        side,
        dir: PathBuf::new(),
        faults: vec![FaultReport {
            name: "f".into(),
            action: "drop".into(),
            state: FaultState::Proved,
            text: String::new(),
            remedy: side == Side::Fixed,
        }],
        expects: vec![ExpectReport {
            symptom: "packets".into(),
            wanted: String::new(),
            must,
            found,
            text: String::new(),
            packets: vec![],
            line: 1,
        }],
        health: Some(HealthReport {
            must: if side == Side::Broken { Must::Vanish } else { Must::Hold },
            healthy: side == Side::Fixed,
            probes: vec![],
            text: String::new(),
        }),
        packets: 1,
        lost: 0,
        started: Timestamp(0),
        elapsed: Duration::ZERO,
        warnings: Vec::new(),
        trouble: None,
    }
}

fn judge(change: impl Fn(&mut SideReport, &mut SideReport)) -> &'static str {
    let (mut b, mut f) = (side(Side::Broken), side(Side::Fixed));
    change(&mut b, &mut f);
    verdict(ScenarioKind::Failure, &b, Some(&f)).word()
}

#[test]
fn both_sides_as_they_must_be() {
    assert_eq!(judge(|_, _| ()), "reproduced");
}

#[test]
fn a_fault_without_proof_is_never_a_pass() {
    for state in [FaultState::Unproved, FaultState::Refused, FaultState::NotDue] {
        assert_eq!(judge(|b, _| b.faults[0].state = state), "fault-not-in-force");
    }
    assert_eq!(judge(|_, f| f.faults[0].state = FaultState::Unproved), "reproduced", "a remedy shows by its effect");
    assert_eq!(judge(|_, f| f.faults[0].state = FaultState::Refused), "fault-not-in-force");
}

#[test]
fn missing_symptom_or_unexpected_health() {
    assert_eq!(judge(|b, _| b.expects[0].found = Found::Fails), "not-reproduced");
    assert_eq!(judge(|b, _| b.health.as_mut().unwrap().healthy = true), "not-reproduced");
}

#[test]
fn fixed_twin_must_be_healthy_and_free_of_the_symptom() {
    assert_eq!(judge(|_, f| f.health.as_mut().unwrap().healthy = false), "fix-failed");
    assert_eq!(judge(|_, f| f.expects[0].found = Found::Holds), "fix-failed");
    assert_eq!(
        judge(|_, f| {
            f.expects[0].found = Found::Holds;
            f.expects[0].must = Must::Whatever;
        }),
        "reproduced"
    );
}

#[test]
fn inconclusive_never_passes() {
    assert_eq!(judge(|b, _| b.expects[0].found = Found::Inconclusive), "inconclusive");
    assert_eq!(judge(|_, f| f.expects[0].found = Found::Inconclusive), "inconclusive");
    assert_eq!(verdict(ScenarioKind::Failure, &side(Side::Broken), None).word(), "inconclusive");
}

#[test]
fn what_breaks_after_the_start_is_never_skipped_whosever_fault_it_is() {
    for whose in [Whose::Scenario, Whose::Machine, Whose::Outside, Whose::Peer, Whose::Us] {
        assert_eq!(judge(|b, _| b.trouble = Some(Trouble { whose, text: String::new() })), "inconclusive", "{whose:?}");
        assert_eq!(judge(|_, f| f.trouble = Some(Trouble { whose, text: String::new() })), "inconclusive", "{whose:?}");
    }
    let trouble = Trouble { whose: Whose::Outside, text: "the probe died".into() };
    assert_eq!(Verdict::from(NotRun::Failed(trouble)), Verdict::Inconclusive("the probe died".into()));
}

#[test]
fn a_skip_tells_machines_whether_it_can_be_helped() {
    let json = |v: &Verdict| serde_json::to_string(v).unwrap();
    let skipped = Verdict::Skipped(Skip::missing("no charon"));
    assert_eq!(json(&skipped), r#"{"verdict":"skipped","reason":"no charon","lack":"missing"}"#);
    assert_eq!(json(&Verdict::Reproduced), r#"{"verdict":"reproduced"}"#);
}

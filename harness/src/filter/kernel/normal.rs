//! Boolean formulas over kernel tests, and their disjunctive normal form.

use super::{Clause, Test, What};

/// Beyond this many clauses a filter is refused.
pub(super) const MOST: usize = 512;

/// A formula.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Formula {
    And(Vec<Formula>),
    Or(Vec<Formula>),
    Not(Box<Formula>),
    Is(What),
    /// Half of [`What::Fragment`], which no rule tests alone: more fragments follow.
    MoreFragments,
    /// The other half: the offset is above 0.
    LaterFragment,
}

impl Formula {
    pub(super) fn not(self) -> Formula {
        Formula::Not(Box::new(self))
    }

    pub(super) fn always() -> Formula {
        Formula::And(Vec::new())
    }

    pub(super) fn never() -> Formula {
        Formula::Or(Vec::new())
    }
}

pub(super) fn disjunctive(formula: &Formula) -> Option<Vec<Clause>> {
    let mut clauses = expand(formula, false)?;
    // What a shorter clause matches, a longer one with the same tests need not match again.
    clauses.sort_by_key(|c: &Clause| c.tests.len());
    let mut kept: Vec<Clause> = Vec::new();
    for clause in clauses {
        if !kept.iter().any(|k| k.tests.iter().all(|t| clause.tests.contains(t))) {
            kept.push(clause);
        }
    }
    Some(kept)
}

fn expand(formula: &Formula, negated: bool) -> Option<Vec<Clause>> {
    match (formula, negated) {
        (Formula::Not(inner), _) => expand(inner, !negated),
        (Formula::And(parts), false) | (Formula::Or(parts), true) => {
            let mut product = vec![Clause::default()];
            for part in parts {
                product = multiply(&product, &expand(part, negated)?)?;
            }
            Some(product)
        }
        (Formula::Or(parts), false) | (Formula::And(parts), true) => {
            let mut sum: Vec<Clause> = Vec::new();
            for part in parts {
                for clause in expand(part, negated)? {
                    if !sum.contains(&clause) {
                        sum.push(clause);
                    }
                }
            }
            (sum.len() <= MOST).then_some(sum)
        }
        (Formula::Is(what), _) => Some(vec![Clause { tests: vec![Test { negated, what: what.clone() }] }]),
        // `leaf` has joined or refused them.
        (Formula::MoreFragments | Formula::LaterFragment, _) => None,
    }
}

fn multiply(left: &[Clause], right: &[Clause]) -> Option<Vec<Clause>> {
    let mut product = Vec::new();
    for l in left {
        for r in right {
            if let Some(clause) = join(l, r)
                && !product.contains(&clause)
            {
                product.push(clause);
                if product.len() > MOST {
                    return None;
                }
            }
        }
    }
    Some(product)
}

/// Both clauses at once; `None` when they contradict each other.
fn join(l: &Clause, r: &Clause) -> Option<Clause> {
    let mut tests = l.tests.clone();
    for test in &r.tests {
        if tests.iter().any(|t| contradict(t, test)) {
            return None;
        }
        if !tests.contains(test) {
            tests.push(test.clone());
        }
    }
    Some(Clause { tests })
}

fn contradict(l: &Test, r: &Test) -> bool {
    if l.what == r.what {
        return l.negated != r.negated;
    }
    if l.negated || r.negated {
        return false;
    }
    match (&l.what, &r.what) {
        (What::Version(l), What::Version(r)) | (What::Protocol(l), What::Protocol(r)) => l != r,
        (What::IcmpType(f, l), What::IcmpType(g, r)) | (What::IcmpCode(f, l), What::IcmpCode(g, r)) => f == g && l != r,
        (What::SourcePort(p, a, b), What::SourcePort(q, c, d)) | (What::DestinationPort(p, a, b), What::DestinationPort(q, c, d)) => {
            p != q || b < c || d < a
        }
        (What::UdpPayload(i, l), What::UdpPayload(j, r)) => i == j && l.len() == r.len() && l != r,
        _ => false,
    }
}

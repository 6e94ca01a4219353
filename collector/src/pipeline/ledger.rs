//! The ledger's way to the database: what it lacks is the difference between the accounts beside the samples,
//! which are exact, and what it was told. After a crash the same difference puts it right.

use std::collections::HashMap;

use telemetry::topic::GatewayId;

use super::{Job, Pipeline};
use crate::ingest::keys::Account;
use crate::store::{LedgerDelta, LedgerRow, cause_name};

/// What the database was told of each gateway and day.
#[derive(Debug, Default)]
pub struct Told {
    told: HashMap<(String, String), Totals>,
}

#[derive(Debug, Default, Clone, PartialEq, Eq)]
struct Totals {
    expected: i64,
    stored: i64,
    gaps: HashMap<String, i64>,
}

impl Told {
    /// What the database says of recent days.
    pub fn from_rows(rows: Vec<LedgerRow>) -> Told {
        let totals = |row: LedgerRow| {
            let totals = Totals { expected: row.expected, stored: row.stored, gaps: row.gaps.into_iter().collect() };
            ((row.gateway, row.day), totals)
        };
        Told { told: rows.into_iter().map(totals).collect() }
    }

    /// What must be added so that the database says what the account says.
    pub fn lacks(&mut self, gateway: &str, day: &str, account: &Account) -> Vec<LedgerDelta> {
        let mut now = Totals { expected: whole(account.expected), stored: whole(account.stored), gaps: HashMap::new() };
        for (cause, count) in &account.gaps {
            *now.gaps.entry(cause_name(*cause).to_owned()).or_default() += whole(*count);
        }
        let then = self.told.entry((gateway.to_owned(), day.to_owned())).or_default();
        let delta = |expected, stored, gap_cause, gap_count| LedgerDelta {
            gateway: gateway.to_owned(),
            day: day.to_owned(),
            expected,
            stored,
            gap_cause,
            gap_count,
        };
        let mut deltas = Vec::new();
        if (now.expected, now.stored) != (then.expected, then.stored) {
            deltas.push(delta(now.expected - then.expected, now.stored - then.stored, None, 0));
        }
        for (cause, count) in &now.gaps {
            let more = count - then.gaps.get(cause).copied().unwrap_or(0);
            if more != 0 {
                deltas.push(delta(0, 0, Some(cause.clone()), more));
            }
        }
        *then = now;
        deltas
    }
}

fn whole(count: u64) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}

impl Pipeline {
    /// Tells the database what it lacks; called at most once a second.
    pub(super) fn tell_ledger(&mut self) {
        let changed = self.desk.changed_accounts();
        let deltas: Vec<LedgerDelta> = changed
            .iter()
            .flat_map(|(gateway, day, account): &(GatewayId, String, Account)| self.ledger.lacks(gateway.as_str(), day, account))
            .collect();
        if !deltas.is_empty() {
            self.clerk.hand(Job::Ledger(deltas));
        }
    }

    /// After a start: whatever the database missed when the process last ended.
    pub(super) fn put_ledger_right(&mut self) {
        let deltas: Vec<LedgerDelta> =
            self.desk.accounts().flat_map(|(gateway, day, account)| self.ledger.lacks(gateway.as_str(), day, account)).collect();
        if !deltas.is_empty() {
            self.clerk.hand(Job::Ledger(deltas));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeMap;

    #[test]
    fn the_database_is_told_the_difference_once() {
        let mut told = Told::default();
        let account = Account { expected: 10, stored: 8, gaps: BTreeMap::from([(1, 2)]) };
        assert_eq!(told.lacks("gw", "2026-11-24", &account).iter().map(|delta| delta.expected + delta.gap_count).sum::<i64>(), 12);
        assert!(told.lacks("gw", "2026-11-24", &account).is_empty());
    }

    #[test]
    fn what_a_crash_swallowed_is_told_after_the_start() {
        let row = LedgerRow { gateway: "gw".to_owned(), day: "2026-11-24".to_owned(), expected: 6, stored: 6, gaps: BTreeMap::new() };
        let mut told = Told::from_rows(vec![row]);
        let deltas = told.lacks("gw", "2026-11-24", &Account { expected: 10, stored: 8, gaps: BTreeMap::new() });
        assert_eq!(deltas.iter().map(|delta| (delta.expected, delta.stored)).collect::<Vec<_>>(), [(4, 2)]);
    }
}

//! What a run of an evening came to, as a line of the table or of the JSON.
//!
//! Must never: call money conserved that was not counted.

use serde_json::{Value, json};

use crate::table::Table;

/// What goes wrong in the middle of a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    /// Nothing.
    None,
    /// The payees' database is killed and comes back; of Tenpay the leader of the payers' shard.
    Database,
    /// The coordinator dies and does not come back.
    Coordinator,
}

impl Fault {
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Database => "database killed",
            Self::Coordinator => "coordinator killed",
        }
    }
}

/// One run.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Outcome {
    /// Seven steps, polled, Tenpay.
    pub(crate) way: &'static str,
    /// One account is paid by all.
    pub(crate) is_hot: bool,
    pub(crate) clients: u32,
    pub(crate) fault: Fault,
    /// Credits that have arrived.
    pub(crate) credits: u64,
    /// Until the last of them had.
    pub(crate) secs: f64,
    /// What a payer waited. Microseconds.
    pub(crate) p50_us: u64,
    /// The same for 99 of 100.
    pub(crate) p99_us: u64,
    /// Calls that failed, or whose end was not known.
    pub(crate) failures: u64,
    /// Most prepared transactions older than a second, seen at one moment: each holds its rows locked.
    pub(crate) stuck_most: i64,
    /// How many were left when the run was over, before anybody tidied up.
    pub(crate) stuck_left: i64,
    /// Whether all money is there, tidied up if that was possible.
    pub(crate) is_conserved: bool,
}

impl Outcome {
    pub(crate) fn per_s(&self) -> f64 {
        // Counts stay far below 2^53.
        self.credits as f64 / self.secs.max(f64::MIN_POSITIVE)
    }
}

/// The runs as a table.
pub(crate) fn table(outcomes: &[Outcome]) -> Table {
    let head =
        ["way", "paid", "clients", "fault", "credits/s", "p50 ms", "p99 ms", "failures", "stuck", "left", "money"];
    let mut table = Table::new(&head);
    for run in outcomes {
        let ms = |us: u64| format!("{:.1}", us as f64 / 1000.0);
        table.row(vec![
            run.way.to_owned(),
            if run.is_hot { "one account" } else { "all alike" }.to_owned(),
            run.clients.to_string(),
            run.fault.name().to_owned(),
            format!("{:.0}", run.per_s()),
            ms(run.p50_us),
            ms(run.p99_us),
            run.failures.to_string(),
            run.stuck_most.to_string(),
            run.stuck_left.to_string(),
            if run.is_conserved { "conserved" } else { "NOT CONSERVED" }.to_owned(),
        ]);
    }
    table
}

/// The runs for scripts.
pub(crate) fn json(outcomes: &[Outcome]) -> Value {
    let runs = outcomes.iter().map(|run| {
        json!({
            "way": run.way,
            "hot": run.is_hot,
            "clients": run.clients,
            "fault": run.fault.name(),
            "credits": run.credits,
            "secs": run.secs,
            "credits_per_s": run.per_s(),
            "p50_us": run.p50_us,
            "p99_us": run.p99_us,
            "failures": run.failures,
            "stuck_most": run.stuck_most,
            "stuck_left": run.stuck_left,
            "conserved": run.is_conserved,
        })
    });
    json!({ "bench": "evening", "runs": runs.collect::<Vec<_>>() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_run_that_lost_money_says_so_in_table_and_json() {
        let run = Outcome {
            way: "seven steps",
            is_hot: true,
            clients: 16,
            fault: Fault::Coordinator,
            credits: 100,
            secs: 2.0,
            p50_us: 1500,
            p99_us: 9000,
            failures: 3,
            stuck_most: 16,
            stuck_left: 16,
            is_conserved: false,
        };
        let line =
            "| seven steps | one account | 16 | coordinator killed | 50 | 1.5 | 9.0 | 3 | 16 | 16 | NOT CONSERVED |";
        assert_eq!(table(std::slice::from_ref(&run)).markdown().lines().last(), Some(line));
        assert_eq!(json(&[run])["runs"][0]["conserved"], false);
    }
}

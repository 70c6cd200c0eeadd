//! The report of an evening: verdicts, a table, and JSON.
//!
//! Must never: call a goal met that was not measured.

use std::fmt::Write as _;
use std::time::Duration;

use proto::admin::v1::AuditReply;
use serde_json::{Value, json};

use super::books::{Cores, mean};
use super::faults::Struck;
use super::hot::Hot;
use super::search::Capacity;
use super::series::{KINDS, Look, Second, kind_name, sum};
use super::tide::{PARTS, Part, Tide};
use crate::audit;
use crate::draw::Action;

/// Of the best goodput of opens, what must be left at midnight. Source: the goal of overload control.
const GOODPUT_KEPT: f64 = 0.9;

/// An evening that is over.
#[derive(Debug)]
pub(crate) struct Report {
    /// Actions a second that the app can do.
    pub(crate) capacity: f64,
    /// How that was found, if it was searched for.
    pub(crate) found: Option<Capacity>,
    /// How the evening was planned.
    pub(crate) tide: Tide,
    /// What happened.
    pub(crate) seconds: Vec<Second>,
    /// The nodes that were struck.
    pub(crate) struck: Vec<Struck>,
    /// Streams that were to be open; how many were in the end, the news they brought, how often one broke.
    pub(crate) streams: (usize, (u64, u64, u64)),
    /// The hot packet.
    pub(crate) hot: Option<Hot>,
    /// Opens that were answered "waiting".
    pub(crate) waiting: u64,
    /// How long the last credit took after the end.
    pub(crate) settled: Option<Duration>,
    /// The money.
    pub(crate) audit: AuditReply,
}

impl Report {
    /// Goodput of opens at midnight as a part of the best that was measured at any rate.
    fn kept(&self) -> Option<f64> {
        let midnight = sum(&self.seconds, &self.tide, Part::Midnight, Action::Open).goodput();
        let best = self.found.as_ref().map(Capacity::opens);
        best.filter(|opens| *opens > 0.0).map(|opens| midnight / opens)
    }

    fn looks(&self) -> impl Iterator<Item = &Look> {
        self.seconds.iter().map(|second| &second.look)
    }

    /// What the app sent away, by its own count: money, open, grab, list.
    fn shed(&self) -> [u64; 4] {
        [0, 1, 2, 3].map(|class: usize| self.looks().map(|look| look.shed[class]).sum())
    }

    /// Who used the processors in a part of the evening.
    fn cores(&self, part: Part) -> Cores {
        let (begin, end) = self.tide.span(part);
        let within = (begin.as_secs()..end.as_secs()).filter_map(|second| usize::try_from(second).ok());
        let all: Vec<Cores> =
            within.filter_map(|second| self.seconds.get(second)).map(|second| second.look.cores).collect();
        mean(&all)
    }

    fn late_us(&self, part: Part) -> u64 {
        let (begin, end) = self.tide.span(part);
        let of_part = |number: &u64| (begin.as_secs()..end.as_secs()).contains(number);
        let seconds = self.seconds.iter().zip(0_u64..).filter(|(_, number)| of_part(number));
        seconds.map(|(second, _)| second.late_us).max().unwrap_or(0)
    }

    /// Each goal that was measured, in words, and whether it is met.
    pub(crate) fn verdicts(&self) -> Vec<(String, bool)> {
        let mut lines = Vec::new();
        if let Some(kept) = self.kept() {
            let times = self.tide.overload * self.tide.base / self.capacity.max(f64::MIN_POSITIVE);
            let text = format!(
                "goodput of open at {times:.1} times the capacity is {:.0} % of its best (goal: 90 %)",
                kept * 100.0
            );
            lines.push((text, kept >= GOODPUT_KEPT));
        }
        let money = self.shed()[0];
        lines.push((format!("{money} questions about money were shed; credits and refunds cannot be"), money == 0));
        let settled = self.settled.map_or_else(
            || "credits were left in the queue".to_owned(),
            |time| format!("every credit had arrived {} ms after the end", time.as_millis()),
        );
        lines.push((settled, self.settled.is_some()));
        lines.extend(self.hot.iter().flat_map(Hot::verdicts));
        let holds = audit::holds(&self.audit);
        lines.push((format!("the audit {}", if holds { "holds" } else { "does NOT hold" }), holds));
        lines
    }

    /// For a terminal.
    pub(crate) fn text(&self) -> String {
        let mut text = format!("capacity {:.0} actions a second", self.capacity);
        if let Some(found) = &self.found {
            let _ = write!(text, ", {:.0} opens at the most", found.opens());
        }
        let head = ["part", "action", "wanted/s", "held/s", "answered/s", "shed/s", "failed", "p50 ms", "p99 ms"];
        let _ = write!(text, "\n  {:<9}{:<7}", head[0], head[1]);
        head[2..].iter().for_each(|word| text.push_str(&format!("{word:>11}")));
        text.push('\n');
        for (part, _) in PARTS {
            KINDS.iter().for_each(|kind| self.line(&mut text, part, *kind));
        }
        let most = |part: fn(&Look) -> u64| self.looks().map(part).max().unwrap_or(0);
        let _ = writeln!(
            text,
            "  {} opens had to wait; at most {} credits queued, the oldest for {} ms",
            self.waiting,
            most(|look| look.queued),
            most(|look| look.oldest_ms)
        );
        let (wished, (open, events, broken)) = self.streams;
        let _ = writeln!(text, "  {open} of {wished} streams open at the end; {events} news; {broken} opened again");
        let [_, opens, grabs, lists] = self.shed();
        let _ = writeln!(text, "  sent away by the app: {opens} opens and sends, {grabs} grabs, {lists} lists");
        for struck in &self.struck {
            let _ = writeln!(text, "  {}", struck.text());
        }
        for (part, _) in PARTS {
            let (cores, late) = (self.cores(part), self.late_us(part));
            let _ = writeln!(
                text,
                "  {:<9}processors: app {:.2}, queue {:.2}, load generator {:.2} ({:.0} %, late by at most {} ms), others {:.2}",
                part.name(),
                cores.app,
                cores.queue,
                cores.generator,
                cores.generator_share() * 100.0,
                late / 1000,
                cores.others
            );
        }
        for (line, is_met) in self.verdicts() {
            let _ = writeln!(text, "  {} {line}", if is_met { "ok " } else { "NOT" });
        }
        text.trim_end().to_owned()
    }

    fn line(&self, text: &mut String, part: Part, kind: Action) {
        let sum = sum(&self.seconds, &self.tide, part, kind);
        let per_second = |count: u64| count as f64 / sum.secs.max(1.0);
        let _ = writeln!(
            text,
            "  {:<9}{:<7}{:>11.0}{:>11.0}{:>11.0}{:>11.0}{:>11}{:>11.1}{:>11.1}",
            part.name(),
            kind_name(kind),
            per_second(sum.wanted),
            per_second(sum.held),
            sum.goodput(),
            per_second(sum.shed),
            sum.failed,
            f64::from(sum.p50_us) / 1000.0,
            f64::from(sum.p99_us) / 1000.0,
        );
    }

    /// For programs.
    pub(crate) fn json(&self) -> Value {
        let parts = PARTS.iter().map(|(part, _)| {
            let kinds = KINDS.iter().map(|kind| {
                let sum = sum(&self.seconds, &self.tide, *part, *kind);
                json!({
                    "action": kind_name(*kind), "wanted": sum.wanted, "held": sum.held, "answered": sum.answered,
                    "shed": sum.shed, "failed": sum.failed, "goodput_per_s": sum.goodput(), "p50_us": sum.p50_us,
                    "p99_us": sum.p99_us,
                })
            });
            json!({
                "part": part.name(), "actions": kinds.collect::<Vec<_>>(), "cores": self.cores(*part),
                "generator_late_us": self.late_us(*part),
            })
        });
        let most = |part: fn(&Look) -> u64| self.looks().map(part).max().unwrap_or(0);
        let (wished, (open, events, broken)) = self.streams;
        let verdicts = self.verdicts().into_iter().map(|(text, is_met)| json!({ "goal": text, "met": is_met }));
        json!({
            "capacity_per_s": self.capacity, "capacity_steps": self.found.as_ref().map(Capacity::json),
            "open_goodput_kept": self.kept(), "parts": parts.collect::<Vec<_>>(), "shed_by_app": self.shed(),
            "waiting": self.waiting, "credits_queued_max": most(|look| look.queued),
            "oldest_credit_ms_max": most(|look| look.oldest_ms),
            "settled_ms": self.settled.map(|time| u64::try_from(time.as_millis()).unwrap_or(u64::MAX)),
            "struck": self.struck.iter().map(Struck::json).collect::<Vec<_>>(),
            "streams": { "wished": wished, "open": open, "news": events, "broken": broken },
            "hot": self.hot.as_ref().map(Hot::json), "audit_ok": audit::holds(&self.audit),
            "verdicts": verdicts.collect::<Vec<_>>(),
        })
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::super::search::Step;
    use super::super::series::place;
    use super::*;

    /// An evening whose opens at midnight were so many a second.
    pub(in super::super) fn report(midnight_opens: u64) -> Report {
        let tide = Tide { base: 10.0, overload: 10.0, length: Duration::from_secs(100) };
        let mut seconds = vec![Second::default(); 100];
        for second in &mut seconds[50..85] {
            second.cells[place(Action::Open)].answered = midnight_opens;
            second.look.queued = 7;
            second.look.shed = [0, 1, 2, 3];
        }
        let step = Step { wanted: 12.0, answered: 12.0, opens: 10.0, cores: Cores::default(), late_us: 0 };
        Report {
            capacity: 12.0,
            found: Some(Capacity { steps: vec![step] }),
            tide,
            seconds,
            struck: Vec::new(),
            streams: (2, (2, 3, 0)),
            hot: None,
            waiting: 3,
            settled: None,
            audit: AuditReply::default(),
        }
    }

    #[test]
    fn goodput_is_kept_or_it_is_not_and_nothing_else_is_claimed() {
        for (opens, is_met) in [(9, true), (8, false)] {
            let report = report(opens);
            assert_eq!(report.verdicts()[0].1, is_met);
            assert_eq!(report.verdicts().len(), 4);
            assert!(!report.verdicts()[3].1, "an audit that looked at nothing proves nothing");
        }
        let unmeasured = Report { found: None, ..report(9) };
        assert_eq!(unmeasured.verdicts().len(), 3);
        assert_eq!(unmeasured.json()["open_goodput_kept"], Value::Null);
    }

    #[test]
    fn one_question_about_money_that_was_shed_is_a_missed_goal() {
        let mut report = report(9);
        assert!(report.verdicts()[1].1);
        report.seconds[60].look.shed[0] = 1;
        assert!(!report.verdicts()[1].1);
        assert_eq!(report.json()["shed_by_app"], json!([1, 35, 70, 105]));
    }
}

//! The report of an evening: a table, JSON, and a page with plots that needs nothing but itself.
//!
//! Must never: call a goal met that was not measured.

use std::fmt::Write as _;
use std::time::Duration;

use proto::admin::v1::AuditReply;
use serde_json::{Value, json};

use super::series::{KINDS, Second, kind_name, place, sum};
use super::tide::{PARTS, Part, Tide};
use crate::audit;
use crate::draw::Action;

/// Of the best goodput of opens, what must be left at midnight. Source: the goal of overload control.
const GOODPUT_KEPT: f64 = 0.9;
const COLOURS: [&str; 4] = ["#c0392b", "#d99a16", "#2d7d9a", "#7a7a7a"];
const WIDTH: f64 = 720.0;
const HEIGHT: f64 = 180.0;

/// An evening that is over.
#[derive(Debug)]
pub(crate) struct Report {
    /// Actions a second that the app can do.
    pub(crate) capacity: f64,
    /// Opens among them, if that was measured.
    pub(crate) opens: Option<f64>,
    /// How it was planned.
    pub(crate) tide: Tide,
    /// What happened.
    pub(crate) seconds: Vec<Second>,
    /// The node that was killed.
    pub(crate) killed: Option<String>,
    /// Opens that were answered "waiting".
    pub(crate) waiting: u64,
    /// How long the last credit took after the end.
    pub(crate) settled: Option<Duration>,
    /// The money.
    pub(crate) audit: AuditReply,
}

impl Report {
    /// Goodput of opens at midnight as a part of the best that was measured below the capacity.
    fn kept(&self) -> Option<f64> {
        let midnight = sum(&self.seconds, &self.tide, Part::Midnight, Action::Open).goodput();
        self.opens.filter(|opens| *opens > 0.0).map(|opens| midnight / opens)
    }

    fn most_queued(&self) -> (u64, u64) {
        let most = |part: fn(&Second) -> u64| self.seconds.iter().map(part).max().unwrap_or(0);
        (most(|second| second.queued), most(|second| second.oldest_ms))
    }

    fn verdicts(&self) -> Vec<(String, bool)> {
        let mut lines = Vec::new();
        if let Some(kept) = self.kept() {
            let text = format!("goodput of open at midnight is {:.0} % of its best (goal: 90 %)", kept * 100.0);
            lines.push((text, kept >= GOODPUT_KEPT));
        }
        let settled = self.settled.map_or_else(
            || "credits were left in the queue".to_owned(),
            |time| format!("every credit had arrived {} ms after the end", time.as_millis()),
        );
        lines.push((settled, self.settled.is_some()));
        let holds = audit::holds(&self.audit);
        lines.push((format!("the audit {}", if holds { "holds" } else { "does NOT hold" }), holds));
        lines
    }

    /// For a terminal.
    pub(crate) fn text(&self) -> String {
        let mut text = format!("capacity {:.0} actions a second\n", self.capacity);
        let head = ["part", "action", "wanted/s", "answered/s", "shed/s", "failed", "p50 ms", "p99 ms"];
        let _ = writeln!(
            text,
            "  {:<9}{:<7}{:>10}{:>12}{:>10}{:>9}{:>9}{:>9}",
            head[0], head[1], head[2], head[3], head[4], head[5], head[6], head[7]
        );
        for (part, _) in PARTS {
            for kind in KINDS {
                let sum = sum(&self.seconds, &self.tide, part, kind);
                let per_second = |count: u64| count as f64 / sum.secs.max(1.0);
                let _ = writeln!(
                    text,
                    "  {:<9}{:<7}{:>10.0}{:>12.0}{:>10.0}{:>9}{:>9.1}{:>9.1}",
                    part.name(),
                    kind_name(kind),
                    per_second(sum.wanted),
                    sum.goodput(),
                    per_second(sum.shed),
                    sum.failed,
                    f64::from(sum.p50_us) / 1000.0,
                    f64::from(sum.p99_us) / 1000.0,
                );
            }
        }
        let (queued, oldest) = self.most_queued();
        let _ = writeln!(
            text,
            "  {} opens had to wait; at most {queued} credits queued, the oldest for {oldest} ms",
            self.waiting
        );
        if let Some(killed) = &self.killed {
            let _ = writeln!(text, "  node {killed}, a ledger leader, was killed at midnight");
        }
        for (line, is_met) in self.verdicts() {
            let _ = writeln!(text, "  {} {line}", if is_met { "ok " } else { "NOT" });
        }
        text.trim_end().to_owned()
    }

    /// For programs.
    pub(crate) fn json(&self) -> Value {
        let parts = PARTS.iter().map(|(part, _)| {
            let kinds = KINDS.iter().map(|kind| {
                let sum = sum(&self.seconds, &self.tide, *part, *kind);
                json!({
                    "action": kind_name(*kind), "wanted": sum.wanted, "answered": sum.answered, "shed": sum.shed,
                    "failed": sum.failed, "goodput_per_s": sum.goodput(), "p50_us": sum.p50_us, "p99_us": sum.p99_us,
                })
            });
            json!({ "part": part.name(), "actions": kinds.collect::<Vec<_>>() })
        });
        let (queued, oldest_ms) = self.most_queued();
        json!({
            "capacity_per_s": self.capacity, "open_goodput_kept": self.kept(), "parts": parts.collect::<Vec<_>>(),
            "waiting": self.waiting, "credits_queued_max": queued, "oldest_credit_ms_max": oldest_ms,
            "settled_ms": self.settled.map(|time| u64::try_from(time.as_millis()).unwrap_or(u64::MAX)),
            "killed": self.killed, "audit_ok": audit::holds(&self.audit),
        })
    }

    /// A page with plots.
    pub(crate) fn html(&self) -> String {
        let kind = |of: fn(&Second, usize) -> u64| {
            KINDS.map(|kind| {
                (kind_name(kind), self.seconds.iter().map(|second| of(second, place(kind)) as f64).collect())
            })
        };
        let one = |name, of: fn(&Second) -> f64| [(name, self.seconds.iter().map(of).collect::<Vec<_>>())];
        let plots = [
            plot("Wanted, actions a second", &kind(|second, kind| second.cells[kind].wanted)),
            plot("Answered (goodput), actions a second", &kind(|second, kind| second.cells[kind].answered)),
            plot("Sent away by class, actions a second", &kind(|second, kind| second.cells[kind].shed)),
            plot(
                "99 of 100 answers came within, ms",
                &kind(|second, kind| u64::from(second.cells[kind].p99_us() / 1000)),
            ),
            plot("Credits in the queue", &one("credits", |second| second.queued as f64)),
            plot("Age of the oldest credit, ms", &one("oldest", |second| second.oldest_ms as f64)),
        ];
        format!(
            "<!doctype html><html lang=\"en\"><meta charset=\"utf-8\"><title>Tercet: an evening</title>\
             <style>body{{font:15px/1.5 system-ui,sans-serif;max-width:780px;margin:2rem auto;padding:0 1rem;color:#222}}\
             pre{{background:#f6f4f0;padding:1rem;overflow:auto}}svg{{width:100%;height:auto}}\
             figure{{margin:1.5rem 0}}figcaption{{font-weight:600}}</style>\
             <h1>An evening of red packets</h1><pre>{}</pre>{}</html>\n",
            escaped(&self.text()),
            plots.concat()
        )
    }
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

/// Lines over the seconds, with their highest value at the left.
fn plot(title: &str, lines: &[(&str, Vec<f64>)]) -> String {
    let top = lines.iter().flat_map(|(_, values)| values).copied().fold(1.0, f64::max);
    let mut svg = format!(
        "<figure><figcaption>{title}</figcaption><svg viewBox=\"0 0 {WIDTH} {}\" role=\"img\" aria-label=\"{title}\">\
         <text x=\"0\" y=\"12\" font-size=\"11\">{top:.0}</text>\
         <path d=\"M40 10V{HEIGHT}H{WIDTH}\" fill=\"none\" stroke=\"#999\"/>",
        HEIGHT + 24.0
    );
    for ((name, values), (number, colour)) in lines.iter().zip(COLOURS.iter().enumerate()) {
        let step = (WIDTH - 44.0) / (values.len().max(2) - 1) as f64;
        let points = values.iter().enumerate().map(|(second, value)| {
            format!("{:.1},{:.1}", 40.0 + second as f64 * step, HEIGHT - value / top * (HEIGHT - 14.0))
        });
        let points = points.collect::<Vec<_>>().join(" ");
        let x = 44 + number * 90;
        let _ = write!(
            svg,
            "<polyline points=\"{points}\" fill=\"none\" stroke=\"{colour}\" stroke-width=\"1.6\"/>\
             <text x=\"{x}\" y=\"{}\" font-size=\"12\" fill=\"{colour}\">{name}</text>",
            HEIGHT + 18.0
        );
    }
    svg + "</svg></figure>"
}

#[cfg(test)]
mod tests {
    use super::*;

    fn report(midnight_opens: u64) -> Report {
        let tide = Tide { base: 10.0, overload: 10.0, length: Duration::from_secs(100) };
        let mut seconds = vec![Second::default(); 100];
        for second in &mut seconds[40..75] {
            second.cells[place(Action::Open)].answered = midnight_opens;
            second.queued = 7;
        }
        let audit = AuditReply::default();
        Report { capacity: 12.0, opens: Some(10.0), tide, seconds, killed: None, waiting: 3, settled: None, audit }
    }

    #[test]
    fn goodput_is_kept_or_it_is_not_and_nothing_else_is_claimed() {
        for (opens, is_met) in [(9, true), (8, false)] {
            let report = report(opens);
            assert_eq!(report.verdicts()[0].1, is_met);
            assert_eq!(report.verdicts().len(), 3);
            assert!(!report.verdicts()[2].1, "an audit that looked at nothing proves nothing");
        }
        let unmeasured = Report { opens: None, ..report(9) };
        assert_eq!(unmeasured.verdicts().len(), 2);
        assert_eq!(unmeasured.json()["open_goodput_kept"], Value::Null);
    }

    #[test]
    fn the_page_is_whole_and_says_what_the_table_says() {
        let page = report(9).html();
        assert_eq!(page.matches("<svg").count(), 6);
        assert_eq!(page.matches("<polyline").count(), 4 * 4 + 2);
        assert!(page.contains("at most 7 credits queued") && !page.contains("http"));
    }
}

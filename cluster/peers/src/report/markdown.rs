//! The Markdown tables: goals with their outcomes, and all figures with their ratios to the peers.
//!
//! Must never: need a hand to be put into `docs/performance.md`.

use std::fmt::Write as _;

use super::table::{FIGURES, PEERS, PLACES, Shown};
use crate::goals::GOALS;
use crate::medians::Medians;
use crate::plan::System;
use crate::record::{CPU, GAP, RATE, RESIDENT, RESTART, WRITTEN};

/// Figures of the table of all points; the rest stands in the HTML report.
const TABLE: [&str; 9] =
    [RATE, "confirm_p50_ms", "confirm_p99_ms", "ack_p50_ms", "ack_p99_ms", CPU, WRITTEN, RESIDENT, GAP];

/// Both tables.
pub(super) fn page(medians: &Medians) -> String {
    format!("{}\n{}", goals(medians), figures(medians))
}

/// Every goal that was measured, with its outcome.
pub(super) fn goals(medians: &Medians) -> String {
    let mut text =
        String::from("| point | phase | figure | goal | bound | Tercet | |\n|---|---|---|---|---:|---:|---|\n");
    for goal in GOALS {
        let (Some(outcome), Some(shown)) = (goal.judge(medians), Shown::of(goal.figure)) else { continue };
        let verdict = if outcome.is_met { "met" } else { "**missed**" };
        // Writing to a string cannot fail.
        let _ = writeln!(
            text,
            "| {} | {} | {} | {} | {} | {} | {verdict} |",
            goal.point.title(),
            goal.phase.title(),
            shown.title,
            goal.wish(),
            shown.text(outcome.bound),
            shown.text(outcome.reached),
        );
    }
    text
}

/// All figures; behind each of Tercet's, its ratio to the peers.
fn figures(medians: &Medians) -> String {
    let mut text = String::from("| point | phase | figure | ");
    let titles = PEERS.map(System::title);
    let _ = writeln!(text, "{} | Tercet | ratios |\n|---|---|---|---:|---:|---:|---:|---|", titles.join(" | "));
    for (point, phase) in PLACES {
        for shown in FIGURES.iter().filter(|shown| TABLE.contains(&shown.figure) || shown.figure == RESTART) {
            let of = |system| medians.get(system, point, phase, shown.figure);
            let Some(own) = of(System::Tercet) else { continue };
            let peers = PEERS.map(|peer| of(peer).map_or("–".to_owned(), |value| shown.text(value)));
            let ratio =
                |peer| of(peer).filter(|value| *value > 0.0).map_or("–".to_owned(), |value| ratio(own / value));
            let _ = writeln!(
                text,
                "| {} | {} | {} | {} | {} | {} |",
                point.title(),
                phase.title(),
                shown.title,
                peers.join(" | "),
                shown.text(own),
                PEERS.map(ratio).join(" · "),
            );
        }
    }
    text
}

/// A ratio with two digits that count.
pub(super) fn ratio(value: f64) -> String {
    if value >= 10.0 {
        format!("{value:.0}")
    } else if value >= 1.0 {
        format!("{value:.1}")
    } else {
        format!("{value:.2}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::medians::tests::record;
    use crate::plan::Point;
    use crate::record::Phase;

    fn sample() -> Medians {
        let here = (Point::Many, Phase::Send);
        Medians::of(&[
            record(System::Rabbit, here, RATE, 10_000.0),
            record(System::NatsAlways, here, RATE, 40_000.0),
            record(System::Tercet, here, RATE, 90_000.0),
        ])
    }

    #[test]
    fn a_goal_that_is_missed_says_so() {
        let expected = "\
            | 1,024 in flight | send | messages/s | ≥ 8 × RabbitMQ | 80,000 | 90,000 | met |\n\
            | 1,024 in flight | send | messages/s | ≥ 2.5 × NATS, sync always | 100,000 | 90,000 | **missed** |\n";
        assert!(goals(&sample()).ends_with(expected), "{}", goals(&sample()));
    }

    #[test]
    fn a_row_has_all_figures_and_the_ratios_to_those_that_were_measured() {
        let expected = "| 1,024 in flight | send | messages/s | 10,000 | 40,000 | – | 90,000 | 9.0 · 2.2 · – |\n";
        assert!(figures(&sample()).ends_with(expected), "{}", figures(&sample()));
    }

    #[test]
    fn a_ratio_has_two_digits_that_count() {
        assert_eq!([12.3, 2.34, 0.567].map(ratio), ["12", "2.3", "0.57"]);
    }
}

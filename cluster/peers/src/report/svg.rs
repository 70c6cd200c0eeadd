//! A plot: a bar for each system, and the bounds of the goals across them.
//!
//! Must never: cut a bar. The scale reaches to the largest value and the farthest bound.

use std::fmt::Write as _;

use crate::plan::System;

/// Units of the picture.
const WIDTH: f64 = 460.0;
const LABEL_WIDTH: f64 = 130.0;
const VALUE_WIDTH: f64 = 80.0;
const BAR_HEIGHT: f64 = 20.0;
const STEP: f64 = 28.0;
const HEAD: f64 = 18.0;

/// A bar.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Bar {
    pub(super) system: System,
    pub(super) value: f64,
    pub(super) text: String,
}

/// A bound across the bars.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Line {
    pub(super) value: f64,
    pub(super) text: String,
    pub(super) is_met: bool,
}

const fn colour(system: System) -> &'static str {
    match system {
        System::Rabbit => "#e8833a",
        System::NatsAlways => "#3a6ea5",
        System::NatsDefault => "#9db9d6",
        System::Tercet => "#2b8a5b",
    }
}

/// Draws bars and lines.
pub(super) fn plot(bars: &[Bar], lines: &[Line]) -> String {
    let values = bars.iter().map(|bar| bar.value).chain(lines.iter().map(|line| line.value));
    let most = values.fold(f64::MIN_POSITIVE, f64::max);
    let room = WIDTH - LABEL_WIDTH - VALUE_WIDTH;
    let at = |value: f64| LABEL_WIDTH + (value / most).clamp(0.0, 1.0) * room;
    let height = HEAD + STEP * bars.len() as f64 + 16.0 * lines.len() as f64;
    let mut svg = format!("<svg viewBox=\"0 0 {WIDTH} {height}\" role=\"img\" xmlns=\"http://www.w3.org/2000/svg\">\n");
    for (row, bar) in bars.iter().enumerate() {
        let y = HEAD + STEP * row as f64;
        // Writing to a string cannot fail.
        let _ = writeln!(
            svg,
            "<text x=\"{}\" y=\"{}\" text-anchor=\"end\">{}</text><rect x=\"{LABEL_WIDTH}\" y=\"{y}\" width=\"{:.1}\" \
             height=\"{BAR_HEIGHT}\" fill=\"{}\"/><text x=\"{:.1}\" y=\"{}\">{}</text>",
            LABEL_WIDTH - 6.0,
            y + 15.0,
            escaped(bar.system.title()),
            at(bar.value) - LABEL_WIDTH,
            colour(bar.system),
            at(bar.value) + 5.0,
            y + 15.0,
            escaped(&bar.text),
        );
    }
    let bottom = HEAD + STEP * bars.len() as f64;
    for (row, line) in lines.iter().enumerate() {
        let (x, class) = (at(line.value), if line.is_met { "met" } else { "missed" });
        let _ = writeln!(
            svg,
            "<line class=\"{class}\" x1=\"{x:.1}\" x2=\"{x:.1}\" y1=\"{}\" y2=\"{bottom}\"/><text class=\"{class}\" \
             x=\"{LABEL_WIDTH}\" y=\"{}\">{}</text>",
            HEAD - 6.0,
            bottom + 12.0 + 16.0 * row as f64,
            escaped(&line.text),
        );
    }
    svg + "</svg>\n"
}

/// Text that means itself inside XML.
pub(super) fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_scale_reaches_to_the_farthest_bound() {
        let bar = Bar { system: System::Tercet, value: 50.0, text: "50".to_owned() };
        let line = Line { value: 100.0, text: "≥ 2 × <peer>".to_owned(), is_met: false };
        let svg = plot(std::slice::from_ref(&bar), std::slice::from_ref(&line));
        assert!(svg.contains("width=\"125.0\"") && svg.contains("x1=\"380.0\""), "{svg}");
        assert!(svg.contains("≥ 2 × &lt;peer&gt;") && svg.contains("class=\"missed\""), "{svg}");
        assert!(plot(&[bar], &[]).contains("width=\"250.0\""));
        assert!(plot(&[], &[]).starts_with("<svg"));
    }
}

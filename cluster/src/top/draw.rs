//! The frame: a picture as lines of text, as many and as long as fit. Pure.
//!
//! Must never: draw a character that a terminal would obey: names and reasons come from elsewhere.

use std::cmp::Reverse;

use super::picture::{NodeLine, Picture, QueueLine};
use super::wish::{Sort, Wish};

/// Columns and lines.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Size {
    pub(crate) columns: usize,
    pub(crate) lines: usize,
}

/// Reasons that are shown.
const REASONS_MAX: usize = 4;

/// The lines of a frame.
pub(crate) fn frame(picture: &Picture, wish: &Wish, size: Size) -> Vec<String> {
    let mut lines = vec![format!("cluster: {}", picture.verdict)];
    lines.extend(picture.reasons.iter().take(REASONS_MAX).map(|reason| format!("  {reason}")));
    if picture.reasons.len() > REASONS_MAX {
        lines.push(format!("  and {} more", picture.reasons.len() - REASONS_MAX));
    }
    lines.push(String::new());
    lines.push("node    leads   term   behind   entries/s   fsync p50    p99 us   free GB  version".to_owned());
    lines.extend(picture.nodes.iter().map(node));
    lines.push(String::new());
    lines.push(format!(
        "{:<24}{:>9}{:>8}{:>8}{:>7}{:>10}{:>8}{:>8}{:>7}",
        "queue", "visible", "leased", "delayed", "dead", "oldest s", "in/s", "out/s", "again"
    ));
    let queues = sorted(picture, wish);
    let foot = foot(wish, queues.len(), picture.queues.len());
    let room = size.lines.saturating_sub(lines.len() + 1);
    let above = wish.above.min(queues.len().saturating_sub(1));
    lines.extend(queues.iter().skip(above).take(room).map(|line| queue(line)));
    lines.push(foot);
    lines.truncate(size.lines);
    lines.iter().map(|line| cut(line, size.columns)).collect()
}

fn node(node: &NodeLine) -> String {
    if node.groups == 0 {
        return format!("{:<6}  {}", node.node, node.trouble);
    }
    let leads = format!("{}/{}", node.leads, node.groups);
    let line = format!(
        "{:<6}{:>7}{:>7}{:>9}{:>12}{:>12}{:>10}{:>10}  {}",
        node.node,
        leads,
        node.term,
        node.behind,
        shown(node.rate),
        node.fsync_us.0,
        node.fsync_us.1,
        node.disk_free_gb,
        node.version,
    );
    if node.trouble.is_empty() { line } else { format!("{line}  {}", node.trouble) }
}

fn queue(queue: &QueueLine) -> String {
    format!(
        "{:<24}{:>9}{:>8}{:>8}{:>7}{:>10}{:>8}{:>8}{:>7}",
        cut(&queue.queue, 23),
        queue.visible,
        queue.leased,
        queue.delayed,
        queue.dead,
        queue.oldest_ms / 1000,
        shown(queue.rates.map(|(sent, _)| sent)),
        shown(queue.rates.map(|(_, acked)| acked)),
        queue.redelivered,
    )
}

fn shown(rate: Option<u64>) -> String {
    rate.map_or_else(|| "-".to_owned(), |rate| rate.to_string())
}

fn sorted<'a>(picture: &'a Picture, wish: &Wish) -> Vec<&'a QueueLine> {
    let mut queues: Vec<&QueueLine> =
        picture.queues.iter().filter(|queue| queue.queue.contains(&wish.filter)).collect();
    let key = |queue: &QueueLine| match wish.sort {
        Sort::Age => queue.oldest_ms,
        Sort::In => queue.rates.map_or(0, |(sent, _)| sent),
        Sort::Out => queue.rates.map_or(0, |(_, acked)| acked),
        Sort::Visible => queue.visible,
        Sort::Dead => queue.dead,
        Sort::Name => 0,
    };
    queues.sort_by(|one, other| (Reverse(key(one)), &one.queue).cmp(&(Reverse(key(other)), &other.queue)));
    queues
}

fn foot(wish: &Wish, shown: usize, all: usize) -> String {
    if wish.is_typing {
        return format!("filter: {}_   Enter ends, Esc clears", wish.filter);
    }
    let by = match wish.sort {
        Sort::Age => "age",
        Sort::In => "in/s",
        Sort::Out => "out/s",
        Sort::Visible => "visible",
        Sort::Dead => "dead",
        Sort::Name => "name",
    };
    let filter = if wish.filter.is_empty() { String::new() } else { format!(" with \"{}\"", wish.filter) };
    format!("{shown} of {all} queues{filter} by {by}   a i o v d n sort  / filter  j k scroll  q quit")
}

/// The first so many characters, none of which a terminal obeys.
fn cut(text: &str, columns: usize) -> String {
    text.chars().take(columns).map(|letter| if letter.is_control() { '?' } else { letter }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn picture() -> Picture {
        let node = |name: &str, leads| NodeLine {
            node: name.to_owned(),
            leads,
            groups: 3,
            term: 7,
            behind: 12,
            rate: Some(1500),
            fsync_us: (256, 2048),
            disk_free_gb: 80,
            version: "0.1.0".to_owned(),
            trouble: String::new(),
        };
        let queue = |name: &str, oldest_ms, sent, dead| QueueLine {
            queue: name.to_owned(),
            visible: 10,
            leased: 2,
            delayed: 1,
            dead,
            oldest_ms,
            redelivered: 4,
            rates: Some((sent, 5)),
        };
        Picture {
            verdict: "degraded".to_owned(),
            reasons: vec!["node 3 is down: cannot be reached".to_owned()],
            nodes: vec![
                node("1", 2),
                node("2", 1),
                NodeLine { node: "3".to_owned(), trouble: "cannot be reached".to_owned(), ..NodeLine::default() },
            ],
            queues: vec![queue("credits", 1_000, 900, 0), queue("orders", 61_000, 3, 0), queue("dead", 0, 0, 8)],
        }
    }

    const SIZE: Size = Size { columns: 100, lines: 30 };

    #[test]
    fn a_frame_shows_nodes_and_queues_the_oldest_first() {
        let expected = "\
cluster: degraded
  node 3 is down: cannot be reached

node    leads   term   behind   entries/s   fsync p50    p99 us   free GB  version
1         2/3      7       12        1500         256      2048        80  0.1.0
2         1/3      7       12        1500         256      2048        80  0.1.0
3       cannot be reached

queue                     visible  leased delayed   dead  oldest s    in/s   out/s  again
orders                         10       2       1      0        61       3       5      4
credits                        10       2       1      0         1     900       5      4
dead                           10       2       1      8         0       0       5      4
3 of 3 queues by age   a i o v d n sort  / filter  j k scroll  q quit";
        assert_eq!(frame(&picture(), &Wish::default(), SIZE).join("\n"), expected);
    }

    #[test]
    fn queues_are_sorted_filtered_and_scrolled_as_wished() {
        let names = |wish: &Wish| -> Vec<String> {
            let lines = frame(&picture(), wish, SIZE);
            let first = lines.iter().position(|line| line.starts_with("queue ")).expect("a head");
            let last = lines.len() - 1;
            lines[first + 1..last].iter().filter_map(|line| line.split(' ').next().map(str::to_owned)).collect()
        };
        let table = [
            (Sort::Age, "", 0, &["orders", "credits", "dead"][..]),
            (Sort::In, "", 0, &["credits", "orders", "dead"]),
            (Sort::Dead, "", 0, &["dead", "credits", "orders"]),
            (Sort::Name, "", 0, &["credits", "dead", "orders"]),
            (Sort::Out, "", 0, &["credits", "dead", "orders"]),
            (Sort::Name, "r", 0, &["credits", "orders"]),
            (Sort::Name, "", 2, &["orders"]),
            (Sort::Name, "", 99, &["orders"]),
            (Sort::Name, "nothing", 0, &[]),
        ];
        for (sort, filter, above, expected) in table {
            let wish = Wish { sort, filter: filter.to_owned(), above, is_typing: false };
            assert_eq!(names(&wish), expected, "{wish:?}");
        }
    }

    #[test]
    fn a_frame_fits_and_obeys_nobody() {
        let mut picture = picture();
        picture.reasons = (0..9).map(|number| format!("\u{1b}[2J reason {number}")).collect();
        picture.queues[0].queue = "x\u{7}".repeat(60);
        for size in
            [Size { columns: 40, lines: 12 }, Size { columns: 1, lines: 1 }, Size { columns: 0, lines: 0 }, SIZE]
        {
            let lines = frame(&picture, &Wish { is_typing: true, ..Wish::default() }, size);
            assert!(lines.len() <= size.lines, "{size:?}");
            for line in &lines {
                assert!(line.chars().count() <= size.columns && !line.chars().any(char::is_control), "{line:?}");
            }
        }
        assert!(frame(&picture, &Wish::default(), SIZE).iter().any(|line| line == "  and 5 more"));
        assert_eq!(frame(&Picture::nothing("nobody answers"), &Wish::default(), SIZE)[1], "  nobody answers");
    }
}

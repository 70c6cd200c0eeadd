//! Cautions: what does not make a cluster sick yet, and an operator should see to. Pure.
//!
//! Must never: change the verdict. Whoever stops or starts nodes by it relies on its meaning.

use std::collections::{BTreeMap, BTreeSet};

use proto::admin::v1::StatusReply;

use crate::admin::View;

/// Clocks further apart than this: signed calls are taken half a minute either way, and machine time leans on a majority.
const CLOCKS_APART_MS_MAX: u64 = 5_000;
/// Certificates that end before this should be renewed.
const CERTIFICATE_DAYS_MIN: u64 = 30;
/// Of a disk this part at least should be free. Per cent.
const DISK_FREE_MIN: u64 = 10;

/// What an operator should see to, worst first.
pub(crate) fn cautions(views: &[View]) -> Vec<String> {
    let up: Vec<(&str, &StatusReply)> =
        views.iter().filter_map(|view| Some((view.node.as_str(), view.answer.as_ref().ok()?))).collect();
    let mut found = Vec::new();
    found.extend(clocks(&up));
    found.extend(versions(&up));
    for (node, status) in up {
        if let Some(certificate) = &status.certificate {
            for (what, left) in [
                ("its certificate", certificate.seconds_left),
                ("the authority that it believes", certificate.authority_seconds_left),
            ] {
                let days = left / 86_400;
                if days < CERTIFICATE_DAYS_MIN {
                    found.push(format!("node {node}: {what} ends in {days} days"));
                }
            }
        }
        let free = status.disk_free_bytes.saturating_mul(100);
        if status.disk_bytes > 0 && free / status.disk_bytes < DISK_FREE_MIN {
            found.push(format!("node {node}: {} % of its disk are free", free / status.disk_bytes));
        }
        if status.drained {
            found.push(format!("node {node}: is drained, and leads nothing"));
        }
    }
    found
}

/// Nodes whose clocks are far from the middle one's.
fn clocks(up: &[(&str, &StatusReply)]) -> Vec<String> {
    // A node of a release that does not tell has no clock here.
    let mut clocks: Vec<(u64, &str)> =
        up.iter().map(|(node, status)| (status.wall_ms, *node)).filter(|(wall_ms, _)| *wall_ms > 0).collect();
    clocks.sort_unstable();
    let Some((middle, _)) = clocks.get(clocks.len() / 2).copied() else { return Vec::new() };
    let far = clocks.iter().filter(|(wall_ms, _)| wall_ms.abs_diff(middle) > CLOCKS_APART_MS_MAX);
    far.map(|(wall_ms, node)| {
        let (seconds, word) = (wall_ms.abs_diff(middle) / 1000, if *wall_ms > middle { "ahead" } else { "behind" });
        format!("node {node}: its clock is {seconds} s {word}; see to its time service")
    })
    .collect()
}

/// More than one version.
fn versions(up: &[(&str, &StatusReply)]) -> Option<String> {
    let mut versions: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
    for (node, status) in up {
        versions.entry(status.version.as_str()).or_default().insert(node);
    }
    let lines = versions.iter().map(|(version, nodes)| {
        let nodes: Vec<&str> = nodes.iter().copied().collect();
        format!("{version} on {}", nodes.join(", "))
    });
    let text = lines.collect::<Vec<_>>().join("; ");
    (versions.len() > 1).then(|| format!("the nodes run different versions: {text}; finish the upgrade"))
}

#[cfg(test)]
mod tests {
    use proto::admin::v1::CertificateStatus;

    use super::*;

    const GOOD: u64 = 1_767_225_600_000;

    fn view(node: &str, change: impl FnOnce(&mut StatusReply)) -> View {
        let mut status = StatusReply {
            node: node.to_owned(),
            version: "1".to_owned(),
            wall_ms: GOOD,
            disk_free_bytes: 50,
            disk_bytes: 100,
            certificate: Some(CertificateStatus {
                seconds_left: 100 * 86_400,
                authority_seconds_left: 1000 * 86_400,
                ..CertificateStatus::default()
            }),
            ..StatusReply::default()
        };
        change(&mut status);
        View { node: node.to_owned(), answer: Ok(status) }
    }

    fn check(change: impl FnOnce(&mut StatusReply), expected: &[&str]) {
        let down = View { node: "4".to_owned(), answer: Err("gone".to_owned()) };
        let views = [view("1", |_| {}), view("2", |_| {}), view("3", change), down];
        assert_eq!(cautions(&views), expected);
    }

    #[test]
    fn what_an_operator_should_see_to_is_said() {
        check(|_| {}, &[]);
        check(|status| status.wall_ms = GOOD + 5_000, &[]);
        check(|status| status.wall_ms = 0, &[]);
        check(|status| status.wall_ms = GOOD + 90_000, &["node 3: its clock is 90 s ahead; see to its time service"]);
        check(|status| status.wall_ms = GOOD - 6_000, &["node 3: its clock is 6 s behind; see to its time service"]);
        check(
            |status| status.version = "2".to_owned(),
            &["the nodes run different versions: 1 on 1, 2; 2 on 3; finish the upgrade"],
        );
        check(|status| status.disk_free_bytes = 9, &["node 3: 9 % of its disk are free"]);
        check(|status| status.drained = true, &["node 3: is drained, and leads nothing"]);
        let certificate = |seconds_left, authority_seconds_left| {
            move |status: &mut StatusReply| {
                let known = CertificateStatus { seconds_left, authority_seconds_left, ..CertificateStatus::default() };
                status.certificate = Some(known);
            }
        };
        check(certificate(29 * 86_400, 99 * 86_400), &["node 3: its certificate ends in 29 days"]);
        check(
            certificate(86_400, 86_400),
            &["node 3: its certificate ends in 1 days", "node 3: the authority that it believes ends in 1 days"],
        );
        check(|status| status.certificate = None, &[]);
    }
}

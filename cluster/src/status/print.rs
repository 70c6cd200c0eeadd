//! A verdict on paper: for people, and for scripts.
//!
//! Must never: drop a JSON field; scripts rely on every one.

use std::collections::BTreeMap;

use proto::admin::v1::{GroupKind, GroupStatus, Role};
use serde_json::{Value, json};

use super::cautions::cautions;
use super::verdict::Verdict;
use crate::admin::View;

/// Verdict and reasons.
pub(crate) fn head(verdict: &Verdict) -> String {
    let reasons = verdict.spoken.reasons.iter().map(|reason| format!("\n  {reason}"));
    let cautions = cautions(&verdict.views).into_iter().map(|caution| format!("\n  caution: {caution}"));
    std::iter::once(verdict.spoken.word().to_owned()).chain(reasons).chain(cautions).collect()
}

/// Verdict, reasons, and a line for each replica.
pub(crate) fn text(verdict: &Verdict) -> String {
    let mut lines = vec![head(verdict), String::new()];
    let columns = ["node", "group", "machine", "role", "term", "last", "committed", "applied", "behind", "leader"];
    lines.push(row(&columns.map(str::to_owned)));
    let committed = committed(verdict);
    for View { node, answer } in &verdict.views {
        match answer {
            Err(reason) => lines.push(format!("{node:<6} {reason}")),
            Ok(status) => {
                lines.extend(status.groups.iter().map(|group| {
                    row(&[
                        node.clone(),
                        group.group.to_string(),
                        machine(group).to_owned(),
                        role(group).to_owned(),
                        group.term.to_string(),
                        group.last_index.to_string(),
                        group.committed_index.to_string(),
                        group.applied_index.to_string(),
                        behind(&committed, group).to_string(),
                        group.leader.clone(),
                    ])
                }));
            }
        }
    }
    lines.push(String::new());
    for View { node, answer } in &verdict.views {
        if let Ok(status) = answer {
            let fsync = status.fsync.unwrap_or_default();
            lines.push(format!(
                "node {node}: version {} (format {}), up {} s, fsync p50 {} us p99 {} us, {} of {} GB free",
                status.version,
                status.known_format,
                status.uptime_ms / 1000,
                fsync.p50_us,
                fsync.p99_us,
                status.disk_free_bytes / 1_000_000_000,
                status.disk_bytes / 1_000_000_000,
            ));
            if !status.lineage.is_empty() {
                lines.push(format!("node {node}: of a cluster that was recovered, lineage {}", status.lineage));
            }
            if let Some(certificate) = &status.certificate {
                let trouble =
                    if certificate.trouble.is_empty() { String::new() } else { format!("; {}", certificate.trouble) };
                lines.push(format!(
                    "node {node}: certificate good for {} days, its authority for {}{trouble}",
                    certificate.seconds_left / 86_400,
                    certificate.authority_seconds_left / 86_400
                ));
            }
        }
    }
    lines.join("\n")
}

fn row(cells: &[String; 10]) -> String {
    let widths = [6, 6, 8, 10, 6, 10, 10, 10, 8, 6];
    let cells = cells.iter().zip(widths).map(|(cell, width)| format!("{cell:<width$}"));
    cells.collect::<Vec<_>>().join(" ").trim_end().to_owned()
}

/// What any node knows to be committed, by what the group is and its number: queue and app count their groups apart.
fn committed(verdict: &Verdict) -> BTreeMap<(&'static str, u32), u64> {
    let mut committed = BTreeMap::new();
    for status in verdict.views.iter().filter_map(|view| view.answer.as_ref().ok()) {
        for group in &status.groups {
            let known: &mut u64 = committed.entry((machine(group), group.group)).or_default();
            *known = (*known).max(group.committed_index);
        }
    }
    committed
}

/// Entries that a replica has not applied and some node knows to be committed.
fn behind(committed: &BTreeMap<(&'static str, u32), u64>, group: &GroupStatus) -> u64 {
    let known = committed.get(&(machine(group), group.group)).copied().unwrap_or_default();
    known.saturating_sub(group.applied_index)
}

/// The whole verdict for scripts.
pub(crate) fn json(verdict: &Verdict) -> Value {
    let committed = committed(verdict);
    json!({
        "cautions": cautions(&verdict.views),
        "verdict": verdict.spoken.word(),
        "reasons": verdict.spoken.reasons,
        "nodes": verdict.views.iter().map(|view| node(view, &committed)).collect::<Vec<_>>(),
    })
}

fn node(view: &View, committed: &BTreeMap<(&'static str, u32), u64>) -> Value {
    match &view.answer {
        Err(reason) => json!({"node": view.node, "up": false, "reason": reason, "groups": []}),
        Ok(status) => {
            let fsync = status.fsync.unwrap_or_default();
            let scrub = status.scrub.unwrap_or_default();
            json!({
                "node": view.node,
                "up": true,
                "version": status.version,
                "known_format": status.known_format,
                "uptime_ms": status.uptime_ms,
                "quarantined": status.quarantined,
                "lineage": status.lineage,
                "disk_free_bytes": status.disk_free_bytes,
                "wall_ms": status.wall_ms,
                "fsync_p50_us": fsync.p50_us,
                "fsync_p99_us": fsync.p99_us,
                "scrub_bytes": scrub.bytes,
                "scrub_damaged": scrub.damaged,
                "scrub_passed_ms": scrub.passed_ms,
                "certificate_days_left": status.certificate.as_ref().map(|certificate| certificate.seconds_left / 86_400),
                "authority_days_left": status.certificate.as_ref().map(|certificate| certificate.authority_seconds_left / 86_400),
                "certificate_renewed": status.certificate.as_ref().map(|certificate| certificate.renewed),
                "certificate_trouble": status.certificate.as_ref().map_or("", |certificate| &certificate.trouble),
                "groups": status.groups.iter().map(|of| group(of, behind(committed, of))).collect::<Vec<_>>(),
            })
        }
    }
}

fn group(group: &GroupStatus, behind: u64) -> Value {
    json!({
        "group": group.group,
        "machine": machine(group),
        "role": role(group),
        "term": group.term,
        "last": group.last_index,
        "committed": group.committed_index,
        "applied": group.applied_index,
        "behind": behind,
        "snapshot": group.snapshot_index,
        "leader": group.leader,
        "parked": group.parked,
        "format": group.format,
        "read_only": group.read_only,
    })
}

fn role(group: &GroupStatus) -> &'static str {
    match group.role() {
        Role::Leader => "leader",
        Role::Follower => "follower",
        Role::Candidate => "candidate",
        Role::Learner => "learner",
        Role::Stopped => "stopped",
        Role::Unspecified => "unknown",
    }
}

fn machine(group: &GroupStatus) -> &'static str {
    match group.kind() {
        GroupKind::Meta => "meta",
        GroupKind::Queue => "queue",
        GroupKind::Ledger => "ledger",
        GroupKind::Packets => "packets",
        GroupKind::Unspecified => "unknown",
    }
}

#[cfg(test)]
mod tests {
    use proto::admin::v1::StatusReply;

    use super::*;

    #[test]
    fn the_json_has_the_pinned_fields() {
        let replica = GroupStatus {
            group: 1,
            role: Role::Leader.into(),
            term: 2,
            last_index: 5,
            committed_index: 4,
            applied_index: 3,
            leader: "1".to_owned(),
            ..GroupStatus::default()
        };
        let status = StatusReply { node: "1".to_owned(), groups: vec![replica], ..StatusReply::default() };
        let views = vec![
            View { node: "1".to_owned(), answer: Ok(status) },
            View { node: "2".to_owned(), answer: Err("cannot be reached".to_owned()) },
        ];
        let verdict = Verdict::over(&[("queue", views)]);
        let json = json(&verdict);
        assert_eq!(json["verdict"], "degraded");
        assert_eq!(json["reasons"], json!(["node 2 is down: cannot be reached"]));
        let group = &json["nodes"][0]["groups"][0];
        let pinned = ["group", "role", "term", "last", "committed", "applied"].map(|field| group[field].clone());
        assert_eq!(pinned, [json!(1), json!("leader"), json!(2), json!(5), json!(4), json!(3)]);
        assert_eq!((&group["behind"], &json["cautions"]), (&json!(1), &json!([])));
        assert_eq!(json["nodes"][1]["groups"], json!([]));
        assert!(text(&verdict).starts_with("degraded\n  node 2 is down"));
    }
}

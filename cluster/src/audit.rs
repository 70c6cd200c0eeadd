//! The audit: the app's nodes check the invariants of the money, this compares their copies, and prints what was found.
//!
//! Must never: call money safe because nobody answered.

use proto::admin::v1::{AuditItem, AuditReply, AuditRequest};
pub(crate) use proto::verdict::holds;
use serde_json::json;
use tokio::time::timeout;

use crate::admin;
use crate::args::Output;
use crate::error::Error;
use crate::file::{ClusterFile, Folder, Kind};
use crate::limits::AUDIT_MAX;
use crate::replicas;
use crate::screen;

/// Asks for an audit and prints it; `true` if every invariant holds. Errors: `NoApp`, no node gave an audit.
pub(crate) async fn audit(folder: &Folder, output: Output) -> Result<bool, Error> {
    let reply = ask(&folder.cluster()?).await?;
    screen::out(&match output {
        Output::Text => text(&reply),
        Output::Json => json_of(&reply).to_string(),
    });
    Ok(holds(&reply))
}

/// The audit of the first app node that gives one. Errors: `NoApp`; `Call`, with the reason of the last.
pub(crate) async fn ask(cluster: &ClusterFile) -> Result<AuditReply, Error> {
    let mut last = Error::NoApp;
    for address in cluster.addresses(Kind::App) {
        let mut client = admin::client(&address)?;
        match timeout(AUDIT_MAX, client.audit(AuditRequest {})).await {
            Ok(Ok(reply)) => {
                let mut reply = reply.into_inner();
                add(&mut reply, replicas::compare(cluster.of(Kind::App)).await);
                return Ok(reply);
            }
            Ok(Err(status)) => last = Error::call("audit")(status.message()),
            Err(_) => last = Error::call("audit")(format!("no answer within {} s", AUDIT_MAX.as_secs())),
        }
    }
    Err(last)
}

/// Puts what the copies say under its invariant.
fn add(reply: &mut AuditReply, copies: AuditItem) {
    reply.ok &= copies.ok;
    match reply.items.iter_mut().find(|item| item.number == copies.number) {
        Some(item) => {
            item.ok &= copies.ok;
            let both = [item.detail.as_str(), copies.detail.as_str()];
            item.detail = both.into_iter().filter(|detail| !detail.is_empty()).collect::<Vec<_>>().join("; ");
        }
        None => reply.items.push(copies),
    }
}

/// An audit on paper.
pub(crate) fn text(reply: &AuditReply) -> String {
    let broken = reply.items.iter().filter(|item| !item.ok).count();
    let mut lines = vec![if holds(reply) {
        format!("ok: all {} invariants hold", reply.items.len())
    } else {
        format!("NOT OK: {broken} of {} invariants are broken", reply.items.len())
    }];
    lines.extend(reply.items.iter().map(|item| {
        let mark = if item.ok { "ok " } else { "NOT" };
        let detail = if item.detail.is_empty() { String::new() } else { format!(" ({})", item.detail) };
        format!("  {mark} {:>2} {}{detail}", item.number, item.name)
    }));
    lines.push(format!(
        "  {} packets, {} fen in, {} fen out; credits: {} at once, {} by queue, longest wait {} ms",
        reply.packets, reply.fen_in, reply.fen_out, reply.credits_now, reply.credits_queued, reply.longest_wait_ms
    ));
    lines.join("\n")
}

fn json_of(reply: &AuditReply) -> serde_json::Value {
    let items = reply
        .items
        .iter()
        .map(|item| json!({"number": item.number, "name": item.name, "ok": item.ok, "detail": item.detail}));
    json!({
        "ok": holds(reply),
        "items": items.collect::<Vec<_>>(),
        "packets": reply.packets,
        "fen_in": reply.fen_in,
        "fen_out": reply.fen_out,
        "credits_now": reply.credits_now,
        "credits_queued": reply.credits_queued,
        "longest_wait_ms": reply.longest_wait_ms,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn copies_that_differ_break_an_audit_that_held() {
        let copies = |ok| AuditItem { number: 12, name: "copies".to_owned(), ok, detail: "seen".to_owned() };
        for (items, ok) in [(vec![copies(true)], false), (vec![], false), (vec![copies(true)], true)] {
            let mut reply = AuditReply { ok: true, items, ..AuditReply::default() };
            add(&mut reply, copies(ok));
            assert_eq!(holds(&reply), ok);
            assert_eq!(reply.items.len(), 1);
        }
    }

    #[test]
    fn an_audit_holds_only_if_it_looked_and_found_nothing() {
        let item = |ok| AuditItem { number: 1, name: "debits = credits".to_owned(), ok, detail: String::new() };
        let table = [
            (true, vec![item(true)], true),
            (true, vec![], false),
            (false, vec![item(true)], false),
            (true, vec![item(false)], false),
        ];
        for (ok, items, expected) in table {
            let reply = AuditReply { ok, items, ..AuditReply::default() };
            assert_eq!(holds(&reply), expected, "{reply:?}");
            assert_eq!(json_of(&reply).get("ok"), Some(&json!(expected)));
            assert_eq!(text(&reply).starts_with("ok: "), expected);
        }
    }
}

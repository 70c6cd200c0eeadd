//! The audit: the app's nodes check the invariants of the money, and this prints what they found.
//!
//! Must never: call money safe because nobody answered.

use proto::admin::v1::{AuditReply, AuditRequest};
use serde_json::json;
use tokio::time::timeout;

use crate::admin;
use crate::args::Output;
use crate::error::Error;
use crate::file::{ClusterFile, Folder, Kind};
use crate::limits::AUDIT_MAX;
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
            Ok(Ok(reply)) => return Ok(reply.into_inner()),
            Ok(Err(status)) => last = Error::call("audit")(status.message()),
            Err(_) => last = Error::call("audit")(format!("no answer within {} s", AUDIT_MAX.as_secs())),
        }
    }
    Err(last)
}

/// Whether the money is right. An audit that looked at nothing proves nothing.
pub(crate) fn holds(reply: &AuditReply) -> bool {
    reply.ok && !reply.items.is_empty() && reply.items.iter().all(|item| item.ok)
}

fn text(reply: &AuditReply) -> String {
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
    use proto::admin::v1::AuditItem;

    use super::*;

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

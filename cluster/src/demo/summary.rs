//! The summary: what the evening was, for people and for scripts.
//!
//! Must never: say that the audit holds while the demo's own book disputes it.

use proto::admin::v1::AuditReply;
use serde_json::{Value, json};

use super::book::{Book, Counts};
use super::faults::Fault;
use crate::audit::holds;
use crate::file::ClusterFile;
use crate::limits::DISPUTES_SHOWN;

/// How the evening ended.
#[derive(Debug)]
pub(crate) struct Summary {
    /// From which it can be drawn again.
    pub(crate) seed: u64,
    /// Who was killed.
    pub(crate) faults: Vec<Fault>,
    /// The demo's own book, settled.
    pub(crate) book: Book,
    /// What the servers found.
    pub(crate) audit: AuditReply,
}

impl Summary {
    /// Whether every invariant holds, the book agrees with the audit, and nothing is disputed.
    pub(crate) fn holds(&self) -> bool {
        holds(&self.audit) && self.complaints().is_empty()
    }

    /// What does not fit, and where the servers' totals differ from the book's.
    fn complaints(&self) -> Vec<String> {
        let packets = u64::try_from(self.book.packets.len()).unwrap_or(u64::MAX);
        let (fen_in, fen_out) = self.book.turnover();
        let totals = [
            ("packets", i128::from(self.audit.packets), i128::from(packets)),
            ("fen in", i128::from(self.audit.fen_in), i128::from(fen_in)),
            ("fen out", i128::from(self.audit.fen_out), i128::from(fen_out)),
        ];
        let different = totals.iter().filter(|(_, audit, book)| audit != book);
        let different = different.map(|(what, audit, book)| format!("{what}: the audit says {audit}, the book {book}"));
        let broken = self.audit.items.iter().filter(|item| !item.ok);
        let broken = broken.map(|item| format!("invariant {} ({}): {}", item.number, item.name, item.detail));
        broken.chain(different).chain(self.book.disputes.iter().cloned()).collect()
    }

    /// For scripts. The names are pinned.
    pub(crate) fn json(&self) -> Value {
        let faults = || self.faults.iter();
        json!({
            "audit_ok": self.holds(),
            "killed": faults().map(|fault| fault.node.as_str()).collect::<Vec<_>>(),
            "packets": self.audit.packets,
            "fen_in": self.audit.fen_in,
            "fen_out": self.audit.fen_out,
            "credits_now": self.audit.credits_now,
            "credits_queued": self.audit.credits_queued,
            "longest_wait_ms": self.audit.longest_wait_ms,
            "failover_ms": faults().map(|fault| fault.failover.as_millis()).collect::<Vec<_>>(),
            "complaints": self.complaints(),
            "seed": self.seed,
        })
    }

    /// For people.
    pub(crate) fn text(&self) -> String {
        let Counts { sends, grabs, views, opens, waiting, refused } = self.book.counts;
        let audit = &self.audit;
        let mut lines = vec![
            format!("An evening of red packets (--seed {})", self.seed),
            format!("  played   {sends} sends, {grabs} grabs, {views} views, {opens} opens, {refused} refused"),
            format!("  packets  {}: {} fen in, {} fen out", audit.packets, audit.fen_in, audit.fen_out),
            format!(
                "  credits  {} at once, {} by the queue, longest wait {} ms; {waiting} opens were told to wait",
                audit.credits_now, audit.credits_queued, audit.longest_wait_ms
            ),
        ];
        lines.extend(self.faults.iter().map(|fault| {
            let Fault { node, led, failover } = fault;
            format!("  killed   node {node}, the {led} leader: its clients waited {} ms", failover.as_millis())
        }));
        let complaints = self.complaints();
        if self.holds() {
            let wallets = self.book.balances().len();
            let invariants = self.audit.items.len();
            lines.push(format!("  audit    holds: {invariants} invariants, {wallets} wallets right to the fen"));
        } else {
            lines.push(format!("  audit    BROKEN: {} complaints", complaints.len()));
            lines.extend(complaints.iter().take(DISPUTES_SHOWN).map(|complaint| format!("    {complaint}")));
        }
        lines.join("\n")
    }
}

/// Where to look.
pub(crate) fn addresses(cluster: &ClusterFile) -> String {
    let page = |node: &crate::file::NodeEntry, path: &str| format!("http://{}{path}", node.http);
    let phone = cluster.app.first().map(|node| page(node, "/")).unwrap_or_default();
    let console = cluster.queue.first().map(|node| page(node, "/console")).unwrap_or_default();
    format!("  phone    {phone}\n  console  {console}")
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use proto::admin::v1::AuditItem;

    use super::*;

    fn summary(audit_ok: bool, packets: u64) -> Summary {
        let item = AuditItem { number: 1, name: "sum".to_owned(), ok: audit_ok, detail: "off by one".to_owned() };
        let audit = AuditReply { ok: audit_ok, items: vec![item], packets, ..AuditReply::default() };
        let fault = Fault { node: "2".to_owned(), led: "queue", failover: Duration::from_millis(700) };
        Summary { seed: 7, faults: vec![fault], book: Book::default(), audit }
    }

    #[test]
    fn the_json_has_the_pinned_fields() {
        let json = summary(true, 0).json();
        for (field, expected) in [
            ("audit_ok", json!(true)),
            ("killed", json!(["2"])),
            ("packets", json!(0)),
            ("fen_in", json!(0)),
            ("fen_out", json!(0)),
            ("credits_now", json!(0)),
            ("credits_queued", json!(0)),
            ("longest_wait_ms", json!(0)),
            ("failover_ms", json!([700])),
        ] {
            assert_eq!(json[field], expected, "{field}");
        }
    }

    #[test]
    fn the_audit_holds_only_if_servers_and_book_agree() {
        assert!(summary(true, 0).holds());
        assert_eq!(summary(false, 0).complaints(), ["invariant 1 (sum): off by one"]);
        assert_eq!(summary(true, 1).complaints(), ["packets: the audit says 1, the book 0"]);
        let mut disputed = summary(true, 0);
        disputed.book.disputes.push("a wallet is short".to_owned());
        assert!(!disputed.holds() && disputed.text().contains("a wallet is short"));
    }
}

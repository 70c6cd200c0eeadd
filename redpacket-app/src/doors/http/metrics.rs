//! Metrics in the text format of Prometheus. Names and labels are documented here and bounded: groups by number, classes and
//! invariants by name. All begin with `tercet_app_`.
//!
//! | metric | is |
//! |---|---|
//! | `group_leads`, `group_applied_index`, `group_format`, `group_parked` `{group}` | whether this node leads a group; the last entry applied here; what all its members know; 1 while it stands still here |
//! | `fsyncs`, `fsync_microseconds{quantile}` | fsyncs of the log, and how long they take |
//! | `scrub_bytes`, `scrub_damaged`, `scrub_passed_timestamp_seconds` | bytes read in search of damage; how often some was found; when the last whole pass ended, 0 = none has |
//! | `trace_spans`, `trace_exported`, `trace_dropped` | with `--otlp`: spans that have ended; that the collector took; that it did not, or for which there was no room |
//! | `tls_certificate_expires_seconds{of}`, `tls_trouble`, `tls_refused{door}` | with certificates: seconds to the end of the `node`'s and of its `authority`'s; 1 while the newest files are not good; connections that were sent away |
//! | `admitted_per_mille`, `requests_under_way`, `requests_shed{class}` | part of a thousand admission levels that pass; requests of phones that are worked on; those sent away, by class |
//! | `callee_requests_shed{group}` | requests sent away here because their group's leader would |
//! | `listeners` | phones that listen to their news |
//! | `packets`, `packets_live`, `claims`, `claims_uncredited` `{group}` | packets ever made; that can be opened; shares ever taken; whose credit is not booked |
//! | `ledger_parked_credits`, `ledger_journal_entries`, `ledger_journal_published` `{group}` | credits in suspense; entries of the journal; those handed to its topic |
//! | `ledger_patrol_rounds`, `ledger_patrol_entries`, `ledger_patrol_round_milliseconds` `{group}` | audits of this node's copy that are over; entries that the last one read; how long it took |
//! | `ledger_patrol_differences{group,invariant}`, `audit_broken{invariant}` | what the last patrol found; how often an invariant did not hold in the last audit of everything |
//!
//! Must never: read rows without a bound; counts come from what machines hold in memory.

use std::fmt::Write as _;

use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::IntoResponse;

use crate::app::App;
use crate::audit::patrol::Watched;
use crate::node::Slot;

/// Shows the node's metrics.
pub(super) async fn show(State(slot): State<Slot>) -> impl IntoResponse {
    let (status, text) = match slot.get() {
        Some(app) => (StatusCode::OK, metrics(app)),
        None => (StatusCode::SERVICE_UNAVAILABLE, String::new()),
    };
    (status, [(header::CONTENT_TYPE, "text/plain; version=0.0.4")], text)
}

struct Page(String);

impl Page {
    fn family(&mut self, name: &str, kind: &str, help: &str) {
        // Writing to a String cannot fail.
        let _ = writeln!(self.0, "# HELP tercet_app_{name} {help}\n# TYPE tercet_app_{name} {kind}");
    }

    fn value(&mut self, name: &str, labels: &str, value: impl std::fmt::Display) {
        let _ = writeln!(self.0, "tercet_app_{name}{labels} {value}");
    }
}

fn metrics(app: &App) -> String {
    let mut page = Page(String::new());
    groups(app, &mut page);
    let (p50, p99, count) = app.replica.fsyncs();
    page.family("fsyncs", "counter", "Fsyncs of the log.");
    page.value("fsyncs", "", count);
    page.family("fsync_microseconds", "gauge", "Time of an fsync, by quantile.");
    page.value("fsync_microseconds", "{quantile=\"0.5\"}", p50);
    page.value("fsync_microseconds", "{quantile=\"0.99\"}", p99);
    scrub(app, &mut page);
    if let Some(spans) = proto::traces::counts() {
        page.family("trace_spans", "counter", "Spans of traces that have ended.");
        page.value("trace_spans", "", spans.ended);
        page.family("trace_exported", "counter", "Spans that the collector has taken.");
        page.value("trace_exported", "", spans.exported);
        page.family("trace_dropped", "counter", "Spans without room, or that no collector took.");
        page.value("trace_dropped", "", spans.dropped);
    }
    if let Some(standing) = app.seals.identity.standing() {
        let name = "tls_certificate_expires_seconds";
        page.family(name, "gauge", "Seconds until the node's certificate ends, and its authority's.");
        page.value(name, "{of=\"node\"}", standing.own_seconds_left);
        page.value(name, "{of=\"authority\"}", standing.authority_seconds_left);
        page.family("tls_trouble", "gauge", "Whether the newest certificates are not good, and the old ones are used.");
        page.value("tls_trouble", "", u8::from(standing.trouble.is_some()));
        let refused = [("grpc", app.seals.grpc.refused()), ("http", app.seals.http.refused())];
        page.family("tls_refused", "counter", "Connections sent away for want of a good certificate, by door.");
        for (door, refused) in refused {
            page.value("tls_refused", &format!("{{door=\"{door}\"}}"), refused);
        }
    }
    let (admitted, under_way) = app.entrance.load();
    page.family("admitted_per_mille", "gauge", "Part of a thousand admission levels that pass.");
    page.value("admitted_per_mille", "", admitted);
    page.family("requests_under_way", "gauge", "Requests of phones that are worked on.");
    page.value("requests_under_way", "", under_way);
    page.family("requests_shed", "counter", "Requests of phones that were sent away, by class.");
    for (class, shed) in ["money", "open", "grab", "list"].into_iter().zip(app.entrance.shed()) {
        page.value("requests_shed", &format!("{{class=\"{class}\"}}"), shed);
    }
    callees(app, &mut page);
    page.family("listeners", "gauge", "Phones that listen to their news.");
    page.value("listeners", "", app.listeners.count());
    packets(app, &mut page);
    ledger(app, &mut page);
    patrol(app, &mut page);
    rounds(app, &mut page);
    page.0
}

fn scrub(app: &App, page: &mut Page) {
    let scrubbed = app.replica.scrubbed();
    page.family("scrub_bytes", "counter", "Bytes of the disk that were read in search of damage.");
    page.value("scrub_bytes", "", scrubbed.bytes);
    page.family("scrub_damaged", "counter", "How often damage was found by that; more than none is an alarm.");
    page.value("scrub_damaged", "", scrubbed.damaged);
    page.family("scrub_passed_timestamp_seconds", "gauge", "When the last whole scrub ended; 0 = none has.");
    page.value("scrub_passed_timestamp_seconds", "", scrubbed.passed_ms / 1000);
}

fn callees(app: &App, page: &mut Page) {
    page.family(
        "callee_requests_shed",
        "counter",
        "Requests sent away here because their group's leader would, by group.",
    );
    let ledgers = app.homes.ledgers().map(|shard| (shard.group.id(), shard.callee.shed()));
    let packets = app.homes.packet_shards().map(|shard| (shard.group.id(), shard.callee.shed()));
    for (group, shed) in ledgers.chain(packets) {
        page.value("callee_requests_shed", &format!("{{group=\"{}\"}}", group.0), shed);
    }
}

fn groups(app: &App, page: &mut Page) {
    let groups = app.replica.status();
    page.family("group_leads", "gauge", "Whether this node leads the group.");
    for group in &groups {
        let leads = u8::from(group.role == replica::Role::Leader);
        page.value("group_leads", &format!("{{group=\"{}\"}}", group.group.0), leads);
    }
    page.family("group_applied_index", "counter", "Last log entry applied on this node.");
    for group in &groups {
        page.value("group_applied_index", &format!("{{group=\"{}\"}}", group.group.0), group.applied);
    }
    page.family("group_format", "gauge", "What all members of a group know; it rises once each runs a newer release.");
    for status in &groups {
        page.value("group_format", &format!("{{group=\"{}\"}}", status.group.0), status.format);
    }
    page.family("group_parked", "gauge", "Whether a group stands still on this node: its status says why.");
    for status in &groups {
        page.value("group_parked", &format!("{{group=\"{}\"}}", status.group.0), u8::from(status.trouble.is_some()));
    }
}

fn packets(app: &App, page: &mut Page) {
    let counts: Vec<_> = app
        .homes
        .packet_shards()
        .filter_map(|shard| Some((shard.group.id().0, shard.stale(|seen| *seen.machine.counts()).ok()?)))
        .collect();
    type Count = fn(&packets::Counts) -> u64;
    let families: [(&str, &str, Count); 4] = [
        ("packets", "Packets ever created.", |counts| counts.packets),
        ("packets_live", "Packets that can be opened.", |counts| counts.live),
        ("claims", "Shares ever taken.", |counts| counts.claims),
        ("claims_uncredited", "Shares whose credit is not booked.", |counts| counts.uncredited),
    ];
    for (name, help, count) in families {
        page.family(name, "gauge", help);
        for (group, counts) in &counts {
            page.value(name, &format!("{{group=\"{group}\"}}"), count(counts));
        }
    }
}

fn ledger(app: &App, page: &mut Page) {
    page.family("ledger_parked_credits", "gauge", "Credits in suspense; more than none is an alarm.");
    page.family("ledger_journal_entries", "counter", "Entries of the journal.");
    page.family("ledger_journal_published", "counter", "Entries of the journal that were handed to its topic.");
    for shard in app.homes.ledgers() {
        let read = shard.stale(|seen| {
            let machine = seen.machine;
            (machine.counts().parked, machine.journal_end().0, machine.published())
        });
        let Ok((parked, last, published)) = read else { continue };
        let group = format!("{{group=\"{}\"}}", shard.group.id().0);
        page.value("ledger_parked_credits", &group, parked);
        page.value("ledger_journal_entries", &group, last.0);
        page.value("ledger_journal_published", &group, published.0);
    }
}

fn patrol(app: &App, page: &mut Page) {
    type Part = fn(&Watched) -> u64;
    let families: [(&str, &str, &str, Part); 3] = [
        ("ledger_patrol_rounds", "counter", "Audits of this node's copy of the shard that are over.", |watched| {
            watched.rounds
        }),
        ("ledger_patrol_entries", "gauge", "Entries of the journal that the last one read.", |watched| watched.entries),
        ("ledger_patrol_round_milliseconds", "gauge", "How long the last one took.", |watched| watched.round_ms),
    ];
    let book = app.watchbook.read();
    for (name, kind, help, part) in families {
        page.family(name, kind, help);
        for (group, watched) in &book {
            page.value(name, &format!("{{group=\"{}\"}}", group.0), part(watched));
        }
    }
    page.family("ledger_patrol_differences", "gauge", "What the last one found; more than none is an alarm.");
    for (group, watched) in &book {
        for (invariant, broken) in &watched.broken {
            let labels = format!("{{group=\"{}\",invariant=\"{invariant}\"}}", group.0);
            page.value("ledger_patrol_differences", &labels, broken);
        }
    }
}

fn rounds(app: &App, page: &mut Page) {
    page.family("audit_broken", "gauge", "How often an invariant did not hold in the last audit of everything.");
    for (invariant, broken) in app.findings.read() {
        page.value("audit_broken", &format!("{{invariant=\"{invariant}\"}}"), broken);
    }
}

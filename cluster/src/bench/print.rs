//! What was measured, on paper: a table for people, JSON for scripts.
//!
//! Must never: drop a JSON field; scripts rely on every one.

use serde_json::{Value, json};

use super::Plan;
use super::meter::Phase;

/// A line for each phase.
pub(crate) fn table(phases: &[Phase], size: u64) -> String {
    let mut lines =
        vec![row(["phase", "secs", "done", "per s", "p50 us", "p99 us", "p999 us", "errors"].map(str::to_owned))];
    for phase in phases {
        let [p50, p99, p999] = phase.quantiles_us.map(|us| us.to_string());
        lines.push(row([
            phase.name.to_owned(),
            format!("{:.2}", phase.secs),
            phase.operations.to_string(),
            format!("{:.0}", phase.throughput()),
            p50,
            p99,
            p999,
            phase.errors.to_string(),
        ]));
        lines.extend(usage(phase, size));
        lines.extend(phase.last_error.iter().map(|error| format!("         last error: {error}")));
    }
    lines.join("\n")
}

/// What a phase cost the servers.
fn usage(phase: &Phase, size: u64) -> Option<String> {
    let (usage, cpu_ms, written) = (phase.usage?, phase.cpu_ms_per_1000()?, phase.written_per_byte(size)?);
    let each = phase.written_per_operation()?;
    let mib = |bytes: u64| bytes / (1024 * 1024);
    Some(format!(
        "         servers: {cpu_ms:.1} ms of processor for 1000, {written:.2} bytes written for a byte and node \
         ({each:.0} for one), {} MiB resident, {} before",
        mib(usage.resident_bytes),
        mib(usage.resident_bytes_before),
    ))
}

fn row(cells: [String; 8]) -> String {
    let [name, numbers @ ..] = cells;
    let numbers = numbers.map(|cell| format!("{cell:>10}")).join(" ");
    format!("{name:<8} {numbers}")
}

/// The plan and its phases.
pub(crate) fn json(subject: &str, plan: &Plan, phases: &[Phase]) -> Value {
    let phases = phases.iter().map(|phase| {
        let [p50, p99, p999] = phase.quantiles_us;
        json!({
            "name": phase.name,
            "secs": phase.secs,
            "operations": phase.operations,
            "throughput_per_s": phase.throughput(),
            "p50_us": p50,
            "p99_us": p99,
            "p999_us": p999,
            "errors": phase.errors,
            "last_error": phase.last_error,
            "server_cpu_ms_per_1000": phase.cpu_ms_per_1000(),
            "written_bytes_per_operation": phase.written_per_operation(),
            "written_per_byte": phase.written_per_byte(plan.size),
            "resident_bytes": phase.usage.map(|usage| usage.resident_bytes),
            "resident_bytes_before": phase.usage.map(|usage| usage.resident_bytes_before),
        })
    });
    json!({
        "bench": subject,
        "producers": plan.producers,
        "window": plan.window,
        "batch": plan.batch,
        "size": plan.size,
        "rate": plan.rate,
        "consumers": plan.consumers(),
        "phases": phases.collect::<Vec<_>>(),
    })
}

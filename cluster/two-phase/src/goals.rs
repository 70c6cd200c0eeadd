//! Tenpay's goals beside one PostgreSQL: the same kinds of load on both, one after the other, and their ratios.
//!
//! PostgreSQL is measured by its own pgbench with prepared statements: a transfer is one call of a function that keeps the
//! id, locks in account order, moves the money and writes both postings. It keeps one copy, Tenpay three.
//!
//! Must never: flatter: where PostgreSQL has several loads of a kind, its best counts.

use std::path::Path;

use serde_json::{Value, json};

use crate::failure::Failure;
use crate::server::Server;
use crate::table::Table;
use crate::tenpay::{Phase, Tenpay, clients};
use crate::{Plan, note};

const SCHEMA: &str = include_str!("../sql/transfers.sql");
/// A load of PostgreSQL's: its name, clients, transfers a call, and the script.
type Script = (&'static str, u32, f64, &'static str);
const SCRIPTS: [Script; 5] = [
    ("single, 1 client", 1, 1.0, include_str!("../sql/single.sql")),
    ("single, 16 clients", 16, 1.0, include_str!("../sql/single.sql")),
    ("single, 64 clients", 64, 1.0, include_str!("../sql/single.sql")),
    ("batches of 500, 4 clients", 4, 500.0, include_str!("../sql/batch.sql")),
    ("single, 64 clients, one hot account", 64, 1.0, include_str!("../sql/hot.sql")),
];

/// Accounts of the large ledger that is measured, and of the goal.
const LARGE_ACCOUNTS: f64 = 100_000.0;
const GOAL_ACCOUNTS: f64 = 10_000_000.0;
/// Transfers of the goal.
const GOAL_TRANSFERS: f64 = 100_000_000.0;
const MIB: f64 = 1_048_576.0;

/// One goal.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Goal {
    /// What is asked for.
    pub(crate) point: &'static str,
    /// In words.
    pub(crate) goal: &'static str,
    /// PostgreSQL's figure, if the goal is about it.
    pub(crate) postgres: Option<f64>,
    /// Tenpay's.
    pub(crate) tenpay: f64,
    /// What the goal compares.
    pub(crate) ratio: f64,
    pub(crate) is_reached: bool,
}

/// What a load of PostgreSQL's came to.
#[derive(Clone, Copy, Debug, Default)]
struct Pg {
    per_s: f64,
    p50_us: f64,
}

/// Tenpay's loads, all alike and one hot account.
struct Ours {
    single: (Phase, Phase),
    lone: Phase,
    batch_500: Phase,
    batch_8000: Phase,
    large: Option<Large>,
}

/// How a ledger grows: what many accounts and transfers cost.
#[derive(Clone, Copy, Debug, Default)]
struct Large {
    transfers: f64,
    /// Memory of the largest node: before its accounts, before its transfers, after them. Bytes.
    resident: [f64; 3],
    /// From the start of a killed node until it was ready.
    restart_s: f64,
}

impl Large {
    /// Memory at the size of the goal, if it grew on in a straight line. Bytes.
    fn at_goal(self) -> f64 {
        let [empty, filled, full] = self.resident;
        let an_account = (filled - empty).max(0.0) / LARGE_ACCOUNTS;
        let a_transfer = (full - filled).max(0.0) / self.transfers.max(1.0);
        full + an_account * (GOAL_ACCOUNTS - LARGE_ACCOUNTS) + a_transfer * (GOAL_TRANSFERS - self.transfers)
    }
}

/// Measures both.
pub(crate) async fn run(plan: &Plan, folder: &Path) -> Result<Vec<Goal>, Failure> {
    let mut server = Server::create(&folder.join("postgres")).await?;
    server.connect().await?.batch_execute(SCHEMA).await?;
    let mut theirs = Vec::new();
    for script in SCRIPTS {
        note(&format!("PostgreSQL, {} ...", script.0));
        let figure = pgbench(&server, folder, script, plan.secs).await?;
        note(&format!("    {:.0} transfers/s, p50 {:.0} us", figure.per_s, figure.p50_us));
        theirs.push(figure);
    }
    server.stop().await;
    let tenpay = Tenpay::start(&plan.cluster, folder).await?;
    let ours = ours(&tenpay, plan).await?;
    tenpay.stop().await?;
    Ok(goals(&theirs, &ours))
}

async fn ours(tenpay: &Tenpay, plan: &Plan) -> Result<Ours, Failure> {
    let secs = plan.secs;
    let words = clients(64);
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    // The first seconds of a cluster are not its best.
    tenpay.bench(&words, 2).await?;
    let single = told("single, 64 clients", tenpay.bench(&words, secs).await?);
    let (lone, _) = told("single, 1 client", tenpay.bench(&["--producers", "1", "--window", "1"], secs).await?);
    let batch = ["--producers", "4", "--window", "1", "--batch", "500"];
    let (batch_500, _) = told("batches of 500, 4 clients", tenpay.bench(&batch, secs).await?);
    let batch = ["--producers", "2", "--window", "2", "--batch", "8000"];
    let (batch_8000, _) = told("batches of 8,000, 4 clients", tenpay.bench(&batch, secs).await?);
    let large = if plan.large_secs > 0 { Some(large(tenpay, plan.large_secs, &batch_8000).await?) } else { None };
    Ok(Ours { single, lone, batch_500, batch_8000, large })
}

async fn large(tenpay: &Tenpay, secs: u64, before: &Phase) -> Result<Large, Failure> {
    note("Tenpay, a large ledger ...");
    let accounts = format!("{LARGE_ACCOUNTS}");
    let load = ["--accounts", &accounts, "--producers", "2", "--window", "2", "--batch", "8000"];
    let (alike, hot) = told("a large ledger, batches of 8,000", tenpay.bench(&load, secs).await?);
    let restart_s = tenpay.restart().await?;
    let resident = [before.resident_bytes.1, alike.resident_bytes.0, hot.resident_bytes.1];
    // Counts stay far below 2^53.
    Ok(Large { transfers: (alike.operations + hot.operations) as f64, resident, restart_s })
}

/// Says what a load came to.
fn told(load: &str, phases: (Phase, Phase)) -> (Phase, Phase) {
    for (spread, phase) in [("all alike", &phases.0), ("one hot account", &phases.1)] {
        let Phase { per_s, p50_us, errors, written_bytes, resident_bytes: (_, resident), .. } = phase;
        note(&format!(
            "Tenpay, {load}, {spread}: {per_s:.0} transfers/s, p50 {p50_us} us, {written_bytes:.0} bytes written for one, \
             {:.0} MiB resident, {errors} errors",
            resident / MIB
        ));
    }
    phases
}

async fn pgbench(server: &Server, folder: &Path, script: Script, secs: u64) -> Result<Pg, Failure> {
    let (_, clients, each, text) = script;
    let (file, logs) = (folder.join("script.sql"), folder.join("pgbench"));
    std::fs::write(&file, text)?;
    std::fs::create_dir_all(&logs)?;
    let mut program = server.program("pgbench");
    program.args(["-n", "-M", "prepared", "-j", "2", "-T", &secs.to_string(), "-c", &clients.to_string(), "-l"]);
    let output = program.arg("--log-prefix").arg(logs.join("log")).arg("-f").arg(&file).output().await?;
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let failed = || Failure::program("pgbench", String::from_utf8_lossy(&output.stderr));
    let per_s = rate(&text).ok_or_else(failed)? * each;
    let mut took = Vec::new();
    for log in std::fs::read_dir(&logs)?.flatten() {
        let lines = std::fs::read_to_string(log.path())?;
        took.extend(lines.lines().filter_map(|line| line.split(' ').nth(2)?.parse::<f64>().ok()));
    }
    std::fs::remove_dir_all(&logs)?;
    took.sort_by(f64::total_cmp);
    Ok(Pg { per_s, p50_us: took.get(took.len() / 2).copied().unwrap_or_default() })
}

/// The transactions a second that pgbench reports.
fn rate(report: &str) -> Option<f64> {
    report.lines().find_map(|line| line.strip_prefix("tps = ")?.split(' ').next()?.parse().ok())
}

fn goals(theirs: &[Pg], ours: &Ours) -> Vec<Goal> {
    let pg = |at: usize| theirs.get(at).copied().unwrap_or_default();
    let best = pg(0).per_s.max(pg(1).per_s).max(pg(2).per_s);
    let least = |point, goal, postgres: f64, tenpay: f64, factor: f64| {
        let ratio = tenpay / postgres;
        Goal { point, goal, postgres: Some(postgres), tenpay, ratio, is_reached: ratio >= factor }
    };
    let (alike, hot) = (&ours.single.0, &ours.single.1);
    let lone_us = ours.lone.p50_us as f64;
    let (hot_ratio, latency) = (hot.per_s / alike.per_s, lone_us / pg(0).p50_us);
    let large = ours.large.map(large_goals).unwrap_or_default();
    let (batches, points) = ("transfers/s in batches of 8,000", "transfers/s, single, 64 clients");
    let small = vec![
        least(batches, ">= 11x PostgreSQL's batches of 500", pg(3).per_s, ours.batch_8000.per_s, 11.0),
        least("transfers/s in batches of 500, 4 clients", ">= 7x", pg(3).per_s, ours.batch_500.per_s, 7.0),
        least(points, ">= 4x PostgreSQL's best", best, alike.per_s, 4.0),
        Goal {
            point: "transfers/s, single, one hot account",
            goal: "within 20 % of all alike",
            postgres: Some(pg(4).per_s),
            tenpay: hot.per_s,
            ratio: hot_ratio,
            is_reached: hot_ratio >= 0.8,
        },
        Goal {
            point: "p50 of a single transfer, one client, us",
            goal: "<= 4x PostgreSQL's",
            postgres: Some(pg(0).p50_us),
            tenpay: lone_us,
            ratio: latency,
            is_reached: latency <= 4.0,
        },
        Goal {
            point: "bytes written per transfer and replica, batches of 8,000",
            goal: "<= 400",
            postgres: None,
            tenpay: ours.batch_8000.written_bytes,
            ratio: ours.batch_8000.written_bytes / 400.0,
            is_reached: ours.batch_8000.written_bytes <= 400.0,
        },
        Goal {
            point: "bytes written per transfer and replica, single",
            goal: "<= 400",
            postgres: None,
            tenpay: alike.written_bytes,
            ratio: alike.written_bytes / 400.0,
            is_reached: alike.written_bytes <= 400.0,
        },
    ];
    small.into_iter().chain(large).collect()
}

fn large_goals(large: Large) -> Vec<Goal> {
    let mib = large.at_goal() / MIB;
    vec![
        Goal {
            point: "memory of the largest node, MiB, on from here in a straight line",
            goal: "<= 4,096 at 10 M accounts, 100 M transfers",
            postgres: None,
            tenpay: mib,
            ratio: mib / 4096.0,
            is_reached: mib <= 4096.0,
        },
        Goal {
            point: "restart of a killed node, ms, with what there is",
            goal: "<= 10,000",
            postgres: None,
            tenpay: large.restart_s * 1000.0,
            ratio: large.restart_s / 10.0,
            is_reached: large.restart_s <= 10.0,
        },
    ]
}

/// The goals as a table.
pub(crate) fn table(goals: &[Goal]) -> Table {
    let mut table = Table::new(&["point", "goal", "PostgreSQL, one copy", "Tenpay, three copies", "ratio", "verdict"]);
    for Goal { point, goal, postgres, tenpay, ratio, is_reached } in goals {
        table.row(vec![
            (*point).to_owned(),
            (*goal).to_owned(),
            postgres.map_or_else(String::new, |figure| format!("{figure:.0}")),
            format!("{tenpay:.0}"),
            format!("{ratio:.2}"),
            if *is_reached { "met" } else { "MISSED" }.to_owned(),
        ]);
    }
    table
}

/// The goals for scripts.
pub(crate) fn json(goals: &[Goal]) -> Value {
    let goals = goals.iter().map(|goal| {
        json!({
            "point": goal.point,
            "goal": goal.goal,
            "postgres": goal.postgres,
            "tenpay": goal.tenpay,
            "ratio": goal.ratio,
            "reached": goal.is_reached,
        })
    });
    json!({ "bench": "goals", "goals": goals.collect::<Vec<_>>() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pgbench_says_its_rate_in_a_line_of_its_own() {
        let report = "latency average = 1.2 ms\ntps = 9600.5 (without initial connection time)\n";
        assert_eq!(rate(report), Some(9600.5));
        assert_eq!(rate("pgbench: error"), None);
    }

    #[test]
    fn a_goal_is_held_against_postgres_best_and_never_rounded_up() {
        let pg = |per_s| Pg { per_s, p50_us: 500.0 };
        let phase = |per_s| Phase { per_s, p50_us: 2_001, written_bytes: 400.5, ..Phase::default() };
        let single = (phase(39_999.0), phase(32_000.0));
        let (batch_500, batch_8000) = (phase(70_000.0), phase(110_000.0));
        let ours = Ours { single, lone: phase(1.0), batch_500, batch_8000, large: None };
        let theirs = [pg(1_000.0), pg(10_000.0), pg(9_000.0), pg(10_000.0), pg(1.0)];
        let reached: Vec<bool> = goals(&theirs, &ours).iter().map(|goal| goal.is_reached).collect();
        assert_eq!(reached, [true, true, false, true, false, false, false]);
        assert!(table(&goals(&theirs, &ours)).markdown().lines().count() == 9);
    }

    #[test]
    fn memory_is_carried_on_by_what_an_account_and_a_transfer_cost() {
        let large =
            Large { transfers: 1_000_000.0, resident: [100.0 * MIB, 101.0 * MIB, 111.0 * MIB], restart_s: 10.5 };
        // 1 MiB for 100,000 accounts, 10 MiB for a million transfers.
        let mib = large.at_goal() / MIB;
        assert!((mib - (111.0 + 99.0 + 990.0)).abs() < 0.001, "{mib}");
        let reached: Vec<bool> = large_goals(large).iter().map(|goal| goal.is_reached).collect();
        assert_eq!(reached, [true, false]);
    }
}

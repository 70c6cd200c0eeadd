//! A run: at each point one system after the other, again and again; every record is written as soon as it is there.
//!
//! Must never: leave a node running, whatever ends the run; or overwrite the results of a former one.

use std::fs::{self, File};
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use tokio::signal::unix::{SignalKind, signal};

use crate::args::{Plan, Shown};
use crate::error::Error;
use crate::nodes::Fleet;
use crate::phases::{Round, carry_out, fits};
use crate::plan::{Point, System, chosen};
use crate::record::{GAP, RATE, RESTART, Record};
use crate::report;

/// Measures, then writes the report. Errors: nothing could be measured, or a signal ended the run.
pub(crate) async fn run(plan: &Plan) -> Result<(), Error> {
    fs::create_dir_all(&plan.dir).map_err(Error::on(&plan.dir))?;
    // Nodes are started elsewhere: a relative path would lead them astray.
    let absolute = |path: &Path| std::path::absolute(path).map_err(Error::on(path));
    let plan = Plan { dir: absolute(&plan.dir)?, tercet: absolute(&plan.tercet)?, ..plan.clone() };
    let (systems, points) = chosen(&plan.only);
    if points.contains(&Point::Backlog) {
        room_for(&plan)?;
    }
    let results = results_file(&plan.dir);
    let mut log = Log { file: File::create_new(&results).map_err(Error::on(&results))?, written: 0 };
    let ended = tokio::select! {
        ended = all(&plan, &systems, &points, &mut log) => ended,
        ended = interrupted() => ended,
    };
    let shown = Shown { results: vec![results], html: None, markdown: plan.markdown };
    if log.written > 0 {
        report::render(&shown)?;
    }
    ended
}

async fn all(plan: &Plan, systems: &[System], points: &[Point], log: &mut Log) -> Result<(), Error> {
    for repeat in 1..=plan.repeats {
        for point in points {
            for system in systems {
                eprintln!("==> {repeat} of {}: {}, {}", plan.repeats, point.title(), system.title());
                // One that fails at a point leaves the others to be measured.
                if let Err(error) = one(plan, *system, *point, repeat, log).await {
                    eprintln!("    failed: {error}");
                }
            }
        }
    }
    if log.written == 0 {
        return Err(Error::Impossible("nothing could be measured".to_owned()));
    }
    Ok(())
}

/// One system at one point, from its start to its end.
async fn one(plan: &Plan, system: System, point: Point, repeat: u32, log: &mut Log) -> Result<(), Error> {
    let mut fleet = Fleet::start(plan, system).await?;
    let length = Duration::from_secs(plan.secs);
    let round = Round { system, point, repeat, length, size: plan.size, backlog: plan.backlog };
    let carried_out = carry_out(&mut fleet, &round, &mut |record: Record| log.keep(&record)).await;
    fleet.stop().await;
    // What a failure has left is looked at by whoever reads the error.
    carried_out.and_then(|()| fleet.remove())
}

async fn interrupted() -> Result<(), Error> {
    let listen = |kind| signal(kind).map_err(Error::call("signal"));
    let (mut end, mut interrupt) = (listen(SignalKind::terminate())?, listen(SignalKind::interrupt())?);
    tokio::select! {
        _ = end.recv() => {}
        _ = interrupt.recv() => {}
    }
    Err(Error::Interrupted)
}

/// A file for this run alone.
fn results_file(dir: &Path) -> PathBuf {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
    dir.join(format!("results-{now}.jsonl"))
}

/// A backlog is not begun that the disk cannot hold.
fn room_for(plan: &Plan) -> Result<(), Error> {
    let disk = rustix::fs::statvfs(&plan.dir).map_err(Error::call("free disk space"))?;
    if fits(plan.backlog, plan.size, disk.f_bavail.saturating_mul(disk.f_frsize)) {
        return Ok(());
    }
    Err(Error::Impossible(
        "the disk may not hold that backlog; give a smaller one, or name points without it".to_owned(),
    ))
}

/// Records, a line each.
struct Log {
    file: File,
    written: u64,
}

impl Log {
    fn keep(&mut self, record: &Record) -> Result<(), Error> {
        let line = serde_json::to_string(record).map_err(Error::call("record"))?;
        writeln!(self.file, "{line}").map_err(Error::call("results"))?;
        self.written += 1;
        eprintln!("    {}", in_short(record));
        Ok(())
    }
}

/// A record in a line for whoever waits.
fn in_short(record: &Record) -> String {
    let figure = |name: &str, unit: &str| record.figures.get(name).map(|value| format!(" {value:.0} {unit}"));
    let figures: String = [
        figure(RATE, "/s"),
        figure(GAP, "ms without a confirm"),
        record.figures.get(RESTART).map(|value| format!(" {value:.1} s")),
        record.figures.get("confirm_p50_ms").map(|value| format!(", p50 {value:.2} ms")),
        record.figures.get("lost").filter(|lost| **lost > 0.0).map(|lost| format!(", {lost:.0} LOST")),
    ]
    .into_iter()
    .flatten()
    .collect();
    let errors = record.last_error.as_ref().map(|last| format!(", {} errors, the last: {last}", record.errors));
    format!("{}:{figures}{}", record.phase.title(), errors.unwrap_or_default())
}

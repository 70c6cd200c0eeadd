//! An evening: each way under each load, then with a database killed in the middle, then without its coordinator.
//!
//! Must never: let a run begin with what another one left behind.

use std::fmt;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use tokio::task::JoinSet;
use tokio::time::sleep;

use crate::failure::Failure;
use crate::meter::Meter;
use crate::outcome::{Fault, Outcome};
use crate::polled::{self, POLLERS, Polled};
use crate::seven_steps::{self, Coordinator};
use crate::tenpay::{Phase, Tenpay, clients};
use crate::two::{Lookout, Two};
use crate::{Plan, note};

/// How long what was killed stays away.
const REST: Duration = Duration::from_secs(2);
/// A run with a fault goes on long enough to show what comes after.
const FAULT_SECS_MIN: u64 = 10;
/// How long a coordinator that came through tries to tell what it decided.
const SETTLE_MAX: Duration = Duration::from_secs(30);
/// How often it tries meanwhile.
const SETTLE_EVERY: Duration = Duration::from_millis(100);

/// One run to make.
#[derive(Clone, Copy, Debug)]
struct Load {
    clients: u32,
    is_hot: bool,
    fault: Fault,
    secs: u64,
}

impl fmt::Display for Load {
    fn fmt(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
        let paid = if self.is_hot { "one account" } else { "all alike" };
        write!(to, "{} clients, {paid}, fault: {}, {} s", self.clients, self.fault.name(), self.secs)
    }
}

impl Load {
    fn until(&self) -> Instant {
        Instant::now() + Duration::from_secs(self.secs)
    }

    fn half(&self) -> Duration {
        Duration::from_millis(self.secs * 500)
    }
}

fn loads(plan: &Plan) -> Vec<Load> {
    let calm = |is_hot| {
        let load = move |clients: &u32| Load { clients: *clients, is_hot, fault: Fault::None, secs: plan.secs };
        plan.clients.iter().map(load)
    };
    let clients = plan.clients.last().copied().unwrap_or(1);
    let fault = |fault| Load { clients, is_hot: false, fault, secs: plan.secs.max(FAULT_SECS_MIN) };
    calm(false).chain(calm(true)).chain([fault(Fault::Database), fault(Fault::Coordinator)]).collect()
}

/// Runs the evening.
pub(crate) async fn run(plan: &Plan, folder: &Path) -> Result<Vec<Outcome>, Failure> {
    let mut outcomes = Vec::new();
    let mut two = Two::create(&folder.join("two")).await?;
    for load in loads(plan) {
        note(&format!("seven steps, {load} ..."));
        outcomes.push(told(seven(&mut two, load).await?));
    }
    two.stop().await;
    // What the dead coordinator left undone is nobody else's burden.
    let mut two = Two::create(&folder.join("polled")).await?;
    for load in loads(plan).into_iter().filter(|load| load.fault != Fault::Coordinator) {
        note(&format!("polled table, {load} ..."));
        outcomes.push(told(poll(&mut two, load).await?));
    }
    two.stop().await;
    let tenpay = Tenpay::start(&plan.cluster, folder).await?;
    for load in loads(plan).into_iter().filter(|load| load.fault != Fault::Coordinator && !load.is_hot) {
        note(&format!("Tenpay, {load}, then one account ..."));
        outcomes.extend(credits(&tenpay, load).await?.into_iter().map(told));
    }
    tenpay.stop().await?;
    Ok(outcomes)
}

/// Says what a run came to.
fn told(run: Outcome) -> Outcome {
    let money = if run.is_conserved { "conserved" } else { "NOT CONSERVED" };
    note(&format!("    {:.0} credits/s, {} failures, {} stuck, {money}", run.per_s(), run.failures, run.stuck_most));
    run
}

async fn seven(two: &mut Two, load: Load) -> Result<Outcome, Failure> {
    let (meter, coordinator) = (Arc::new(Meter::new()), Arc::new(Coordinator::default()));
    let (ports, lookout, began) = ((two.payers.port, two.payees.port), Lookout::start(two), Instant::now());
    let until = load.until();
    let ids = Arc::clone(&two.ids);
    let mut all = JoinSet::new();
    for _ in 0..load.clients {
        let (meter, coordinator, ids) = (Arc::clone(&meter), Arc::clone(&coordinator), Arc::clone(&ids));
        all.spawn(async move {
            seven_steps::client(ports, || ids.draw(load.is_hot), (&meter, &coordinator), until).await;
        });
    }
    let settler = tokio::spawn(settle(Arc::clone(&coordinator)));
    match load.fault {
        Fault::None => {}
        Fault::Database => blackout(two, load).await?,
        Fault::Coordinator => {
            sleep(load.half()).await;
            // At once, wherever each client is.
            settler.abort();
            all.abort_all();
        }
    }
    while all.join_next().await.is_some() {}
    let secs = began.elapsed().as_secs_f64();
    settler.abort();
    // Ended only when it is: what it was about to tell must not be told twice, or never.
    let _ = settler.await;
    // Prepared transactions need more than a second to count as stuck.
    sleep(Duration::from_millis(1500)).await;
    let (stuck_most, stuck_left) = (lookout.end(), two.prepared().await?);
    let is_conserved = if load.fault == Fault::Coordinator {
        // Nobody knows what was decided. An operator can only guess; the guess is "no" for all.
        two.roll_back_all().await?;
        two.is_conserved().await?
    } else {
        let until = Instant::now() + SETTLE_MAX;
        while coordinator.settle().await > 0 && Instant::now() < until {}
        // A connection that broke between PREPARE and its answer is owed a decision, too: all of these are told now.
        two.prepared().await? == 0 && two.is_conserved().await?
    };
    let run = measured("seven steps, two-phase commit", load, secs, &meter);
    Ok(Outcome { stuck_most, stuck_left, is_conserved, ..run })
}

/// Tells what is owed to a database that was away, again and again, as a coordinator does.
async fn settle(coordinator: Arc<Coordinator>) {
    loop {
        coordinator.settle().await;
        sleep(SETTLE_EVERY).await;
    }
}

async fn poll(two: &mut Two, load: Load) -> Result<Outcome, Failure> {
    let (meter, polled) = (Arc::new(Meter::new()), Arc::new(Polled::default()));
    let (payers, payees, began, until) = (two.payers.port, two.payees.port, Instant::now(), load.until());
    let ids = Arc::clone(&two.ids);
    let (mut clients, mut pollers) = (JoinSet::new(), JoinSet::new());
    for _ in 0..load.clients {
        let (meter, ids) = (Arc::clone(&meter), Arc::clone(&ids));
        clients.spawn(async move { polled::client(payers, || ids.draw(load.is_hot), &meter, until).await });
    }
    for _ in 0..POLLERS {
        let polled = Arc::clone(&polled);
        pollers.spawn(async move { polled::poller(payers, payees, &polled).await });
    }
    if load.fault == Fault::Database {
        blackout(two, load).await?;
    }
    while clients.join_next().await.is_some() {}
    polled.is_last.store(true, Ordering::Relaxed);
    while pollers.join_next().await.is_some() {}
    let secs = began.elapsed().as_secs_f64();
    let run = measured("polled table", load, secs, &meter);
    let failures = run.failures + polled.failed.load(Ordering::Relaxed);
    Ok(Outcome { failures, is_conserved: two.is_conserved().await?, ..run })
}

/// What a meter has seen of a run in which nothing got stuck; whether money was conserved is not known yet.
fn measured(way: &'static str, load: Load, secs: f64, meter: &Meter) -> Outcome {
    let ((credits, failures), (p50_us, p99_us)) = (meter.counts(), meter.quantiles_us());
    let Load { clients, is_hot, fault, .. } = load;
    Outcome {
        way,
        is_hot,
        clients,
        fault,
        credits,
        secs,
        p50_us,
        p99_us,
        failures,
        stuck_most: 0,
        stuck_left: 0,
        is_conserved: false,
    }
}

/// Kills the payees' database in the middle of a run, and starts it again.
async fn blackout(two: &mut Two, load: Load) -> Result<(), Failure> {
    sleep(load.half().saturating_sub(REST / 2)).await;
    two.payees.crash().await;
    sleep(REST).await;
    two.payees.start().await
}

/// Both spreads of one load, by Tenpay; with a fault, one of them.
async fn credits(tenpay: &Tenpay, load: Load) -> Result<Vec<Outcome>, Failure> {
    let words = clients(load.clients);
    let mut words: Vec<&str> = words.iter().map(String::as_str).collect();
    words.push("--across");
    let bench = tenpay.bench(&words, load.secs);
    let (alike, hot) = if load.fault == Fault::Database {
        let (phases, killed) = tokio::join!(bench, tenpay.kill_leader(load.half() + REST, REST));
        killed?;
        phases?
    } else {
        bench.await?
    };
    let is_conserved = tenpay.is_conserved().await;
    let outcome = |is_hot, Phase { operations, secs, p50_us, p99_us, errors, .. }: Phase| Outcome {
        way: "Tenpay, three copies",
        is_hot,
        clients: load.clients,
        fault: load.fault,
        credits: operations,
        secs,
        p50_us,
        p99_us,
        failures: errors,
        stuck_most: 0,
        stuck_left: 0,
        is_conserved,
    };
    let mut outcomes = vec![outcome(false, alike)];
    if load.fault == Fault::None {
        outcomes.push(outcome(true, hot));
    }
    Ok(outcomes)
}

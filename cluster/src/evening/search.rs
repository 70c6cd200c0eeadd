//! The search for the capacity: the rate rises until what is answered stays behind what is wanted.
//!
//! ```text
//!  rate x 2, while answers follow ──> between the last that did and the first that did not ──> the most that was answered
//! ```
//!
//! Must never: count an answer that came after its step, or call a rate followed that was not.

use std::sync::Arc;
use std::time::Duration;

use rand::rngs::StdRng;
use serde_json::{Value, json};

use super::arrivals::arrivals;
use super::books::{Books, Cores};
use super::crowd::Crowd;
use super::series::Series;
use crate::error::Error;
use crate::file::Folder;
use crate::screen::Progress;

/// The search begins here, actions a second.
const FIRST_RATE: f64 = 500.0;
/// Beyond it nothing is tried.
const RATE_MAX: f64 = 512_000.0;
/// How long a rate is tried, and how much of that does not count.
const STEP: Duration = Duration::from_secs(4);
const WARM: Duration = Duration::from_secs(1);
/// A step whose answers are fewer than this part of what was wanted is beyond the capacity.
const KEPT_UP: f64 = 0.9;
/// Rates tried between the last that was followed and the first that was not.
const HALVINGS: u32 = 3;

/// A rate that was tried.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Step {
    /// Actions a second that were wanted.
    pub(crate) wanted: f64,
    /// Actions a second that were answered.
    pub(crate) answered: f64,
    /// Opens among them.
    pub(crate) opens: f64,
    /// Who used the processors.
    pub(crate) cores: Cores,
    /// How late the generator was at most.
    pub(crate) late_us: u64,
}

/// What was found.
#[derive(Clone, Debug, Default)]
pub(crate) struct Capacity {
    /// All rates, in the order in which they were tried.
    pub(crate) steps: Vec<Step>,
}

impl Capacity {
    /// The step in which most was answered.
    pub(crate) fn best(&self) -> Option<&Step> {
        self.steps.iter().max_by(|one, other| one.answered.total_cmp(&other.answered))
    }

    /// Actions a second that are answered at most.
    pub(crate) fn per_s(&self) -> f64 {
        self.best().map_or(0.0, |step| step.answered)
    }

    /// Opens a second that are answered at most, at whatever rate.
    pub(crate) fn opens(&self) -> f64 {
        self.steps.iter().map(|step| step.opens).fold(0.0, f64::max)
    }

    /// For programs.
    pub(crate) fn json(&self) -> Value {
        let steps = self.steps.iter().map(|step| {
            json!({
                "wanted_per_s": step.wanted, "answered_per_s": step.answered, "opens_per_s": step.opens,
                "cores": step.cores, "generator_late_us": step.late_us,
            })
        });
        steps.collect()
    }
}

/// Finds it. Errors: the cluster's file is gone.
pub(crate) async fn find(folder: &Folder, crowd: &Arc<Crowd>, rng: &mut StdRng) -> Result<Capacity, Error> {
    let (mut capacity, progress) = (Capacity::default(), Progress::new());
    let (mut followed, mut rate) = (0.0, FIRST_RATE);
    let mut beyond = None;
    let mut halvings = 0;
    while rate < RATE_MAX && halvings <= HALVINGS {
        let step = attempt(folder, crowd, rate, rng).await?;
        progress.note(&format!("{rate:>8.0} wanted a second, {:.0} answered, {:.0} opens", step.answered, step.opens));
        if step.answered >= rate * KEPT_UP {
            followed = rate;
        } else {
            beyond = Some(rate);
        }
        capacity.steps.push(step);
        rate = match beyond {
            None => rate * 2.0,
            Some(beyond) => {
                halvings += 1;
                f64::midpoint(followed, beyond)
            }
        };
    }
    Ok(capacity)
}

async fn attempt(folder: &Folder, crowd: &Arc<Crowd>, rate: f64, rng: &mut StdRng) -> Result<Step, Error> {
    let series = Arc::new(Series::start());
    let cluster = folder.cluster()?;
    let look = async {
        tokio::time::sleep(WARM).await;
        let before = Books::read(&cluster);
        tokio::time::sleep(STEP - WARM).await;
        Books::read(&cluster).since(&before)
    };
    let ((), cores) = tokio::join!(arrivals(crowd, &series, |_| rate, STEP, rng), look);
    let secs = (STEP - WARM).as_secs_f64();
    let (answered, opens) = series.answered(WARM, STEP);
    let late_us = series.all().iter().map(|second| second.late_us).max().unwrap_or(0);
    Ok(Step { wanted: rate, answered: answered as f64 / secs, opens: opens as f64 / secs, cores, late_us })
}

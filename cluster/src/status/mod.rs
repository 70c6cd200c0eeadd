//! Status and health of a cluster: every node is asked at once, and a verdict is spoken over the answers.
//!
//! Must never: print a verdict that its reasons do not carry.

mod print;
mod verdict;

use futures::future::join;

use crate::admin;
use crate::args::Output;
use crate::error::Error;
use crate::file::{Folder, Kind};
use crate::screen;

pub(crate) use verdict::Verdict;

/// Prints verdict, reasons and every replica; `true` if healthy.
pub(crate) async fn status(folder: &Folder, output: Output) -> Result<bool, Error> {
    let verdict = look(folder).await?;
    screen::out(&match output {
        Output::Text => print::text(&verdict),
        Output::Json => print::json(&verdict).to_string(),
    });
    Ok(verdict.is_healthy())
}

/// Prints verdict and reasons; `true` if healthy.
pub(crate) async fn health(folder: &Folder) -> Result<bool, Error> {
    let verdict = look(folder).await?;
    screen::out(&print::head(&verdict));
    Ok(verdict.is_healthy())
}

/// The verdict on the cluster as it is now.
pub(crate) async fn look(folder: &Folder) -> Result<Verdict, Error> {
    let cluster = folder.cluster()?;
    let (queue, app) = join(admin::look(cluster.of(Kind::Queue)), admin::look(cluster.of(Kind::App))).await;
    Ok(Verdict::over(&[("queue", queue), ("app", app)]))
}

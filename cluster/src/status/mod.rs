//! Status and health of a cluster: every node is asked at once, and a verdict is spoken over the answers.
//!
//! Must never: print a verdict that its reasons do not carry.

mod cautions;
mod print;
mod queues;
mod verdict;

use futures::future::join;
use tokio::time::timeout;

use crate::admin;
use crate::args::Output;
use crate::error::Error;
use crate::file::{ClusterFile, Folder, Kind};
use crate::interrupt::interrupts;
use crate::limits::WATCH_EVERY;
use crate::reach::Reach;
use crate::screen;

pub(crate) use queues::Queues;
pub(crate) use verdict::Verdict;

/// Prints verdict, reasons, every replica and every queue, again and again if asked to; `true` if healthy.
pub(crate) async fn status(reach: &Reach, output: Output, is_watched: bool) -> Result<bool, Error> {
    if !is_watched {
        let (verdict, _, text) = page(reach, output, None).await?;
        screen::out(&text);
        return Ok(verdict.spoken.is_healthy());
    }
    let mut interrupts = interrupts()?;
    let (mut before, mut is_healthy) = (None, false);
    loop {
        let (verdict, queues, text) = tokio::select! {
            page = page(reach, output, before.as_ref()) => page?,
            _ = interrupts.recv() => return Ok(is_healthy),
        };
        screen::page(&text);
        (before, is_healthy) = (Some(queues), verdict.spoken.is_healthy());
        if timeout(WATCH_EVERY, interrupts.recv()).await.is_ok() {
            return Ok(is_healthy);
        }
    }
}

/// One look, and how it is printed.
async fn page(reach: &Reach, output: Output, before: Option<&Queues>) -> Result<(Verdict, Queues, String), Error> {
    let cluster = reach.cluster().await?;
    let (verdict, queues) = seen(&cluster).await;
    let text = match output {
        Output::Text => format!("{}\n\n{}", print::text(&verdict), queues.text(before)),
        Output::Json => json(&verdict, &queues).to_string(),
    };
    Ok((verdict, queues, text.trim_end().to_owned()))
}

/// Verdict, nodes and queues for scripts.
pub(crate) async fn snapshot(cluster: &ClusterFile) -> serde_json::Value {
    let (verdict, queues) = seen(cluster).await;
    json(&verdict, &queues)
}

fn json(verdict: &Verdict, queues: &Queues) -> serde_json::Value {
    let mut json = print::json(verdict);
    if let Some(fields) = json.as_object_mut() {
        fields.insert("queues".to_owned(), queues.json());
    }
    json
}

/// Verdict and queues as they are now.
pub(crate) async fn seen(cluster: &ClusterFile) -> (Verdict, Queues) {
    let verdict = over(cluster).await;
    let queues = Queues::look(cluster.of(Kind::Queue), &verdict.views).await;
    (verdict, queues)
}

/// Prints verdict and reasons; `true` if healthy.
pub(crate) async fn health(reach: &Reach) -> Result<bool, Error> {
    let verdict = over(&reach.cluster().await?).await;
    screen::out(&print::head(&verdict));
    Ok(verdict.spoken.is_healthy())
}

/// The verdict on the cluster as it is now.
pub(crate) async fn look(folder: &Folder) -> Result<Verdict, Error> {
    Ok(over(&folder.cluster()?).await)
}

async fn over(cluster: &ClusterFile) -> Verdict {
    let (queue, app) = join(admin::look(cluster.of(Kind::Queue)), admin::look(cluster.of(Kind::App))).await;
    Verdict::over(&[("queue", queue), ("app", app)])
}

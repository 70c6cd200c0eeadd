//! The process: reads its command line, logs to stderr, runs a node, ends on SIGTERM or Ctrl-C.
//!
//! Must never: hold logic; [`redpacket_app::run`] does.

use std::process::ExitCode;

use clap::Parser as _;
use redpacket_app::{Config, Recover};
use tokio::signal::unix::{SignalKind, signal};
use tracing_subscriber::EnvFilter;

#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

#[tokio::main]
async fn main() -> ExitCode {
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new("info,openraft=warn"));
    tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr).with_ansi(false).init();
    if let Some(asked) = Recover::asked() {
        return redpacket_app::recover(&asked).await.into();
    }
    match redpacket_app::run(Config::parse(), asked_to_stop()).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            tracing::error!(%error, "the node has ended");
            // At once: a runtime that is dropped waits for work that waits for a disk.
            std::process::exit(error.exit_code().into())
        }
    }
}

/// Completes on SIGTERM or Ctrl-C.
async fn asked_to_stop() {
    let terminated = async {
        match signal(SignalKind::terminate()) {
            Ok(mut terminate) => {
                terminate.recv().await;
            }
            Err(error) => {
                tracing::warn!(%error, "SIGTERM cannot be heard");
                std::future::pending::<()>().await;
            }
        }
    };
    tokio::select! {
        () = terminated => {}
        _ = tokio::signal::ctrl_c() => {}
    }
}

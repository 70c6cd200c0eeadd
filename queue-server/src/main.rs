//! `queue-server`: one node of the queue.

use std::process::ExitCode;

use clap::Parser as _;
use queue_server::Recover;
use queue_server::config::Config;

#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

fn main() -> ExitCode {
    tracing_subscriber::fmt()
        .with_env_filter(
            tracing_subscriber::EnvFilter::try_from_default_env().unwrap_or_else(|_| "info,openraft=error".into()),
        )
        .with_writer(std::io::stderr)
        .init();
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => {
            tracing::error!(%error, "the runtime does not start");
            return ExitCode::FAILURE;
        }
    };
    if let Some(asked) = Recover::asked() {
        return runtime.block_on(queue_server::recover(&asked)).into();
    }
    match runtime.block_on(queue_server::run(Config::parse())) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            tracing::error!(%error, "the node ends");
            // At once: a runtime that is dropped waits for work that waits for a disk.
            std::process::exit(error.exit_code().into())
        }
    }
}

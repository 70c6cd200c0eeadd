//! A PostgreSQL server of our own: made in a folder, started on loopback, crashed and stopped by its process id.
//!
//! Must never: run with fsync off, or touch a server that it did not start.

use std::fs;
use std::os::unix::fs::chown;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use rustix::process::{Pid, Signal, getuid, kill_process};
use tokio::process::{Child, Command};
use tokio::time::{Instant, sleep};
use tokio_postgres::{Client, NoTls};

use crate::failure::Failure;

/// A server accepts within this, recovery included.
const READY_MAX: Duration = Duration::from_secs(60);
/// PostgreSQL's user with every right.
const USER: &str = "tercet";
/// Settings as in a careful installation: every commit is on disk before it is answered.
const SETTINGS: [&str; 10] = [
    "listen_addresses=127.0.0.1",
    "unix_socket_directories=",
    "fsync=on",
    "synchronous_commit=on",
    "full_page_writes=on",
    "shared_buffers=512MB",
    "max_wal_size=4GB",
    "checkpoint_timeout=15min",
    "max_connections=400",
    "max_prepared_transactions=400",
];

/// A server.
pub(crate) struct Server {
    folder: PathBuf,
    pub(crate) port: u16,
    programs: PathBuf,
    process: Option<Child>,
}

/// Where PostgreSQL's programs are.
fn programs() -> Result<PathBuf, Failure> {
    let versions = fs::read_dir("/usr/lib/postgresql").into_iter().flatten().flatten();
    let mut found: Vec<PathBuf> = versions.map(|version| version.path().join("bin")).collect();
    found.sort();
    found.extend(std::env::var_os("PATH").iter().flat_map(std::env::split_paths));
    let has = |folder: &PathBuf| folder.join("postgres").is_file() && folder.join("initdb").is_file();
    let missing = || Failure::program("postgres", "is missing: sudo apt-get install -y postgresql");
    found.into_iter().find(has).ok_or_else(missing)
}

/// The user and group that a server runs as: PostgreSQL refuses root.
fn servant() -> Option<(u32, u32)> {
    if !getuid().is_root() {
        return None;
    }
    let users = fs::read_to_string("/etc/passwd").ok()?;
    let find = |name: &str| {
        let mut fields = users.lines().find(|line| line.starts_with(&format!("{name}:")))?.split(':').skip(2);
        Some((fields.next()?.parse().ok()?, fields.next()?.parse().ok()?))
    };
    find("postgres").or_else(|| find("nobody"))
}

fn command(program: &Path) -> Command {
    let mut command = Command::new(program);
    if let Some((user, group)) = servant() {
        command.uid(user).gid(group);
    }
    command.current_dir("/").stdin(Stdio::null()).kill_on_drop(true);
    command
}

impl Server {
    /// Makes a database cluster in `folder` and starts it.
    pub(crate) async fn create(folder: &Path) -> Result<Self, Failure> {
        let programs = programs()?;
        fs::create_dir_all(folder)?;
        if let Some((user, group)) = servant() {
            chown(folder, Some(user), Some(group))?;
        }
        let mut initdb = command(&programs.join("initdb"));
        initdb.arg("-D").arg(folder.join("data")).args(["-A", "trust", "-U", USER, "--no-sync"]);
        let made = initdb.output().await?;
        if !made.status.success() {
            return Err(Failure::program("initdb", String::from_utf8_lossy(&made.stderr)));
        }
        let port = std::net::TcpListener::bind("127.0.0.1:0")?.local_addr()?.port();
        let mut server = Self { folder: folder.to_owned(), port, programs, process: None };
        server.start().await?;
        Ok(server)
    }

    /// Starts it on its data, and waits until it answers.
    pub(crate) async fn start(&mut self) -> Result<(), Failure> {
        let log = fs::File::options().create(true).append(true).open(self.folder.join("log"))?;
        let mut postgres = command(&self.programs.join("postgres"));
        postgres.arg("-D").arg(self.folder.join("data")).arg("-p").arg(self.port.to_string());
        for setting in SETTINGS {
            postgres.arg("-c").arg(setting);
        }
        self.process = Some(postgres.stdout(log.try_clone()?).stderr(log).spawn()?);
        let until = Instant::now() + READY_MAX;
        while let Err(failure) = self.connect().await {
            if Instant::now() > until {
                return Err(failure);
            }
            sleep(Duration::from_millis(50)).await;
        }
        Ok(())
    }

    /// Ends it at once, as a crash does: nothing is flushed, and the next start recovers from the log.
    pub(crate) async fn crash(&mut self) {
        self.end(Signal::QUIT).await;
    }

    /// Stops it.
    pub(crate) async fn stop(&mut self) {
        self.end(Signal::INT).await;
    }

    async fn end(&mut self, signal: Signal) {
        let Some(mut process) = self.process.take() else { return };
        let pid = process.id().and_then(|pid| Pid::from_raw(i32::try_from(pid).unwrap_or_default()));
        if let Some(pid) = pid {
            // It may have ended by itself.
            let _ = kill_process(pid, signal);
        }
        let _ = process.wait().await;
    }

    pub(crate) async fn connect(&self) -> Result<Client, Failure> {
        connect(self.port).await
    }

    /// A program of PostgreSQL's that talks to this server.
    pub(crate) fn program(&self, name: &str) -> Command {
        let mut command = Command::new(self.programs.join(name));
        command.env("PGHOST", "127.0.0.1").env("PGPORT", self.port.to_string());
        command.env("PGUSER", USER).env("PGDATABASE", "postgres");
        command
    }
}

fn address(port: u16) -> String {
    format!("host=127.0.0.1 port={port} user={USER} dbname=postgres connect_timeout=5")
}

/// A connection to the server on `port`.
pub(crate) async fn connect(port: u16) -> Result<Client, Failure> {
    let (client, connection) = tokio_postgres::connect(&address(port), NoTls).await?;
    // It ends with the client; what it fails with, the client's calls say.
    tokio::spawn(async move { drop(connection.await) });
    Ok(client)
}

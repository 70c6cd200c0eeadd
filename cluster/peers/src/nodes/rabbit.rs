//! RabbitMQ brokers: three Erlang nodes, with an epmd of their own, that know nothing of the machine's own service.
//!
//! Must never: touch the service that a package may have installed, or its files.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use tokio::time::{Instant, sleep};

use super::listens;
use super::process::Processes;
use crate::error::Error;
use crate::limits::{NODES, POLL_PAUSE, READY_MAX};

/// Three brokers.
pub(super) struct Nodes<'a> {
    pub(super) scripts: &'a Path,
    pub(super) folder: &'a Path,
    pub(super) base_port: u16,
}

fn name(node: usize) -> String {
    format!("n{}@localhost", node + 1)
}

impl Nodes<'_> {
    fn client_port(&self, node: usize) -> u16 {
        self.base_port + u16::try_from(node).unwrap_or(0)
    }

    fn log(&self, node: usize) -> PathBuf {
        self.folder.join(format!("n{}.log", node + 1))
    }

    fn home(&self, node: usize) -> PathBuf {
        self.folder.join(format!("n{}", node + 1))
    }

    pub(super) fn urls(&self) -> Vec<String> {
        (0..NODES).map(|node| format!("amqp://guest:guest@127.0.0.1:{}/%2f", self.client_port(node))).collect()
    }

    /// Starts epmd and the brokers. A new cluster is formed by the first one; one that was stopped comes back at once.
    pub(super) async fn launch(&self, processes: &mut Processes, is_new: bool) -> Result<Vec<u32>, Error> {
        if is_new {
            self.prepare()?;
        }
        let mut epmd = Command::new("epmd");
        epmd.args(["-port", &self.epmd_port().to_string(), "-address", "127.0.0.1"]);
        processes.spawn(&mut epmd, &self.folder.join("epmd.log"))?;
        listens(self.epmd_port(), &self.folder.join("epmd.log")).await?;
        let mut pids = Vec::new();
        for node in 0..NODES {
            // What is left of a former process must not be taken for this one.
            let _ = fs::remove_file(self.pid_file(node));
            processes.spawn(&mut self.broker(node), &self.log(node))?;
            // The script that was started carries the broker, and does not take it along when it is killed.
            let pid = self.pid(node).await?;
            processes.adopt(&[pid]);
            pids.push(pid);
            if is_new && node == 0 {
                listens(self.client_port(node), &self.log(node)).await?;
            }
        }
        for node in 0..NODES {
            listens(self.client_port(node), &self.log(node)).await?;
        }
        if is_new {
            self.all_know_each_other().await?;
        }
        Ok(pids)
    }

    fn prepare(&self) -> Result<(), Error> {
        for node in 0..NODES {
            let home = self.home(node);
            fs::create_dir_all(&home).map_err(Error::on(&home))?;
            let config = home.join("rabbitmq.conf");
            fs::write(&config, self.config(node)).map_err(Error::on(&config))?;
        }
        let plugins = self.folder.join("enabled_plugins");
        fs::write(&plugins, "[].\n").map_err(Error::on(&plugins))?;
        let cookie = self.folder.join(".erlang.cookie");
        fs::write(&cookie, format!("{:016X}", rand::random::<u64>())).map_err(Error::on(&cookie))?;
        // Erlang refuses a cookie that others may read.
        let own = std::os::unix::fs::PermissionsExt::from_mode(0o400);
        fs::set_permissions(&cookie, own).map_err(Error::on(&cookie))
    }

    fn config(&self, node: usize) -> String {
        let mut lines = vec![
            format!("listeners.tcp.1 = 127.0.0.1:{}", self.client_port(node)),
            "num_acceptors.tcp = 4".to_owned(),
            "vm_memory_high_watermark.absolute = 6GB".to_owned(),
            "disk_free_limit.absolute = 1GB".to_owned(),
            "log.file.level = warning".to_owned(),
            "cluster_partition_handling = ignore".to_owned(),
            "cluster_formation.peer_discovery_backend = classic_config".to_owned(),
        ];
        lines.extend(
            (0..NODES).map(|node| format!("cluster_formation.classic_config.nodes.{} = {}", node + 1, name(node))),
        );
        lines.join("\n") + "\n"
    }

    fn epmd_port(&self) -> u16 {
        self.base_port + 6
    }

    fn pid_file(&self, node: usize) -> PathBuf {
        self.home(node).join("pid")
    }

    /// A script of RabbitMQ's in an environment that hides the machine's own service.
    fn script(&self, script: &str) -> Command {
        let mut command = Command::new(self.scripts.join(script));
        command
            .env("HOME", self.folder)
            .env("ERL_EPMD_PORT", self.epmd_port().to_string())
            .env("ERL_EPMD_ADDRESS", "127.0.0.1")
            .env("RABBITMQ_CONF_ENV_FILE", "/dev/null")
            .env("RABBITMQ_ENABLED_PLUGINS_FILE", self.folder.join("enabled_plugins"))
            .env("RABBITMQ_CTL_DIST_PORT_MIN", (self.base_port + 7).to_string())
            .env("RABBITMQ_CTL_DIST_PORT_MAX", (self.base_port + 17).to_string());
        command
    }

    fn broker(&self, node: usize) -> Command {
        let (home, mut command) = (self.home(node), self.script("rabbitmq-server"));
        command
            .env("RABBITMQ_NODENAME", name(node))
            .env("RABBITMQ_NODE_PORT", self.client_port(node).to_string())
            .env("RABBITMQ_NODE_IP_ADDRESS", "127.0.0.1")
            .env("RABBITMQ_DIST_PORT", (self.client_port(node) + 3).to_string())
            .env("RABBITMQ_CONFIG_FILE", home.join("rabbitmq.conf"))
            .env("RABBITMQ_MNESIA_BASE", home.join("mnesia"))
            .env("RABBITMQ_LOG_BASE", home.join("log"))
            .env("RABBITMQ_PID_FILE", self.pid_file(node))
            .env("RABBITMQ_FEATURE_FLAGS_FILE", home.join("feature_flags"))
            .env("RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS", "-kernel inet_dist_use_interface {127,0,0,1}");
        command
    }

    /// The broker's process, as it says itself.
    async fn pid(&self, node: usize) -> Result<u32, Error> {
        let deadline = Instant::now() + READY_MAX;
        while Instant::now() < deadline {
            let said = fs::read_to_string(self.pid_file(node)).unwrap_or_default();
            if let Ok(pid) = said.trim().parse() {
                return Ok(pid);
            }
            sleep(POLL_PAUSE).await;
        }
        Err(Error::NotReady { what: name(node), log: self.log(node) })
    }

    /// A queue that is declared before all three have met has fewer members.
    async fn all_know_each_other(&self) -> Result<(), Error> {
        let mut ask = self.script("rabbitmqctl");
        ask.args(["-n", &name(0), "await_online_nodes", &NODES.to_string(), "-t", &READY_MAX.as_secs().to_string()]);
        ask.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        let path = self.scripts.join("rabbitmqctl");
        let status = tokio::process::Command::from(ask).status().await.map_err(Error::on(&path))?;
        if status.success() {
            return Ok(());
        }
        Err(Error::NotReady { what: "the cluster of three".to_owned(), log: self.log(0) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_broker_listens_on_loopback_and_hides_the_machines_own_service() {
        let nodes = Nodes { scripts: Path::new("/bin"), folder: Path::new("/data"), base_port: 21_000 };
        assert!(nodes.config(1).starts_with("listeners.tcp.1 = 127.0.0.1:21001\n"));
        assert!(nodes.config(1).ends_with("classic_config.nodes.3 = n3@localhost\n"));
        let broker = nodes.broker(2);
        let environment = |wanted: &str| {
            let found = broker.get_envs().find(|(name, _)| *name == wanted).and_then(|(_, value)| value);
            found.map(|value| value.to_string_lossy().into_owned()).unwrap_or_default()
        };
        assert_eq!(environment("RABBITMQ_CONF_ENV_FILE"), "/dev/null");
        assert_eq!(environment("RABBITMQ_DIST_PORT"), "21005");
        assert_eq!(environment("RABBITMQ_MNESIA_BASE"), "/data/n3/mnesia");
    }
}

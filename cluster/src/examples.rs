//! Examples: what the help of each verb ends with.
//!
//! Why in one table: a test parses every one of them, and finds a verb that has none.
//!
//! Must never: show a line that is not understood.

use clap::Command;

/// Verbs and their examples; those of a verb with particulars of its own stand with the verb.
const EXAMPLES: [(&str, &[&str]); 51] = [
    ("up", &["up --dir /tmp/evening --app", "up --dir /tmp/sealed --tls --keys", "up --dir /tmp/five --nodes 5"]),
    ("kill", &["kill --dir /tmp/evening leader", "kill --dir /tmp/evening 2 --signal STOP"]),
    ("start", &["start --dir /tmp/evening 2"]),
    ("down", &["down --dir /tmp/evening"]),
    ("status", &["status --dir /tmp/evening", "status --at 10.0.0.1:7101 --watch", "status --context prod -o json"]),
    ("health", &["health --at 10.0.0.1:7101"]),
    ("add", &["add --dir /tmp/evening", "add --at 10.0.0.1:7101 --as 4 --grpc 10.0.0.4:7101 --learner"]),
    ("promote", &["promote --at 10.0.0.1:7101 4"]),
    ("remove", &["remove --at 10.0.0.1:7101 2"]),
    ("replace", &["replace --dir /tmp/evening 2", "replace --at 10.0.0.1:7101 2 --as 6 --grpc 10.0.0.6:7101"]),
    ("transfer", &["transfer --at 10.0.0.1:7101 1 3", "transfer --dir /tmp/evening 1"]),
    ("rebalance", &["rebalance --at 10.0.0.1:7101"]),
    ("safe-to-stop", &["safe-to-stop --at 10.0.0.1:7101 --wait 300 2"]),
    ("drain", &["drain --at 10.0.0.1:7101 2"]),
    ("revive", &["revive --at 10.0.0.1:7101 2"]),
    ("audit", &["audit --dir /tmp/evening", "audit --dir /tmp/evening -o json"]),
    ("parked list", &["parked list --dir /tmp/evening"]),
    ("parked retry", &["parked retry --dir /tmp/evening 1 77"]),
    ("switch lists", &["switch lists --dir /tmp/evening off"]),
    ("switch grabs", &["switch grabs --dir /tmp/evening 100", "switch grabs --dir /tmp/evening all"]),
    ("switch credits", &["switch credits --dir /tmp/evening queued", "switch credits --dir /tmp/evening direct"]),
    ("switch show", &["switch show --dir /tmp/evening"]),
    ("keys create", &["keys create --at 10.0.0.1:7101 --key ops.key --grant orders*=send,receive"]),
    ("keys list", &["keys list --at 10.0.0.1:7101 --key ops.key"]),
    ("keys rotate", &["keys rotate --at 10.0.0.1:7101 AKIDx --overlap-s 3600"]),
    ("keys grant", &["keys grant --at 10.0.0.1:7101 AKIDx --grant orders=send"]),
    ("keys revoke", &["keys revoke --at 10.0.0.1:7101 AKIDx"]),
    ("certs init", &["certs init --out ca"]),
    (
        "certs issue",
        &["certs issue --ca ca --out q2 --node 2 --host 10.0.0.2", "certs issue --ca ca --out ops --client ops"],
    ),
    ("certs show", &["certs show q2"]),
    ("verify", &["verify --at 10.0.0.1:7101"]),
    ("backup", &["backup --at 10.0.0.1:7101 --out /backup/monday"]),
    ("recover", &["recover --data /var/lib/tercet/queue", "recover --dir /tmp/evening 3 --yes"]),
    ("lift", &["lift --dir /tmp/evening", "lift --at 10.0.0.3:8101"]),
    (
        "queue create",
        &["queue create --dir /tmp/evening orders --retention-s 86400 --dead-letter dead --dead-letter-after 5"],
    ),
    ("queue edit", &["queue edit --at 10.0.0.1:7101 orders --trace true"]),
    ("queue list", &["queue list --at 10.0.0.1:7101", "queue list --at 10.0.0.1:7101 order"]),
    ("queue show", &["queue show --at 10.0.0.1:7101 orders"]),
    ("queue delete", &["queue delete --at 10.0.0.1:7101 orders --yes orders"]),
    ("queue peek", &["queue peek --at 10.0.0.1:7101 orders --state leased --limit 5"]),
    (
        "queue move",
        &["queue move --at 10.0.0.1:7101 orders --to 2 --wait", "queue move --at 10.0.0.1:7101 orders --look"],
    ),
    ("queue purge", &["queue purge --at 10.0.0.1:7101 orders --yes orders"]),
    ("queue rewind", &["queue rewind --at 10.0.0.1:7101 orders --to-ms 1767225600000"]),
    ("queue redrive", &["queue redrive --at 10.0.0.1:7101 dead --to orders --rate 10 --dry-run"]),
    ("queue explain", &["queue explain --at 10.0.0.1:7101 orders 7"]),
    ("topic create", &["topic create --at 10.0.0.1:7101 news --routing"]),
    ("topic list", &["topic list --at 10.0.0.1:7101"]),
    ("topic show", &["topic show --at 10.0.0.1:7101 news"]),
    ("topic delete", &["topic delete --at 10.0.0.1:7101 news"]),
    ("context", &["context set prod --at 10.0.0.1:7101 --certs ops --key ops.key", "context use prod", "context list"]),
    ("bundle", &["bundle --at 10.0.0.1:7101 --out fault.json"]),
];

/// The command, whose verbs all end their help with examples.
pub(crate) fn with_examples(command: Command) -> Command {
    put(command, "")
}

fn put(command: Command, path: &str) -> Command {
    command.mut_subcommands(|verb| {
        let path = format!("{path} {}", verb.get_name()).trim_start().to_owned();
        let verb = match EXAMPLES.iter().find(|(of, _)| *of == path) {
            Some((_, lines)) => verb.after_help(text(lines)),
            None => verb,
        };
        put(verb, &path)
    })
}

fn text(lines: &[&str]) -> String {
    let word = if lines.len() == 1 { "Example:" } else { "Examples:" };
    lines.iter().fold(word.to_owned(), |text, line| format!("{text}\n  cluster {line}"))
}

#[cfg(test)]
mod tests {
    use clap::{CommandFactory as _, Parser as _};

    use super::*;
    use crate::args::Args;

    #[test]
    fn every_example_is_understood() {
        for line in EXAMPLES.iter().flat_map(|(_, lines)| lines.iter()) {
            let words = std::iter::once("cluster").chain(line.split_whitespace());
            if let Err(error) = Args::try_parse_from(words) {
                panic!("{line}: {error}");
            }
        }
    }

    /// Verbs whose help, and that of whatever they stand under, shows no example.
    fn bare(command: &Command, path: &str, above: bool) -> Vec<String> {
        let mut found = Vec::new();
        for verb in command.get_subcommands() {
            let path = format!("{path} {}", verb.get_name());
            let has = above || verb.get_after_help().is_some_and(|help| help.to_string().contains("Example"));
            if verb.has_subcommands() {
                found.extend(bare(verb, &path, has));
            } else if !has {
                found.push(path);
            }
        }
        found
    }

    #[test]
    fn the_help_of_every_verb_ends_with_examples() {
        let command = with_examples(Args::command());
        assert_eq!(
            bare(&command, "", false),
            [" completion", " manual", " sim"],
            "they have one argument at most, and say what it is"
        );
    }
}

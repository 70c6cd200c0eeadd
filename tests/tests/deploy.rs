//! What is deployed stands as it is documented: units, package, manifests, dashboard, and the page of flags.
//!
//! Why here: none of it is compiled, and each names flags, metrics and paths that code may change under it.
//!
//! Must never: pass because a tool is missing, where a look of our own would do.

mod deploy {
    pub(crate) mod look;
}

use std::collections::BTreeSet;
use std::io::{Read as _, Write as _};
use std::process::{Command, Stdio};

use deploy::look::{documents, flags_of, is_there, metrics_named, read, root, service_of, systemd_keys};
use serde_json::Value;
use tests::local::binary;

#[test]
fn every_flag_is_documented_with_its_default() {
    let page = read("docs/operations.md");
    for name in ["queue-server", "redpacket-app"] {
        for (flag, default) in flags_of(&binary(name)) {
            let row = page.lines().find(|line| line.contains(&format!("`{flag}`")) && line.starts_with('|'));
            let row = row.unwrap_or_else(|| panic!("docs/operations.md has no row for {name} {flag}"));
            if let Some(default) = default {
                assert!(row.contains(&default), "{name} {flag}: its default is {default}, the page says: {row}");
            }
        }
    }
}

#[test]
fn units_name_flags_that_there_are_and_keys_that_systemd_knows() {
    for (unit, environment, name) in [
        ("deploy/systemd/tercet-queue.service", "deploy/systemd/queue.env", "queue-server"),
        ("deploy/systemd/tercet-app.service", "deploy/systemd/app.env", "redpacket-app"),
    ] {
        let known: BTreeSet<String> = flags_of(&binary(name)).into_iter().map(|(flag, _)| flag).collect();
        let flags = read(environment);
        for word in flags.split_whitespace().filter_map(|word| word.rsplit_once("=--").map_or(Some(word), |_| None)) {
            assert!(!word.starts_with("--") || known.contains(word), "{environment}: {name} has no {word}");
        }
        let text = read(unit);
        let keys = systemd_keys(&text);
        for must in ["ExecStart", "User", "EnvironmentFile", "Restart", "RestartPreventExitStatus", "ProtectSystem"] {
            assert!(keys.contains(must), "{unit} lacks {must}");
        }
    }
    assert!(read("deploy/systemd/tercet-queue.service").contains("cluster safe-to-stop"));
}

#[test]
fn systemd_takes_the_units() {
    if !is_there("systemd-analyze") {
        eprintln!("systemd-analyze is missing; the units' keys are looked at by another test");
        return;
    }
    let folder = tempfile::tempdir().expect("a temporary folder can be made");
    for unit in ["tercet-queue.service", "tercet-app.service"] {
        // The binaries lie where the package puts them; here any program will do.
        let text = service_of(&read(&format!("deploy/systemd/{unit}")));
        let path = folder.path().join(unit);
        std::fs::write(&path, text).expect("the unit can be written");
        let output = Command::new("systemd-analyze").arg("verify").arg("--man=no").arg(&path).output();
        let output = output.expect("systemd-analyze runs");
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        let ours: Vec<&str> = said.lines().filter(|line| line.contains(unit) && line.contains(':')).collect();
        assert!(ours.iter().all(|line| !line.contains("Unknown") && !line.contains("Failed to parse")), "{ours:?}");
    }
}

#[test]
fn the_package_holds_binaries_units_and_pages() {
    if !is_there("dpkg-deb") {
        eprintln!("dpkg-deb is missing; the package is not built here");
        return;
    }
    let out = tempfile::tempdir_in("/var/tmp").expect("a temporary folder can be made");
    let binaries = binary("cluster").parent().expect("a binary lies in a folder").to_owned();
    let built = Command::new(root().join("deploy/debian/build")).arg(&binaries).arg(out.path()).output();
    let built = built.expect("the script runs");
    assert!(built.status.success(), "{}", String::from_utf8_lossy(&built.stderr));
    let package = std::fs::read_dir(out.path()).expect("it is there").next().expect("a package").expect("its name");
    let listed = Command::new("dpkg-deb").arg("--contents").arg(package.path()).output().expect("dpkg-deb runs");
    let listed = String::from_utf8_lossy(&listed.stdout).into_owned();
    for path in [
        "./usr/bin/queue-server",
        "./usr/bin/redpacket-app",
        "./usr/bin/cluster",
        "./lib/systemd/system/tercet-queue.service",
        "./lib/systemd/system/tercet-app.service",
        "./etc/tercet/queue.env",
        "./usr/share/doc/tercet/operations.md",
        "./usr/share/doc/tercet/copyright",
        "./usr/share/bash-completion/completions/cluster",
        "./usr/share/man/man1/cluster.1.gz",
    ] {
        assert!(listed.contains(path), "{path} is not in the package:\n{listed}");
    }
}

#[test]
fn the_manual_tells_the_verbs_and_exit_codes_of_the_operators_page() {
    let manual = Command::new(binary("cluster")).arg("manual").output().expect("the command runs");
    assert!(manual.status.success());
    let manual = String::from_utf8(manual.stdout).expect("UTF-8").replace("\\-", "-");
    let codes = manual.split(".SH EXIT CODES").nth(1).and_then(|rest| rest.split(".SH").next()).expect("exit codes");
    for code in 0..=3 {
        assert!(codes.contains(&format!("\n  {code}  ")), "{codes}");
    }
    let page = read("docs/operations.md");
    let named = page.split("`cluster ").skip(1).filter_map(|rest| rest.split([' ', '`']).next());
    for verb in named.filter(|verb| verb.chars().all(|c| c.is_ascii_lowercase() || c == '-')) {
        assert!(manual.contains(&format!("\n.SS cluster {verb}")), "the manual has no {verb}");
    }
    if is_there("groff") {
        let mut groff = Command::new("groff")
            .args(["-man", "-Tascii", "-ww", "-z"])
            .stdin(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn();
        let groff = groff.as_mut().expect("groff runs");
        groff.stdin.take().expect("its input").write_all(manual.as_bytes()).expect("it reads");
        let mut said = String::new();
        groff.stderr.take().expect("its words").read_to_string(&mut said).expect("UTF-8");
        assert!(groff.wait().expect("it ends").success() && said.is_empty(), "{said}");
    }
}

#[test]
fn the_manifests_keep_a_majority_and_probe_what_there_is() {
    let text = read("deploy/kubernetes/queue.yaml");
    let kinds: Vec<String> = documents(&text).iter().map(|(kind, _)| kind.clone()).collect();
    let set = "StatefulSet";
    assert_eq!(kinds, ["Service", "Service", "PodDisruptionBudget", set, set, set]);
    let of = |wanted: &str| documents(&text).into_iter().find(|(kind, _)| kind == wanted).expect("it is there").1;
    assert!(of("PodDisruptionBudget").contains("maxUnavailable: 1"));
    let set = of("StatefulSet");
    for must in [
        "replicas: 1",
        "type: OnDelete",
        "path: /healthz",
        "path: /readyz",
        "safe-to-stop",
        "volumeClaimTemplates",
        "serviceName:",
    ] {
        assert!(set.contains(must), "the StatefulSet lacks {must}");
    }
    // A pod mounts the certificate and the key pair of its own node and of no other, and starts without the operator's.
    let sets = documents(&text).into_iter().filter(|(kind, _)| kind == "StatefulSet").map(|(_, set)| set);
    for (node, set) in (1..).zip(sets) {
        let secrets = set.split("secretName: ").skip(1).filter_map(|rest| rest.split([',', '}']).next());
        let secrets: Vec<&str> = secrets.collect();
        let own = ["key", "tls"].map(|what| format!("tercet-queue-{node}-{what}"));
        assert_eq!(secrets, ["tercet-operator", &own[0], &own[1]]);
        for optional in ["tercet-operator", &own[0]] {
            assert!(set.contains(&format!("{{secretName: {optional}, optional: true}}")), "{optional} may be missing");
        }
        assert!(set.contains("/run/tercet/pod.key") && !set.contains("> /var/lib/tercet"), "none on the disk");
        assert!(set.contains(&format!("--node {node} ")) && set.contains(&format!("name: tercet-queue-{node}\n")));
    }
    if is_there("python3") {
        let check = Command::new(root().join("deploy/kubernetes/generate")).arg("--check").output();
        let check = check.expect("it runs");
        assert!(check.status.success(), "{}", String::from_utf8_lossy(&check.stderr));
    }
    let known: BTreeSet<String> = flags_of(&binary("queue-server")).into_iter().map(|(flag, _)| flag).collect();
    let start = set.split("exec queue-server").nth(1).and_then(|rest| rest.split("env:").next()).expect("a start");
    for word in start.split_whitespace().filter(|word| word.starts_with("--")) {
        assert!(known.contains(word), "queue-server has no {word}");
    }
    // The wait before a stop ends before the pod is killed.
    let number = |name: &str| {
        let rest = set.split(name).nth(1).expect("it is there");
        rest.split_whitespace().next().and_then(|word| word.parse::<u32>().ok()).expect("a number")
    };
    assert!(number("--wait") + 20 <= number("terminationGracePeriodSeconds:"));
    let container = read("deploy/container/Containerfile");
    assert!(container.contains("USER 10001") && set.contains("runAsUser: 10001"), "one user in image and pod");
    assert!(container.contains("HEALTHCHECK") || set.contains("livenessProbe"));
}

#[test]
fn dashboard_and_alerts_stand_as_they_are_generated() {
    let boards = ["dashboard.json", "app.json"].map(|name| read(&format!("deploy/grafana/{name}")));
    for board in &boards {
        let board: Value = serde_json::from_str(board).expect("JSON");
        let panels = board["panels"].as_array().expect("panels");
        assert!(panels.iter().all(|panel| panel["targets"].as_array().is_some_and(|targets| !targets.is_empty())));
    }
    let alerts: Value = serde_json::from_str(&read("deploy/grafana/alerts.json")).expect("JSON");
    let groups = alerts["groups"].as_array().expect("groups of rules");
    assert_eq!(groups.len(), 2, "of the queue and of the app");
    for rule in groups.iter().flat_map(|group| group["rules"].as_array().expect("rules")) {
        for field in ["alert", "expr", "for"] {
            assert!(rule[field].is_string(), "{rule} lacks {field}");
        }
        assert!(rule["labels"]["severity"].is_string() && rule["annotations"]["summary"].is_string(), "{rule}");
    }
    let documented = read("queue-server/src/doors/http/metrics.rs");
    let names = metrics_named(&(boards.concat() + &alerts.to_string()));
    // The app's have a table of their own, and a test beside its doors.
    for name in names.iter().filter(|name| !name.starts_with("tercet_app_")) {
        assert!(is_documented(&documented, name), "{name} is not documented in metrics.rs");
    }
    if is_there("python3") {
        let check = Command::new(root().join("deploy/grafana/generate")).arg("--check").output().expect("it runs");
        assert!(check.status.success(), "{}", String::from_utf8_lossy(&check.stderr));
    }
}

/// Whether a metric stands in the table, where a family's later members are written by their ends.
fn is_documented(table: &str, name: &str) -> bool {
    let rows = table.lines().filter(|line| line.starts_with("//! | `"));
    rows.filter_map(|row| row.split('|').nth(1)).any(|cell| {
        let words: Vec<&str> = cell.split('`').skip(1).step_by(2).collect();
        let first = words.first().and_then(|word| word.split('{').next()).unwrap_or_default();
        let family = first.split('_').take(2).collect::<Vec<_>>().join("_");
        words
            .iter()
            .map(|word| word.split('{').next().unwrap_or(word))
            .any(|word| if word.starts_with('_') { format!("{family}{word}") == name } else { word == name })
    })
}

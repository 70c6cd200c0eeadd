//! Renewing: certificates that end soon are issued anew, under the same names; and how long those of nodes still last.
//!
//! ```text
//!  cluster certs renew --ca ca q1 q2 ops       folders that this command wrote
//!  cluster certs renew --dir D                 all of a local cluster
//!  cluster certs status --at 10.0.0.1:7101     what the nodes say; exit 1 if one ends soon
//! ```
//!
//! Must never: give a name to whoever had it not.

use std::fs;
use std::path::{Path, PathBuf};

use tls::{CERTIFICATE_FILE, Keeper, Name};

use super::make::{Authority, Issue, NAMES_FILE};
use super::{CERTIFICATE_DAYS, house};
use crate::error::Error;
use crate::file::{Folder, Kind};
use crate::reach::Reach;
use crate::screen;
use crate::status;

const DAY_S: u64 = 86_400;

/// Days that the certificate of a folder still lasts. `None`: it is not good.
fn days_left(folder: &Path) -> Option<u64> {
    Keeper::open(folder, None).ok().map(|keeper| keeper.standing().own_seconds_left / DAY_S)
}

/// Whether a folder has to be issued anew: its certificate is not good, or lasts less than so many days.
pub(super) fn is_due(folder: &Path, within_days: u64) -> bool {
    // Authorities alone are no certificate, though a client may be content with them.
    !folder.join(CERTIFICATE_FILE).exists() || days_left(folder).is_none_or(|left| left < within_days)
}

/// Issues anew, under the names that it was issued for. Answers: whether it had to be.
pub(super) fn renew_one(authority: &Authority, folder: &Path, within_days: u64) -> Result<bool, Error> {
    if !is_due(folder, within_days) {
        return Ok(false);
    }
    let path = folder.join(NAMES_FILE);
    let text = fs::read_to_string(&path).map_err(Error::on(&path))?;
    let mut lines = text.lines();
    let name = lines.next().and_then(Name::read);
    let name = name.ok_or_else(|| Error::Impossible(format!("{}: its first line is no name", path.display())))?;
    let hosts: Vec<String> = lines.map(str::to_owned).collect();
    authority.issue(folder, &Issue { name: &name, hosts: &hosts, days: CERTIFICATE_DAYS })?;
    Ok(true)
}

/// Renews folders, or all of a local cluster.
pub(super) fn renew(
    ca: Option<&Path>,
    folders: &[PathBuf],
    local: Option<&Folder>,
    within_days: u64,
) -> Result<bool, Error> {
    let (authority, folders) = match (ca, local) {
        (Some(ca), _) => (Authority::open(ca)?, folders.to_vec()),
        (None, Some(local)) => (Authority::open(&local.authority())?, local_folders(local)?),
        (None, None) => return Err(Error::Impossible("name an authority, or a local cluster".to_owned())),
    };
    for folder in &folders {
        let done = renew_one(&authority, folder, within_days)?;
        let left = days_left(folder).unwrap_or_default();
        let word = if done { "renewed, good" } else { "good" };
        screen::out(&format!("{}: {word} for {left} days", folder.display()));
    }
    Ok(true)
}

fn local_folders(local: &Folder) -> Result<Vec<PathBuf>, Error> {
    let cluster = local.cluster()?;
    let nodes = [Kind::Queue, Kind::App].into_iter().flat_map(|kind| cluster.of(kind));
    let folders = nodes.map(|node| local.certs(&node.node)).chain([local.operator_certs()]);
    Ok(folders.filter(|folder| folder.exists()).collect())
}

/// What the nodes say of their certificates; `true` if each, and its authority, lasts for so many days.
pub(super) async fn status(reach: &Reach, within_days: u64) -> Result<bool, Error> {
    let (verdict, _) = status::seen(&reach.cluster().await?).await;
    let mut is_good = true;
    for view in &verdict.views {
        let line = match view.answer.as_ref().map(|status| status.certificate.as_ref()) {
            Err(reason) => {
                is_good = false;
                reason.clone()
            }
            Ok(None) => "has no certificate".to_owned(),
            Ok(Some(certificate)) => {
                let days = [certificate.seconds_left, certificate.authority_seconds_left].map(|left| left / DAY_S);
                is_good &= days.iter().all(|days| *days >= within_days) && certificate.trouble.is_empty();
                let trouble =
                    if certificate.trouble.is_empty() { String::new() } else { format!("; {}", certificate.trouble) };
                format!("good for {} days, its authority for {}{trouble}", days[0], days[1])
            }
        };
        screen::out(&format!("node {}: {line}", view.node));
    }
    Ok(is_good)
}

/// The certificates of `name` in a folder of a local cluster, issued if they are not there, not whole, or end soon.
pub(super) fn issue_local(local: &Folder, out: &Path, name: &Name) -> Result<(), Error> {
    if !is_due(out, LOCAL_DAYS_MIN) {
        return Ok(());
    }
    let hosts = ["127.0.0.1", "::1", "localhost"].map(str::to_owned);
    Authority::open(&local.authority())?.issue(out, &Issue { name, hosts: &hosts, days: CERTIFICATE_DAYS })
}

/// A node of a local cluster starts with a certificate that lasts so long at least.
const LOCAL_DAYS_MIN: u64 = 30;

/// The name of a node in its certificate.
pub(super) fn name_of(kind: Kind, number: u64) -> Name {
    Name::node(house(kind), number)
}

#[cfg(test)]
mod tests {
    use tls::KEY_FILE;

    use super::*;

    #[test]
    fn what_ends_soon_is_issued_anew_under_its_names_and_what_lasts_is_left() {
        let folder = tempfile::tempdir().expect("a temporary folder can be made");
        let (ca, out) = (folder.path().join("ca"), folder.path().join("q2"));
        Authority::init(&ca, 3650).expect("it is made");
        let authority = Authority::open(&ca).expect("it is there");
        let (two, hosts) = (Name::node("queue", 2), ["10.0.0.2".to_owned(), "queue-2.example".to_owned()]);
        authority.issue(&out, &Issue { name: &two, hosts: &hosts, days: 10 }).expect("it is issued");
        let read = |name: &str| fs::read_to_string(out.join(name)).expect("it is there");
        let (before, names) = (read(CERTIFICATE_FILE), read(NAMES_FILE));
        assert!(!renew_one(&authority, &out, 5).expect("it lasts"));
        assert_eq!(read(CERTIFICATE_FILE), before);
        assert!(renew_one(&authority, &out, 30).expect("it is renewed"));
        assert_ne!(read(CERTIFICATE_FILE), before);
        assert_eq!(read(NAMES_FILE), names);
        assert!(Keeper::open(&out, Some(two.clone())).is_ok() && days_left(&out) > Some(300));
        // An issue that was interrupted between two files: the next one makes it whole.
        fs::remove_file(out.join(KEY_FILE)).expect("it was there");
        assert!(is_due(&out, 1) && renew_one(&authority, &out, 1).expect("it is issued"));
        assert!(Keeper::open(&out, Some(two)).is_ok());
    }
}

//! Making certificates: an authority's, and those that it signs.
//!
//! Must never: leave a half-written file, or a key that others can read.

use std::fs::{self, DirBuilder, File};
use std::io::Write as _;
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::Path;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair, KeyUsagePurpose,
    PublicKeyData as _,
};
use tls::{AUTHORITY_FILE, CERTIFICATE_FILE, KEY_FILE, Name};

use crate::error::Error;

/// The key of an authority.
const AUTHORITY_KEY_FILE: &str = "ca.key";
/// For whom a certificate was issued, a name a line: so it can be issued anew.
pub(super) const NAMES_FILE: &str = "names";
/// Clocks are not one: a certificate is good from so long ago.
const SINCE: Duration = Duration::from_secs(3600);
/// Bytes of its key by which an authority is told from another.
const MARK_BYTES: usize = 8;

/// Whether a folder holds an authority, and not what an interrupted `init` left.
pub(super) fn is_whole(folder: &Path) -> bool {
    folder.join(AUTHORITY_KEY_FILE).exists()
}

/// An authority.
pub(crate) struct Authority {
    issuer: Issuer<'static, KeyPair>,
    /// Its certificate, and those that are believed beside it (PEM).
    believed: String,
}

/// What is issued.
pub(crate) struct Issue<'a> {
    /// To whom.
    pub(crate) name: &'a Name,
    /// By what else callers dial it.
    pub(crate) hosts: &'a [String],
    /// For how long.
    pub(crate) days: u32,
}

impl Authority {
    /// Makes an authority in a folder that holds none. Errors: `Impossible`, it holds one; `Io`.
    pub(crate) fn init(folder: &Path, days: u32) -> Result<(), Error> {
        if folder.join(AUTHORITY_KEY_FILE).exists() {
            let what = format!("{}: there is an authority already; its key is not replaced", folder.display());
            return Err(Error::Impossible(what));
        }
        let key = KeyPair::generate().map_err(|error| failed(&error))?;
        let mut params = params_of(&key);
        lasts(&mut params, days);
        let certificate = params.self_signed(&key).map_err(|error| failed(&error))?;
        make_folder(folder)?;
        // The key last: without it there is no authority yet, and whoever was interrupted begins again.
        put(folder, AUTHORITY_FILE, &certificate.pem())?;
        put(folder, AUTHORITY_KEY_FILE, &key.serialize_pem())
    }

    /// Opens an authority. Errors: `Io`; `Impossible`, its key does not read.
    pub(crate) fn open(folder: &Path) -> Result<Self, Error> {
        let read = |name: &str| {
            let path = folder.join(name);
            fs::read_to_string(&path).map_err(Error::on(&path))
        };
        let key = KeyPair::from_pem(&read(AUTHORITY_KEY_FILE)?).map_err(|error| failed(&error))?;
        Ok(Self { issuer: Issuer::new(params_of(&key), key), believed: read(AUTHORITY_FILE)? })
    }

    /// Issues a certificate with a new key. Errors: `Impossible`, a name that cannot be; `Io`.
    pub(crate) fn issue(&self, folder: &Path, issue: &Issue<'_>) -> Result<(), Error> {
        if !issue.name.is_sound() {
            return Err(Error::Impossible("a client's name has lower-case letters, digits and hyphens".to_owned()));
        }
        let is_reserved = |host: &&String| host.trim_end_matches('.').to_ascii_lowercase().ends_with(".tercet");
        if let Some(host) = issue.hosts.iter().find(is_reserved) {
            let text = format!("{host}: a name of the cluster is given by --node, --app or --client alone");
            return Err(Error::Impossible(text));
        }
        let key = KeyPair::generate().map_err(|error| failed(&error))?;
        let names: Vec<String> = std::iter::once(issue.name.dns()).chain(issue.hosts.iter().cloned()).collect();
        let mut params = CertificateParams::new(names).map_err(|error| failed(&error))?;
        params.distinguished_name.push(DnType::CommonName, issue.name.to_string());
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        // A node calls others, too.
        params.extended_key_usages = match issue.name {
            Name::Node { .. } => vec![ExtendedKeyUsagePurpose::ServerAuth, ExtendedKeyUsagePurpose::ClientAuth],
            Name::Client(_) => vec![ExtendedKeyUsagePurpose::ClientAuth],
        };
        lasts(&mut params, issue.days);
        let certificate = params.signed_by(&key, &self.issuer).map_err(|error| failed(&error))?;
        let names: String = std::iter::once(issue.name.dns())
            .chain(issue.hosts.iter().cloned())
            .map(|name| format!("{name}\n"))
            .collect();
        let (key, certificate) = (key.serialize_pem(), certificate.pem());
        place(
            folder,
            &[
                (AUTHORITY_FILE, self.believed.as_str()),
                (NAMES_FILE, names.as_str()),
                (KEY_FILE, key.as_str()),
                (CERTIFICATE_FILE, certificate.as_str()),
            ],
        )
    }
}

/// What an authority is called follows from its key, so that two of them are told apart, and the key alone is enough.
fn params_of(key: &KeyPair) -> CertificateParams {
    // The first byte is the same for all.
    let mark: String = key.der_bytes().iter().skip(1).take(MARK_BYTES).map(|byte| format!("{byte:02x}")).collect();
    let mut params = CertificateParams::default();
    params.distinguished_name.push(DnType::CommonName, format!("Tercet authority {mark}"));
    params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    params
}

fn lasts(params: &mut CertificateParams, days: u32) {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    let epoch = rcgen::date_time_ymd(1970, 1, 1);
    params.not_before = epoch + now.saturating_sub(SINCE);
    params.not_after = epoch + now + Duration::from_secs(u64::from(days) * 86_400);
}

fn failed(error: &rcgen::Error) -> Error {
    Error::Impossible(error.to_string())
}

fn make_folder(folder: &Path) -> Result<(), Error> {
    DirBuilder::new().recursive(true).mode(0o700).create(folder).map_err(Error::on(folder))
}

/// Puts the files of one issue in place. A new folder comes whole, by one rename. In one that is there all are written
/// before the first is renamed: between the renames key and certificate may not fit, which a running process passes over
/// and the next issue mends.
fn place(folder: &Path, files: &[(&str, &str)]) -> Result<(), Error> {
    if folder.exists() {
        for (name, text) in files {
            write_beside(folder, name, text)?;
        }
        return files.iter().try_for_each(|(name, _)| take_in(folder, name));
    }
    let mut beside = folder.as_os_str().to_owned();
    beside.push(".new");
    let beside = Path::new(&beside);
    // What an interrupted issue left is nobody's.
    match fs::remove_dir_all(beside) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(Error::on(beside)(error)),
        Ok(()) | Err(_) => {}
    }
    make_folder(beside)?;
    files.iter().try_for_each(|(name, text)| put(beside, name, text))?;
    fs::rename(beside, folder).map_err(Error::on(folder))
}

/// Puts a file in place by rename, readable by its owner alone.
fn put(folder: &Path, name: &str, text: &str) -> Result<(), Error> {
    write_beside(folder, name, text)?;
    take_in(folder, name)
}

/// Makes the file that was written beside it the one of this name.
fn take_in(folder: &Path, name: &str) -> Result<(), Error> {
    let path = folder.join(name);
    fs::rename(folder.join(format!("{name}.new")), &path).map_err(Error::on(&path))
}

fn write_beside(folder: &Path, name: &str, text: &str) -> Result<(), Error> {
    let beside = folder.join(format!("{name}.new"));
    match fs::remove_file(&beside) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(Error::on(&beside)(error)),
        Ok(()) | Err(_) => {}
    }
    let made = File::options().write(true).create_new(true).mode(0o600).open(&beside);
    let mut file = made.map_err(Error::on(&beside))?;
    file.write_all(text.as_bytes()).and_then(|()| file.sync_all()).map_err(Error::on(&beside))
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use tls::Keeper;

    use super::*;

    #[test]
    fn what_an_authority_issues_is_good_for_whom_it_names_and_for_nobody_else() {
        let folder = tempfile::tempdir().expect("a temporary folder can be made");
        let (ca, out) = (folder.path().join("ca"), folder.path().join("q2"));
        Authority::init(&ca, 30).expect("it is made");
        assert!(Authority::init(&ca, 30).is_err(), "a key is not replaced");
        let (two, hosts) = (Name::node("queue", 2), ["127.0.0.1".to_owned(), "queue-2.example".to_owned()]);
        let authority = Authority::open(&ca).expect("it is there");
        authority.issue(&out, &Issue { name: &two, hosts: &hosts, days: 10 }).expect("it is issued");
        let keeper = Keeper::open(&out, Some(two.clone())).expect("its owner can use it");
        assert!((9 * 86_400..=10 * 86_400).contains(&keeper.standing().seconds_left));
        assert!(Keeper::open(&out, Some(Name::node("queue", 3))).is_err());
        assert!(Keeper::open(&out, Some(Name::node("app", 2))).is_err());
        for file in [ca.join(AUTHORITY_KEY_FILE), out.join(KEY_FILE)] {
            let mode = fs::metadata(&file).expect("it is there").permissions().mode() & 0o777;
            assert_eq!(mode, 0o600, "{}", file.display());
        }
        // What an interrupted issue leaves is passed over, and is no folder of certificates.
        let three = folder.path().join("q3");
        let beside = folder.path().join("q3.new");
        fs::create_dir(&beside).expect("it is made");
        fs::write(beside.join(KEY_FILE), "half").expect("it is written");
        let name = Name::node("queue", 3);
        authority.issue(&three, &Issue { name: &name, hosts: &[], days: 10 }).expect("it is issued");
        assert!(Keeper::open(&three, Some(name)).is_ok() && !beside.exists());
        // A certificate that outlives its authority is good for as long as that one is.
        authority.issue(&out, &Issue { name: &two, hosts: &[], days: 90 }).expect("it is issued again");
        let left = Keeper::open(&out, Some(two)).expect("it is good").standing().seconds_left;
        assert!(left <= 30 * 86_400, "{left}");
    }

    #[test]
    fn a_client_is_no_node_and_has_a_plain_name() {
        let folder = tempfile::tempdir().expect("a temporary folder can be made");
        let (ca, out) = (folder.path().join("ca"), folder.path().join("ops"));
        Authority::init(&ca, 30).expect("it is made");
        let authority = Authority::open(&ca).expect("it is there");
        for (name, is_good) in [("ops", true), ("Ops", false), ("", false), ("1.queue.node", false), ("a b", false)] {
            let name = Name::Client(name.to_owned());
            let issued = authority.issue(&out, &Issue { name: &name, hosts: &[], days: 1 });
            assert_eq!(issued.is_ok(), is_good, "{name}");
        }
        assert!(Keeper::open(&out, None).is_ok());
        assert!(Keeper::open(&out, Some(Name::node("queue", 1))).is_err());
    }
}

//! Who gets through a sealed door, whom a caller believes, and what new papers change.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use rcgen::{BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair};
use tempfile::TempDir;
use tls::{AUTHORITY_FILE, CERTIFICATE_FILE, Door, KEY_FILE, Keeper, Name, Protocol, TlsError, Way};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

const DEADLINE: Duration = Duration::from_secs(30);
const DAY: Duration = Duration::from_secs(86_400);

/// An authority of a test.
struct Authority {
    issuer: Issuer<'static, KeyPair>,
    pem: String,
}

impl Authority {
    fn new(name: &str) -> Self {
        let key = KeyPair::generate().expect("a key is drawn");
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.distinguished_name.push(DnType::CommonName, name);
        let pem = params.self_signed(&key).expect("it signs itself").pem();
        Self { issuer: Issuer::new(params, key), pem }
    }

    /// Writes a folder: these authorities, and a certificate of this one for `names` that lasts so long.
    fn issue(&self, folder: &Path, believed: &[&Self], names: &[&str], lasts: Duration) {
        let key = KeyPair::generate().expect("a key is drawn");
        let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
        let mut params = CertificateParams::new(names).expect("the names are good");
        let now = SystemTime::now().duration_since(UNIX_EPOCH).expect("it is later than 1970");
        let epoch = rcgen::date_time_ymd(1970, 1, 1);
        params.not_before = epoch + now - DAY;
        params.not_after = epoch + now + lasts;
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth, ExtendedKeyUsagePurpose::ClientAuth];
        let pem = params.signed_by(&key, &self.issuer).expect("it is signed").pem();
        believe(folder, believed);
        put(folder, CERTIFICATE_FILE, &pem);
        put(folder, KEY_FILE, &key.serialize_pem());
    }
}

fn believe(folder: &Path, authorities: &[&Authority]) {
    put(folder, AUTHORITY_FILE, &authorities.iter().map(|one| one.pem.as_str()).collect::<String>());
}

/// Replaces a file as those who renew certificates do: by rename.
fn put(folder: &Path, name: &str, text: &str) {
    fs::create_dir_all(folder).expect("the folder can be made");
    let beside = folder.join("new");
    fs::write(&beside, text).expect("the file can be written");
    fs::set_permissions(&beside, fs::Permissions::from_mode(0o600)).expect("its mode can be set");
    fs::rename(&beside, folder.join(name)).expect("it takes its place");
}

struct House {
    ours: Authority,
    theirs: Authority,
    folder: TempDir,
}

impl House {
    fn new() -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder can be made");
        Self { ours: Authority::new("ours"), theirs: Authority::new("theirs"), folder }
    }

    fn folder(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn keeper(&self, name: &str) -> Arc<Keeper> {
        Keeper::open(&self.folder(name), None).expect("the papers are good")
    }
}

/// Lets callers through `door`, greets them, and says their names. Answers its address.
async fn greeter(door: Door) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port is free");
    let address = listener.local_addr().expect("it has an address").to_string();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let door = door.clone();
            tokio::spawn(async move {
                let Some(mut stream) = door.open(stream).await else { return };
                let names: Vec<String> = stream.met().names.iter().map(ToString::to_string).collect();
                let _ = stream.write_all(format!("hello {}\n", names.join(", ")).as_bytes()).await;
                let _ = stream.flush().await;
                let _ = stream.read(&mut [0]).await;
            });
        }
    });
    address
}

/// What a caller is told, or why it is not.
async fn greeting(way: &Way, address: &str) -> String {
    let stream = way.stream(address, Protocol::Grpc).await;
    let mut stream = match stream {
        Ok(stream) => stream,
        Err(error) => return error.to_string(),
    };
    let mut said = Vec::new();
    while !said.ends_with(b"\n") {
        match stream.read_u8().await {
            Ok(byte) => said.push(byte),
            Err(error) => return error.to_string(),
        }
    }
    String::from_utf8_lossy(&said).into_owned()
}

#[tokio::test]
async fn only_who_shows_a_certificate_of_the_authority_gets_through_and_only_whom_is_meant_is_believed() {
    let house = House::new();
    let (ours, theirs) = (&house.ours, &house.theirs);
    ours.issue(&house.folder("server"), &[ours], &["1.queue.node.tercet", "127.0.0.1"], DAY);
    ours.issue(&house.folder("second"), &[ours], &["2.queue.node.tercet", "127.0.0.1"], DAY);
    ours.issue(&house.folder("nameless"), &[ours], &["example.org"], DAY);
    theirs.issue(&house.folder("stranger"), &[ours, theirs], &["2.queue.node.tercet"], DAY);
    theirs.issue(&house.folder("elsewhere"), &[theirs], &["2.queue.node.tercet"], DAY);
    believe(&house.folder("bare"), &[ours]);
    let owner = Name::node("queue", 1);
    let server = Keeper::open(&house.folder("server"), Some(owner.clone())).expect("the papers are good");
    let strict = Door::new("strict", Some(&server), Protocol::Grpc, false);
    let open = Door::new("open", Some(&server), Protocol::Grpc, true);
    let (strict_at, open_at) = (greeter(strict.clone()).await, greeter(open).await);

    let way = |name: &str| Way::new(Some(house.keeper(name)));
    let table = [
        ("second", way("second"), "hello queue node 2\n", "hello queue node 2\n"),
        ("nameless", way("nameless"), "hello \n", "hello \n"),
        ("bare", way("bare"), "it asks for a certificate", "hello \n"),
        ("stranger", way("stranger"), "does not take the certificate", "does not take the certificate"),
        ("elsewhere", way("elsewhere"), "is from another authority", "is from another authority"),
        ("meant", way("second").to(owner), "hello queue node 2\n", "hello queue node 2\n"),
        ("another", way("second").to(Name::node("queue", 3)), "for another name", "for another name"),
        ("other house", way("second").to(Name::node("app", 1)), "for another name", "for another name"),
    ];
    for (who, way, at_strict, at_open) in table {
        for (address, expected) in [(&strict_at, at_strict), (&open_at, at_open)] {
            let said = greeting(&way, address).await;
            assert!(said.contains(expected), "{who}: {said}");
        }
    }
    // Who speaks without TLS is told nothing at all.
    let before = strict.refused();
    let mut plain = TcpStream::connect(&strict_at).await.expect("it listens");
    plain.write_all(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n").await.expect("it is written");
    let mut rest = Vec::new();
    let _ = plain.read_to_end(&mut rest).await;
    assert!(!rest.windows(5).any(|part| part == b"hello"), "{rest:?}");
    assert_eq!(strict.refused(), before + 1);
}

#[tokio::test]
async fn a_certificate_that_has_ended_gets_nobody_in_and_is_not_begun_with() {
    let house = House::new();
    let ours = &house.ours;
    ours.issue(&house.folder("server"), &[ours], &["1.queue.node.tercet", "127.0.0.1"], DAY);
    ours.issue(&house.folder("short"), &[ours], &["ops.client.tercet"], Duration::from_secs(2));
    let server = Keeper::open(&house.folder("server"), Some(Name::node("queue", 1))).expect("the papers are good");
    let address = greeter(Door::new("strict", Some(&server), Protocol::Grpc, false)).await;
    let keeper = house.keeper("short");
    assert!(keeper.standing().seconds_left <= 2);
    let way = Way::new(Some(Arc::clone(&keeper)));
    let until = Instant::now() + DEADLINE;
    loop {
        let said = greeting(&way, &address).await;
        if said.contains("CertificateExpired") {
            break;
        }
        assert!(said.contains("hello client ops") && Instant::now() < until, "{said}");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    let error = Keeper::open(&house.folder("short"), None).expect_err("it has ended");
    assert!(error.to_string().contains("it has expired"), "{error}");
    assert_eq!(keeper.standing().seconds_left, 0);
}

#[test]
fn papers_that_a_peer_would_refuse_are_refused_at_once() {
    let house = House::new();
    let (ours, theirs) = (&house.ours, &house.theirs);
    let node = Name::node("queue", 1);
    let folder = |name: &str| house.folder(name);
    ours.issue(&folder("good"), &[ours], &["1.queue.node.tercet"], DAY);
    ours.issue(&folder("other"), &[ours], &["2.queue.node.tercet"], DAY);
    theirs.issue(&folder("foreign"), &[ours], &["1.queue.node.tercet"], DAY);
    ours.issue(&folder("open"), &[ours], &["1.queue.node.tercet"], DAY);
    let mode = fs::Permissions::from_mode(0o644);
    fs::set_permissions(folder("open").join(KEY_FILE), mode).expect("its mode can be set");
    ours.issue(&folder("mixed"), &[ours], &["1.queue.node.tercet"], DAY);
    let key = fs::read_to_string(folder("other").join(KEY_FILE)).expect("it is there");
    put(&folder("mixed"), KEY_FILE, &key);
    ours.issue(&folder("empty"), &[ours], &["1.queue.node.tercet"], DAY);
    put(&folder("empty"), AUTHORITY_FILE, "");
    ours.issue(&folder("no key"), &[ours], &["1.queue.node.tercet"], DAY);
    put(&folder("no key"), KEY_FILE, "nothing");
    believe(&folder("bare"), &[ours]);
    let table = [
        ("good", ""),
        ("other", "is not for queue node 1; it is for: queue node 2"),
        ("foreign", "another authority"),
        ("open", "anybody may read this key"),
        ("mixed", "not good"),
        ("empty", "no certificate in it"),
        ("no key", "no key in it"),
        ("bare", "No such file"),
        ("nowhere", "No such file"),
    ];
    for (name, expected) in table {
        let opened = Keeper::open(&folder(name), Some(node.clone()));
        let said = opened.map_or_else(|error: TlsError| error.to_string(), |_| String::new());
        assert!(said.contains(expected) && said.is_empty() == expected.is_empty(), "{name}: {said}");
    }
    assert!(Keeper::open(&folder("bare"), None).is_ok(), "a client needs no certificate of its own");
}

#[tokio::test]
async fn new_papers_are_used_for_new_connections_and_bad_ones_never() {
    let house = House::new();
    let (old, new) = (&house.ours, &house.theirs);
    let names = ["1.queue.node.tercet", "127.0.0.1"];
    let node = house.folder("node");
    old.issue(&node, &[old], &names, DAY);
    let keeper = Keeper::open(&node, Some(Name::node("queue", 1))).expect("the papers are good");
    let address = greeter(Door::new("strict", Some(&keeper), Protocol::Grpc, false)).await;
    let way = Way::new(Some(Arc::clone(&keeper)));
    let mut kept = way.stream(&address, Protocol::Grpc).await.expect("it is let in");

    // The files of another node are no papers of this one.
    old.issue(&node, &[old], &["2.queue.node.tercet", "127.0.0.1"], DAY);
    seen(&keeper, |standing| standing.trouble.as_ref().is_some_and(|why| why.contains("is not for"))).await;
    assert!(greeting(&way, &address).await.contains("hello"));
    assert_eq!(keeper.standing().renewed, 0);

    // Another authority comes: first it is believed, then it signs, then the old one goes.
    for (believed, signs) in [(vec![old, new], old), (vec![old, new], new), (vec![new], new)] {
        let before = keeper.standing().renewed;
        signs.issue(&node, &believed, &names, DAY);
        seen(&keeper, |standing| standing.renewed > before && standing.trouble.is_none()).await;
        assert!(greeting(&way, &address).await.contains("hello queue node 1"));
    }
    old.issue(&house.folder("late"), &[old, new], &["2.queue.node.tercet"], DAY);
    let late = greeting(&Way::new(Some(house.keeper("late"))), &address).await;
    assert!(late.contains("does not take the certificate"), "{late}");
    // Who was in stays in.
    kept.write_all(b"x").await.expect("it is still open");
}

async fn seen(keeper: &Keeper, is_so: impl Fn(&tls::Standing) -> bool) {
    let until = Instant::now() + DEADLINE;
    while !is_so(&keeper.standing()) {
        assert!(Instant::now() < until, "{:?}", keeper.standing());
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

//! Laws of a recovery: one node of three goes on alone, loses nothing it held, grows again, and never meets the lost ones.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use bytes::Bytes;
use machine::{BodyRef, Format, GroupId, RequestId};
use replica::{Group, MemberChange, MemberError, ProposeError, Recovery, StartError, Survey};

use crate::loopback::{DEADLINE, Loopback, wait_for, write};
use crate::register::{Command, Register, arrived_key, number_in, times_key};

const FREE: GroupId = GroupId(1);
const WATCHED: GroupId = GroupId(2);
const LEFT: u64 = 3;
const WRITES: u64 = 40;

/// Every file of a folder with its bytes.
fn bytes_of(folder: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let mut found = BTreeMap::new();
    for item in std::fs::read_dir(folder).expect("a folder") {
        let path = item.expect("an item").path();
        match path.is_dir() {
            true => found.extend(bytes_of(&path)),
            false => {
                let bytes = std::fs::read(&path).expect("a file");
                found.insert(path, bytes);
            }
        }
    }
    found
}

fn body(number: u64) -> Bytes {
    Bytes::from(vec![u8::try_from(number % 251).expect("small"); 1000])
}

/// Three nodes that hold bodies, of which two are gone and the third is stopped.
async fn lost_majority() -> Loopback {
    let mut cluster = Loopback::start(2).await;
    for number in 1..=WRITES {
        let command = Command::Write { client: 1, number, body: body(number) };
        cluster.propose(FREE, &command).await.expect("applied");
        if number == WRITES / 2 {
            // Rows that were flushed, and entries behind them.
            cluster.nodes[&LEFT].replica.flush(FREE, 5).await.expect("flushed");
        }
    }
    cluster.propose(WATCHED, &write(2, 1)).await.expect("applied");
    for id in [FREE, WATCHED] {
        cluster.converge(id).await;
    }
    for node in [1, 2, LEFT] {
        cluster.stop(node).await;
    }
    cluster
}

async fn recover(folder: &Path) {
    let recovery = Recovery::begin(folder, Format::LATEST).expect("it begins");
    for id in recovery.groups() {
        assert_eq!(recovery.recover::<Register>(id, id == WATCHED).await.expect("recovered"), 0, "no body is damaged");
    }
    recovery.end().expect("it ends");
}

async fn propose(group: &Group<Register>, command: &Command) -> Result<(), ProposeError> {
    group.propose_anywhere(RequestId::NONE, command, DEADLINE).await.map(|_| ())
}

fn times(group: &Group<Register>, client: u32, number: u64) -> u64 {
    let found = group.read_stale(|view| view.rows.get(&times_key(client, number)).map(|row| number_in(row.as_ref())));
    found.expect("readable").expect("rows")
}

async fn change(group: &Group<Register>, cluster: &Loopback, change: MemberChange) {
    let until = tokio::time::Instant::now() + DEADLINE;
    while let Err(error) = cluster.nodes[&LEFT].replica.change_member(group.id(), change.clone()).await {
        assert!(tokio::time::Instant::now() < until, "{change:?}: {error}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_look_changes_no_byte_and_no_folder_in_use_is_looked_at() {
    let mut cluster = lost_majority().await;
    let folder = cluster.folder_of(LEFT);
    let before = bytes_of(&folder);
    let survey = Survey::take(&folder, Format::LATEST).expect("looked at");
    let again = Survey::take(&folder, Format::LATEST).expect("looked at");
    assert!(before == bytes_of(&folder), "a look has changed a file");
    assert_eq!(survey, again);
    assert_eq!((survey.node, survey.refusal()), (LEFT, None));
    let free = &survey.groups[0];
    assert!(free.last.1 >= WRITES && free.committed >= free.applied && free.applied >= WRITES / 2, "{free:?}");
    assert_eq!(free.members.keys().copied().collect::<Vec<_>>(), [1, 2, 3]);
    assert!(survey.to_string().contains("may be lost"), "{survey}");

    cluster.restart(LEFT).await.expect("the node starts: nothing was done");
    let refused = Survey::take(&folder, Format::LATEST).expect_err("it is in use");
    assert!(matches!(refused, StartError::InUse), "{refused}");
    assert!(matches!(Recovery::begin(&folder, Format::LATEST).err(), Some(StartError::InUse)));
    cluster.stop_all().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_goes_on_alone_with_all_it_held_and_grows_again() {
    let mut cluster = lost_majority().await;
    recover(&cluster.folder_of(LEFT)).await;
    cluster.restart(LEFT).await.expect("it starts alone");
    let (free, watched) = (cluster.group(LEFT, FREE).clone(), cluster.group(LEFT, WATCHED).clone());
    wait_for("it leads", || (free.is_leader() && watched.is_leader()).then_some(())).await;
    assert_eq!(free.status().members.len(), 1);
    for number in 1..=WRITES {
        assert_eq!(times(&free, 1, number), 1, "write {number}");
        let found = free.read_stale(|view| view.rows.body(BodyRef(number))).expect("readable");
        assert_eq!(found, Ok(Some(body(number))), "body {number}");
    }
    propose(&free, &write(1, WRITES + 1)).await.expect("it takes writes");
    propose(&free, &Command::Post { target: WATCHED, number: 7 }).await.expect("posted");

    // Nothing enters the other one until it is found right: no command, no record, no member.
    assert!(watched.status().is_read_only && !free.status().is_read_only);
    let refused = propose(&watched, &write(2, 2)).await.expect_err("it is read-only");
    assert!(matches!(&refused, ProposeError::NotApplied(reason) if reason.contains("read-only")), "{refused}");
    drop((free, watched));
    cluster.stop(LEFT).await;
    cluster.restart(LEFT).await.expect("it starts again");
    let (free, watched) = (cluster.group(LEFT, FREE).clone(), cluster.group(LEFT, WATCHED).clone());
    wait_for("it leads", || (free.is_leader() && watched.is_leader()).then_some(())).await;
    assert!(watched.status().is_read_only, "a restart lifts nothing");
    assert_eq!(watched.read(|_| ()).await, Ok(()), "it is read all the same");
    cluster.start_spare(4).await;
    let add = MemberChange::Add { node: 4, address: cluster.address(4) };
    let refused = cluster.nodes[&LEFT].replica.change_member(WATCHED, add.clone()).await;
    assert_eq!(refused, Err(MemberError::ReadOnly));
    assert_eq!(times(&watched, 2, 2), 0);
    cluster.nodes[&LEFT].replica.lift(WATCHED).expect("lifted");
    propose(&watched, &write(2, 2)).await.expect("it takes writes again");
    let arrived = || watched.read_stale(|view| view.rows.get(&arrived_key(FREE, 7)).map(|row| number_in(row.as_ref())));
    wait_for("the record arrives", || (arrived() == Ok(Ok(1))).then_some(())).await;

    for group in [&free, &watched] {
        change(group, &cluster, add.clone()).await;
        change(group, &cluster, MemberChange::Promote { node: 4 }).await;
        cluster.converge(group.id()).await;
        assert_eq!(group.status().voters, [LEFT, 4]);
    }
    assert_eq!(cluster.nodes[&4].replica.lineage(), cluster.nodes[&LEFT].replica.lineage());
    drop((free, watched));
    cluster.stop(4).await;
    cluster.restart(4).await.expect("the new member starts again");
    cluster.stop(LEFT).await;
    cluster.restart(LEFT).await.expect("so does the old one");
    assert!(!cluster.group(LEFT, WATCHED).status().is_read_only, "what was lifted stays lifted");
    for id in [FREE, WATCHED] {
        cluster.leader(id).await;
        cluster.converge(id).await;
    }
    cluster.stop_all().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn lost_members_that_come_back_change_nothing_and_are_told_so() {
    let mut cluster = lost_majority().await;
    recover(&cluster.folder_of(LEFT)).await;
    cluster.restart(LEFT).await.expect("it starts alone");
    let free = cluster.group(LEFT, FREE).clone();
    wait_for("it leads", || free.is_leader().then_some(())).await;
    let refused = cluster.restart(1).await.expect_err("it was left behind");
    assert!(matches!(refused, StartError::LeftBehind { .. }), "{refused}");
    propose(&free, &write(3, 1)).await.expect("it takes writes");
    drop(free);
    cluster.stop(LEFT).await;

    // Where they cannot hear it they make a majority of the cluster before, and write what nobody here may see.
    for node in [1, 2] {
        cluster.restart(node).await.expect("nobody is there who says otherwise");
    }
    let old = cluster.group(1, FREE).clone();
    for number in 1..=WRITES {
        propose(&old, &write(4, number)).await.expect("two of three are a majority");
    }
    cluster.restart(LEFT).await.expect("it goes on, whoever is there");
    let free = cluster.group(LEFT, FREE).clone();
    // Both go on beside each other, with every message that a leader sends its members.
    for number in 1..=WRITES {
        propose(&free, &write(3, number)).await.expect("it takes writes");
        propose(&old, &write(4, WRITES + number)).await.expect("so do they");
    }
    assert_eq!((times(&free, 3, WRITES), times(&free, 4, 1), times(&free, 4, WRITES + 1)), (1, 0, 0));
    assert_eq!((times(&old, 3, 1), times(&old, 3, WRITES)), (0, 0));
    assert!(free.is_leader() && free.status().members.len() == 1, "{:?}", free.status());
    drop((free, old));
    cluster.stop_all().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_recovery_that_broke_off_goes_on_and_until_then_nothing_opens() {
    let mut cluster = lost_majority().await;
    let folder = cluster.folder_of(LEFT);
    let recovery = Recovery::begin(&folder, Format::LATEST).expect("it begins");
    recovery.recover::<Register>(FREE, false).await.expect("one group of two");
    drop(recovery);
    let refused = cluster.restart(LEFT).await.expect_err("it is neither the old one nor a new one");
    assert!(matches!(refused, StartError::HalfRecovered), "{refused}");
    assert!(Survey::take(&folder, Format::LATEST).expect("looked at").is_half_recovered);
    recover(&folder).await;
    cluster.restart(LEFT).await.expect("it starts alone");
    let free = cluster.group(LEFT, FREE).clone();
    wait_for("it leads", || free.is_leader().then_some(())).await;
    assert_eq!((times(&free, 1, 1), times(&free, 1, WRITES)), (1, 1));
    drop(free);
    cluster.stop(LEFT).await;
    let refused = Survey::take(&folder, Format::LATEST).expect("looked at").refusal();
    assert!(refused.is_some_and(|refusal| refusal.contains("only member")), "there is nothing more to do");
    assert!(matches!(Recovery::begin(&folder, Format::LATEST).err(), Some(StartError::Recover(_))));
    cluster.stop_all().await;
}

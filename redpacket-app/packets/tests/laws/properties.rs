//! Properties: any evening agrees with the naive model, keeps every fen at every step, and comes out the same however
//! it was batched or where it was rebuilt from rows.

use bytes::Bytes;
use machine::{
    Answer, Command as EntryCommand, EntryWriter, Host, Layout, LogIndex, MemoryStore, RequestId, TimestampMs,
};
use packets::{Command, Kind, Open, PacketId, PacketsMachine, Terms, UserId};
use proptest::prelude::*;

use crate::evening::{CHAT, Evening, GROUP, START, direct, exclusive, lucky, order, terms};
use crate::model::Model;

const USERS: u128 = 5;

fn packet() -> impl Strategy<Value = PacketId> {
    (1_u128..=5).prop_map(|number| PacketId::of_order(order(number)))
}

fn any_terms() -> impl Strategy<Value = Terms> {
    let whole = (1_u128..=5, 1_i64..=9, 1_u16..=4, 1_u64..=400);
    (whole, 0_u8..4).prop_map(|((number, each, shares, life_ms), kind)| {
        let total = each * i64::from(shares);
        let terms = match kind {
            0 => direct(number, 2 + number % 3, total),
            1 => exclusive(number, &[2, 3], 2 * each),
            2 => terms(number, Kind::GroupEqual { chat: CHAT }, total, shares),
            _ => lucky(number, total + each % 3, shares),
        };
        Terms { life_ms, ..terms }
    })
}

fn command() -> impl Strategy<Value = Command> {
    let share = || (packet(), 1_u16..=4);
    prop_oneof![
        3 => any_terms().prop_map(|terms| {
            Command::CreatePacket { packet: PacketId::of_order(terms.order), terms: Box::new(terms) }
        }),
        12 => (packet(), 1..=USERS + 1).prop_map(|(packet, user)| {
            Command::Open(Open { packet, user: UserId(user), chat: Some(CHAT), password: None })
        }),
        2 => share().prop_map(|(packet, share)| Command::MarkQueued { packet, share }),
        3 => share().prop_map(|(packet, share)| Command::MarkCredited { packet, share }),
        1 => packet().prop_map(|packet| Command::MarkRefunded { packet }),
        1 => packet().prop_map(|packet| Command::CloseExpired { packet }),
        1 => prop::collection::vec(packet(), 0..4).prop_map(|packets| Command::Tick { packets }),
    ]
}

/// Commands with the milliseconds that pass before each.
fn commands() -> impl Strategy<Value = Vec<(u64, Command)>> {
    prop::collection::vec((prop_oneof![4 => Just(0_u64), 1 => 1_u64..80], command()), 1..80)
}

/// Applies `entries` to a copy of `start`, in batches of `batch` entries; answers rows and replies.
fn apply(start: &MemoryStore, entries: &[(LogIndex, Bytes)], batch: usize) -> (MemoryStore, Vec<Answer>) {
    let mut store = start.clone();
    let mut host: Host<PacketsMachine> = store.host(GROUP).expect("the rows load");
    let mut answers = Vec::new();
    for part in entries.chunks(batch) {
        let outcome = host.apply(part, &store).expect("memory does not fail");
        store.commit(&outcome.rows);
        answers.extend(outcome.answers.into_iter().flatten());
    }
    (store, answers)
}

fn entries(commands: &[(u64, Command)], per_entry: usize) -> Vec<(LogIndex, Bytes)> {
    let mut now = START.plus(1);
    let mut entries = Vec::new();
    for (index, part) in (1_000_u64..).zip(commands.chunks(per_entry)) {
        let mut entry = EntryWriter::default();
        for (ms, command) in part {
            now = TimestampMs(now.0 + ms);
            entry.push(RequestId::NONE, &EntryCommand::Machine(command.to_bytes()));
        }
        entries.push((LogIndex(index), entry.finish(now, index.wrapping_mul(0x9e37_79b9))));
    }
    entries
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(192))]

    #[test]
    fn an_evening_agrees_with_the_model_and_keeps_every_fen(commands in commands()) {
        let mut evening = Evening::with_users(USERS);
        let mut model = Model::new(USERS);
        for (ms, command) in commands {
            evening.pass(ms);
            let reply = evening.run(&command);
            model.check(&command, evening.now, &reply);
            evening.check();
        }
    }

    #[test]
    fn batches_of_any_size_give_the_same_rows_and_replies(commands in commands(), per_entry in 1_usize..9) {
        let start = Evening::with_users(USERS).store;
        let entries = entries(&commands, per_entry);
        let one_by_one = apply(&start, &entries, 1);
        prop_assert_eq!(&one_by_one, &apply(&start, &entries, 7));
        prop_assert_eq!(&one_by_one, &apply(&start, &entries, entries.len()));
    }

    #[test]
    fn rows_and_the_rest_of_the_log_are_the_whole_log(commands in commands(), cut in 0_usize..80) {
        let start = Evening::with_users(USERS).store;
        let entries = entries(&commands, 3);
        let (before, after) = entries.split_at(cut.min(entries.len()));
        let (middle, mut answers) = apply(&start, before, 4);
        let (rows, rest) = apply(&middle, after, 5);
        answers.extend(rest);
        prop_assert_eq!((rows, answers), apply(&start, &entries, 2));
    }

    #[test]
    fn commands_survive_their_layout_and_no_bytes_panic(command in command(), noise: Vec<u8>, flip in 0_usize..64) {
        let bytes = command.to_bytes();
        prop_assert_eq!(Command::from_bytes(&bytes), Ok(command));
        let mut broken = bytes.to_vec();
        if let Some(byte) = broken.get_mut(flip) {
            *byte ^= 0x55;
        }
        // Any answer will do, as long as it is one.
        let _ = Command::from_bytes(&broken.into());
        let _ = Command::from_bytes(&noise.into());
    }
}

//! Properties over random evenings: the machine against the naive model, and what must hold after every step.
//!
//! Must never: hold for chosen evenings only.

use ledger::{Answer, Command, Currency, LedgerMachine, Reply, Step, Verb};
use machine::{
    Answer as HostAnswer, EntryWriter, GroupId, Host, Layout, LogIndex, MemoryStore, RequestId, TimestampMs,
};
use proptest::prelude::*;

use crate::naive::{Naive, word};
use crate::shard::{
    ANN, BEN, HERE, SHOP, Shard, THERE, credit, fund, hold, open, pay, post, refund, remit, restrict, settle, share,
    transfer, void, withdraw,
};

const OPEN: [u128; 3] = [ANN, BEN, SHOP];

/// Few ids and accounts, so that they meet; account 4 does not exist.
fn verbs() -> impl Strategy<Value = Verb> {
    let (id, account, fen) = (|| 1_u128..12, || 1_u128..5, || 1_i64..60);
    let group = prop_oneof![3 => Just(HERE), 1 => Just(THERE)];
    prop_oneof![
        3 => (id(), account(), fen()).prop_map(|(id, account, fen)| fund(id, account, fen * 4)),
        1 => (id(), account(), fen()).prop_map(|(id, account, fen)| withdraw(id, account, fen)),
        4 => (id(), account(), account(), fen()).prop_map(|(id, a, b, fen)| transfer(id, a, b, fen)),
        3 => (id(), account(), account(), fen(), 1_u64..200).prop_map(|(id, a, b, fen, ms)| hold(id, a, b, fen, ms)),
        2 => (id(), id(), account(), account(), prop::option::of(fen())).prop_map(|(id, h, a, b, fen)| post(id, h, a, b, fen)),
        1 => (id(), id(), account(), account()).prop_map(|(id, h, a, b)| void(id, h, a, b)),
        3 => (id(), 1_u128..5, account(), fen()).prop_map(|(order, packet, a, fen)| pay(order, packet, a, fen)),
        1 => id().prop_map(settle),
        4 => (1_u128..5, 1_u32..4, account(), account(), (group, fen()))
            .prop_map(|(packet, number, a, b, (group, fen))| credit(share(packet, number), a, b, group, fen / 3 + 1)),
        1 => (1_u128..5, account(), fen()).prop_map(|(packet, a, fen)| refund(packet, a, fen / 2 + 1)),
        2 => (id(), account(), 1_u128..7, fen()).prop_map(|(id, a, b, fen)| remit(id, a, b, THERE, fen / 2 + 1)),
        1 => (account(), prop_oneof![Just(0_i64), 50..300_i64], any::<bool>())
            .prop_map(|(a, ceiling, is_frozen)| restrict(a, ceiling, is_frozen && ceiling > 200)),
    ]
}

#[derive(Clone, Debug)]
enum Move {
    Step(Verb),
    Wait(u64),
    Tick,
}

fn moves() -> impl Strategy<Value = Move> {
    prop_oneof![12 => verbs().prop_map(Move::Step), 1 => (0_u64..80).prop_map(Move::Wait), 1 => Just(Move::Tick)]
}

fn shard() -> Shard {
    let mut shard = Shard::empty(HERE);
    for account in OPEN {
        shard.one(open(account, Currency::CNY)).expect("opened");
    }
    shard
}

fn agree(shard: &Shard, naive: &Naive) {
    for account in OPEN {
        assert_eq!(shard.balance(account), naive.balances[&account], "balance of {account}");
        assert_eq!(shard.balance(account) - shard.available(account), naive.held(account), "held of {account}");
    }
    for (packet, (_, left)) in &naive.escrows {
        assert_eq!(shard.escrow(*packet), *left, "escrow of {packet}");
    }
    let sums = shard.host.machine().sums().map(|(_, sums)| sums).next().unwrap_or_default();
    assert_eq!((sums.clearing, sums.suspense), (i128::from(naive.gone), i128::from(naive.parked)));
    assert_eq!(sums.total(), 0);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]

    #[test]
    fn the_machine_answers_as_the_model_and_every_invariant_holds_after_every_step(
        moves in prop::collection::vec(moves(), 1..80),
    ) {
        let (mut shard, mut naive) = (shard(), Naive::new(HERE, &OPEN));
        for step in moves {
            match step {
                Move::Step(verb) => {
                    let before = shard.trace();
                    let answer = shard.one(verb.clone());
                    prop_assert_eq!(answer.map(word), naive.step(&verb, shard.now), "{:?}", verb);
                    if answer.is_err() {
                        prop_assert_eq!(shard.trace(), before, "a refused step leaves no trace");
                    }
                }
                Move::Wait(ms) => shard.now += ms,
                Move::Tick => {
                    shard.tick();
                    naive.tick(shard.now);
                }
            }
            agree(&shard, &naive);
            shard.check();
        }
    }

    #[test]
    fn a_repeat_at_any_later_time_changes_nothing(
        moves in prop::collection::vec((verbs(), any::<prop::sample::Index>()), 1..60),
    ) {
        let mut shard = shard();
        let mut done: Vec<(Verb, Answer)> = Vec::new();
        for (verb, again) in moves {
            shard.now += 7;
            let answer = shard.one(verb.clone());
            if answer.is_ok() && verb.transfer_key().is_some() {
                done.push((verb, answer));
            }
            if !done.is_empty() {
                let (verb, former) = &done[again.index(done.len())];
                let before = shard.trace();
                shard.now += 5;
                prop_assert_eq!(shard.one(verb.clone()), *former);
                prop_assert_eq!(shard.trace(), before);
            }
        }
    }

    #[test]
    fn rows_do_not_depend_on_how_commands_were_batched(
        steps in prop::collection::vec((verbs(), prop::bool::weighted(0.3)), 1..50),
        cuts in prop::collection::vec(any::<bool>(), 50),
    ) {
        let commands: Vec<Command> = as_commands(&steps);
        let one_by_one = play(&commands, |_| true);
        let some = play(&commands, |place| cuts[place % cuts.len()]);
        let at_once = play(&commands, |_| false);
        prop_assert_eq!(&one_by_one, &some);
        prop_assert_eq!(&one_by_one, &at_once);
    }

    #[test]
    fn a_batch_answers_as_its_steps_do_one_by_one(steps in prop::collection::vec(verbs(), 1..50)) {
        let (mut batched, mut single) = (shard(), shard());
        let answers = batched.batch(steps.iter().map(|verb| (false, verb.clone())).collect());
        let each: Vec<Answer> = steps.into_iter().map(|verb| single.one(verb)).collect();
        prop_assert_eq!(answers, each);
        prop_assert_eq!(batched.audit(), single.audit());
        batched.check();
    }

    #[test]
    fn a_chain_is_done_as_a_whole_or_leaves_no_trace(
        first in prop::collection::vec(verbs(), 0..30),
        chain in prop::collection::vec(verbs(), 2..6),
    ) {
        let (mut chained, mut single) = (shard(), shard());
        for verb in first {
            chained.one(verb.clone()).ok();
            single.one(verb).ok();
        }
        let before = chained.audit();
        let last = chain.len() - 1;
        let answers = chained.batch(chain.iter().cloned().enumerate().map(|(at, verb)| (at < last, verb)).collect());
        let each: Vec<Answer> = chain.into_iter().map(|verb| single.one(verb)).collect();
        if answers.iter().all(Result::is_ok) {
            prop_assert_eq!(&answers, &each);
            prop_assert_eq!(chained.audit(), single.audit());
        } else {
            prop_assert_eq!(chained.audit(), before);
            prop_assert!(each.iter().any(Result::is_err), "a chain fails only if a step would");
        }
        chained.check();
    }

    #[test]
    fn every_command_and_reply_survives_its_layout(steps in prop::collection::vec((verbs(), any::<bool>()), 1..20)) {
        let steps: Vec<Step> = steps.into_iter().map(|(verb, is_linked)| Step { is_linked, verb }).collect();
        let command = Command::Batch(steps);
        let bytes = command.to_bytes();
        prop_assert_eq!(Command::from_bytes(&bytes), Ok(command));
        for end in 0..bytes.len() {
            prop_assert!(Command::from_bytes(&bytes.slice(..end)).is_err(), "a torn command is no command");
        }
    }

    #[test]
    fn no_bytes_make_decoding_fail_badly(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        let bytes = bytes::Bytes::from(bytes);
        let _ = Command::from_bytes(&bytes);
        let _ = Reply::from_bytes(&bytes);
    }
}

/// Runs of linked steps become one batch, others stand alone.
fn as_commands(steps: &[(Verb, bool)]) -> Vec<Command> {
    let mut commands = OPEN.map(|account| Command::One(open(account, Currency::CNY))).to_vec();
    for (verb, is_linked) in steps {
        let step = Step { is_linked: *is_linked, verb: verb.clone() };
        match commands.last_mut() {
            Some(Command::Batch(batch)) if batch.last().is_some_and(|last| last.is_linked) => batch.push(step),
            _ if *is_linked => commands.push(Command::Batch(vec![step])),
            _ => commands.push(Command::One(step.verb)),
        }
    }
    commands
}

/// Plays commands in entries of their own, handed to the host in batches that end where `is_cut` says.
fn play(commands: &[Command], is_cut: impl Fn(usize) -> bool) -> (MemoryStore, Vec<Vec<HostAnswer>>) {
    let mut store = MemoryStore::default();
    let mut host: Host<LedgerMachine> = store.host(GroupId(1)).expect("an empty store loads");
    let (mut pending, mut answers) = (Vec::new(), Vec::new());
    for (place, command) in commands.iter().enumerate() {
        let mut entry = EntryWriter::default();
        entry.push(RequestId::NONE, &machine::Command::Machine(command.to_bytes()));
        let at = place as u64 + 1;
        pending.push((LogIndex(at), entry.finish(TimestampMs(at * 10), at)));
        if is_cut(place) || place + 1 == commands.len() {
            let outcome = host.apply(&pending, &store).expect("rows in memory can be read");
            store.commit(&outcome.rows);
            answers.extend(outcome.answers);
            pending.clear();
        }
    }
    (store, answers)
}

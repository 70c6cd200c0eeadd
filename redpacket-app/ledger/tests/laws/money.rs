//! Laws of plain money: funding, paying, withdrawing, batches and chains.
//!
//! Must never: read a balance anywhere but from rows.

use ledger::limits::LINKED_ENTRIES_MAX;
use ledger::{AccountKey, Command, Currency, Done, Fen, JournalNumber, Link, Refusal, SealedPage, home};
use machine::{EntryWriter, GroupId, Layout, LogIndex, RequestId, TimestampMs};
use sha2::{Digest, Sha256};

use crate::shard::{ANN, BEN, HERE, NOBODY, SHOP, Shard, booked, fund, pay, refused, share, transfer, withdraw};

#[test]
fn money_moves_once_however_often_it_is_asked_for() {
    let mut shard = Shard::furnished(HERE);
    let steps = [
        (transfer(2, ANN, BEN, 300), booked(2)),
        (transfer(3, BEN, SHOP, 100), booked(3)),
        (withdraw(4, SHOP, 40), booked(4)),
    ];
    for round in 0..3 {
        shard.now += 1_000;
        let before = shard.audit();
        for (verb, answer) in &steps {
            assert_eq!(shard.one(verb.clone()), *answer);
        }
        if round > 0 {
            assert_eq!(shard.audit(), before);
        }
        assert_eq!((shard.balance(ANN), shard.balance(BEN), shard.balance(SHOP)), (700, 200, 60));
    }
    let issue = shard.account(AccountKey::Issue(Currency::CNY)).expect("money was issued");
    assert_eq!(issue.balance, Fen(-960));
    shard.check();
}

#[test]
fn a_refused_transfer_may_succeed_later_under_the_same_id() {
    let mut shard = Shard::furnished(HERE);
    let late = transfer(2, BEN, ANN, 10);
    assert_eq!(shard.one(late.clone()), refused(Refusal::InsufficientFunds));
    shard.one(fund(3, BEN, 10)).expect("Ben is funded");
    assert_eq!(shard.one(late.clone()), booked(3));
    assert_eq!(shard.one(late), booked(3));
    shard.check();
}

#[test]
fn each_step_of_a_batch_is_answered_by_itself() {
    let mut shard = Shard::furnished(HERE);
    let answers = shard.batch(vec![
        (false, transfer(2, ANN, BEN, 300)),
        (false, transfer(3, ANN, NOBODY, 1)),
        (false, transfer(4, BEN, SHOP, 301)),
        (false, transfer(2, ANN, BEN, 300)),
        (false, transfer(5, BEN, SHOP, 300)),
    ]);
    let refusals = (refused(Refusal::CreditUnknown), refused(Refusal::InsufficientFunds));
    assert_eq!(answers, [booked(2), refusals.0, refusals.1, booked(2), booked(3)]);
    shard.check();
}

#[test]
fn a_chain_happens_as_a_whole_or_not_at_all() {
    let linked_failed = || refused(Refusal::LinkedFailed);
    let mut shard = Shard::furnished(HERE);
    shard.one(transfer(9, ANN, BEN, 1)).expect("done before the chain");
    let before = shard.audit();
    let table = [
        (
            vec![(true, transfer(2, ANN, BEN, 300)), (true, transfer(3, BEN, SHOP, 999)), (false, pay(4, 1, ANN, 1))],
            vec![linked_failed(), refused(Refusal::InsufficientFunds), linked_failed()],
        ),
        (
            vec![(true, transfer(2, ANN, BEN, 300)), (true, pay(4, 1, ANN, 5))],
            vec![linked_failed(), refused(Refusal::ChainOpen)],
        ),
        (
            vec![(true, transfer(9, ANN, BEN, 1)), (true, pay(4, 1, ANN, 5)), (false, fund(3, NOBODY, 1))],
            vec![booked(2), linked_failed(), refused(Refusal::CreditUnknown)],
        ),
        (
            // A repeat within the failed chain was never done.
            vec![(true, transfer(2, ANN, BEN, 3)), (true, transfer(2, ANN, BEN, 3)), (false, fund(3, NOBODY, 1))],
            vec![linked_failed(), linked_failed(), refused(Refusal::CreditUnknown)],
        ),
    ];
    for (steps, answers) in table {
        assert_eq!(shard.batch(steps), answers);
        assert_eq!(shard.audit(), before);
        assert!(shard.host.courier_status().is_empty(), "no record of a failed chain is sent");
        shard.check();
    }
    let answers = shard.batch(vec![
        (false, fund(20, BEN, 5)),
        (true, transfer(2, ANN, BEN, 300)),
        (true, pay(4, 1, BEN, 301)),
        (false, transfer(3, BEN, SHOP, 5)),
        (false, transfer(5, ANN, NOBODY, 1)),
    ]);
    assert_eq!(answers, [booked(3), booked(4), booked(5), booked(6), refused(Refusal::CreditUnknown)]);
    assert_eq!((shard.balance(ANN), shard.balance(BEN), shard.balance(SHOP)), (699, 0, 5));
    assert_eq!(shard.host.courier_status().len(), 1);
    shard.check();
}

#[test]
fn commands_that_share_a_log_entry_share_a_link_and_no_link_holds_too_many() {
    let mut shard = Shard::furnished(HERE);
    let many = 2 * u128::from(LINKED_ENTRIES_MAX) + 3;
    shard.batch((0..many).map(|id| (false, transfer(100 + id, ANN, BEN, 3))).collect());
    let mut entry = EntryWriter::default();
    for id in [2, 3] {
        let command = Command::One(transfer(id, ANN, BEN, 4));
        entry.push(RequestId::NONE, &machine::Command::Machine(command.to_bytes()));
    }
    let entries = [(LogIndex(90), entry.finish(TimestampMs(5_000), 0))];
    let outcome = shard.host.apply(&entries, &shard.store).expect("rows in memory can be read");
    shard.store.commit(&outcome.rows);
    let page = shard.view().journal(JournalNumber(1), 1_000).expect("the journal reads");
    assert_eq!(page.entries.len(), 70);
    let ends: Vec<u64> = page.links.iter().map(|(last, _)| last.0).collect();
    assert_eq!(ends, [1, 33, 65, 68, 70]);
    let (mut link, mut first) = ([0; 32], 1_u64);
    for (last, sealed) in &page.links {
        let under = page.entries.iter().filter(|(number, _)| (first..=last.0).contains(&number.0));
        let under: Vec<_> = under.map(|(_, entry)| *entry).collect();
        let body = SealedPage::body_of(under[0].at, &under);
        let hash = Sha256::new().chain_update(link).chain_update(first.to_be_bytes()).chain_update(body);
        link = hash.finalize().into();
        assert_eq!(*sealed, Link(link));
        first = last.0 + 1;
    }
    assert_eq!(shard.host.machine().journal_end(), (JournalNumber(70), Link(link)));
    shard.check();
}

#[test]
fn a_reply_knows_the_time_of_what_it_booked_and_of_nothing_else() {
    let mut shard = Shard::furnished(HERE);
    shard.now = 2_000;
    let command = Command::One(transfer(2, ANN, BEN, 3));
    let done = Done::Booked(JournalNumber(2));
    assert_eq!(shard.reply(&command).booked_at(done), Some(TimestampMs(2_000)));
    shard.now = 3_000;
    assert_eq!(shard.reply(&command).booked_at(done), None);
}

#[test]
fn a_home_is_stable_and_moves_only_to_a_new_group() {
    let groups = [GroupId(1), GroupId(2), GroupId(3)];
    let more = [GroupId(4), GroupId(3), GroupId(2), GroupId(1)];
    let mut counts = [0_u32; 5];
    for account in (0..4_000_u128).map(|n| ledger::AccountId(n << 64 | n)) {
        let (before, after) = (home(account, &groups), home(account, &more));
        assert!(after == before || after == GroupId(4));
        counts[usize::try_from(after.0).expect("few groups")] += 1;
    }
    assert!(counts[1..].iter().all(|count| (900..1_100).contains(count)), "{counts:?}");
    assert_eq!(home(ledger::AccountId(1), &[]), GroupId::META);
    let pinned: Vec<u32> = (0..12).map(|n| home(ledger::AccountId(n), &groups).0).collect();
    assert_eq!(pinned, [1, 2, 1, 3, 2, 3, 1, 1, 1, 1, 3, 3]);
}

#[test]
fn counts_and_sums_follow_the_rows() {
    let mut shard = Shard::furnished(HERE);
    shard.one(pay(2, 1, ANN, 100)).expect("the packet is paid");
    let machine = shard.host.machine();
    assert_eq!((machine.counts().accounts, machine.counts().packets), (5, 1));
    let (_, sums) = machine.sums().find(|(currency, _)| *currency == Currency::CNY).expect("yuan are kept");
    assert_eq!((sums.issue, sums.customers, sums.escrow, sums.total()), (-1_000, 900, 100, 0));
    let credit = crate::shard::credit(share(1, 1), ANN, BEN, HERE, 100);
    assert_eq!(shard.one(credit), Ok(Done::Booked(JournalNumber(3))));
    assert_eq!(shard.host.machine().counts().packets, 0);
    shard.check();
}

//! Refusals: each of them, the order in which they are looked for, and that a refused command changes nothing.

use packets::limits::{
    CHAT_MEMBERS_MAX, COVER_BYTES_MAX, GREETING_BYTES_MAX, LIFE_MS_DEFAULT, LIFE_MS_MAX, NAME_BYTES_MAX,
};
use packets::{AccountId, ChatId, Command, Fen, Kind, Open, PacketId, Refusal, Reply, Terms, UserId};

use crate::evening::{CHAT, Evening, account, direct, exclusive, lucky, open, order, password, register, terms};

/// Packets 1 (lucky, live), 2 (sold out), 3 (expired), 4 (with a password), 5 (direct to user 2). User 5 is in no chat.
fn evening() -> Evening {
    let mut evening = Evening::with_users(4);
    evening.run(&register(UserId(5)));
    evening.send(Terms { life_ms: 1, ..lucky(3, 100, 2) });
    evening.pass(1);
    evening.send(lucky(1, 300, 3));
    let sold = evening.send(lucky(2, 100, 1));
    evening.open(sold, 2).expect("a share is left");
    evening.send(Terms { password: Some(password(7)), ..lucky(4, 100, 2) });
    evening.send(direct(5, 2, 100));
    evening
}

/// Takes one reason for a refusal away.
type Mend = fn(&mut Terms);

fn id(number: u128) -> PacketId {
    PacketId::of_order(order(number))
}

fn create(terms: Terms) -> Command {
    Command::CreatePacket { packet: PacketId::of_order(terms.order), terms: Box::new(terms) }
}

fn name(user: u128, name: &str) -> Command {
    Command::RegisterUser { user: UserId(user), account: account(UserId(user)), name: name.to_owned() }
}

fn open_in(number: u128, user: u128, chat: Option<ChatId>) -> Command {
    Command::Open(Open { packet: id(number), user: UserId(user), chat, password: None })
}

/// Packets that must not be, each with the reason.
fn bad_creates() -> Vec<(Command, Refusal)> {
    let equal = |total, shares| terms(9, Kind::GroupEqual { chat: CHAT }, total, shares);
    let long = |bytes: usize| "x".repeat(bytes + 1);
    let nobody = UserId(99);
    vec![
        (create(lucky(1, 301, 3)), Refusal::AlreadyExists),
        (Command::CreatePacket { packet: id(9), terms: Box::new(lucky(1, 300, 3)) }, Refusal::AlreadyExists),
        (create(Terms { greeting: long(GREETING_BYTES_MAX), ..lucky(9, 9, 9) }), Refusal::GreetingTooLong),
        (create(Terms { cover: long(COVER_BYTES_MAX), ..lucky(9, 9, 9) }), Refusal::CoverTooLong),
        (create(lucky(9, 9, 0)), Refusal::BadShares),
        (create(Terms { shares: 2, ..direct(9, 2, 100) }), Refusal::BadShares),
        (create(Terms { shares: 1, ..exclusive(9, &[2, 3], 100) }), Refusal::BadShares),
        (create(exclusive(9, &[], 100)), Refusal::BadShares),
        (create(lucky(9, 1_000, 101)), Refusal::TooManyShares),
        (create(lucky(9, 9, 10)), Refusal::ShareBelowOneFen),
        (create(lucky(9, -1, 1)), Refusal::ShareBelowOneFen),
        (create(lucky(9, i64::MIN, 1)), Refusal::ShareBelowOneFen),
        (create(lucky(9, 40_001, 2)), Refusal::ShareAboveLimit),
        (create(lucky(9, i64::MAX, 100)), Refusal::ShareAboveLimit),
        (create(equal(100, 3)), Refusal::BadTotal),
        (create(exclusive(9, &[2, 3], 101)), Refusal::BadTotal),
        (create(Terms { life_ms: 0, ..lucky(9, 9, 9) }), Refusal::BadLife),
        (create(Terms { life_ms: LIFE_MS_MAX + 1, ..lucky(9, 9, 9) }), Refusal::BadLife),
        (create(direct(9, 1, 100)), Refusal::SenderIsRecipient),
        (create(direct(9, 99, 100)), Refusal::UserUnknown),
        (create(Terms { sender: nobody, ..lucky(9, 9, 9) }), Refusal::UserUnknown),
        (create(terms(9, Kind::GroupLucky { chat: ChatId(9) }, 9, 9)), Refusal::ChatUnknown),
        (create(Terms { sender: UserId(5), ..lucky(9, 9, 9) }), Refusal::NotMember),
        (create(exclusive(9, &[2, 5], 100)), Refusal::NotMember),
    ]
}

/// Other commands that must be refused, each with the reason.
fn others() -> Vec<(Command, Refusal)> {
    let nobody = UserId(99);
    vec![
        (open(id(9), 2), Refusal::PacketUnknown),
        (Command::CloseExpired { packet: id(9) }, Refusal::PacketUnknown),
        (Command::MarkRefunded { packet: id(9) }, Refusal::PacketUnknown),
        (Command::MarkCredited { packet: id(1), share: 1 }, Refusal::ClaimUnknown),
        (Command::MarkQueued { packet: id(2), share: 2 }, Refusal::ClaimUnknown),
        (name(2, "another"), Refusal::AlreadyExists),
        (
            Command::RegisterUser { user: UserId(2), account: AccountId(0), name: "user 2".to_owned() },
            Refusal::AlreadyExists,
        ),
        (Command::CreateChat { chat: CHAT, owner: UserId(2), name: "new year".to_owned() }, Refusal::AlreadyExists),
        (name(9, ""), Refusal::BadName),
        (name(9, &"x".repeat(NAME_BYTES_MAX + 1)), Refusal::BadName),
        (open(id(1), 99), Refusal::UserUnknown),
        (Command::JoinChat { chat: CHAT, user: nobody }, Refusal::UserUnknown),
        (Command::CreateChat { chat: ChatId(9), owner: nobody, name: "n".to_owned() }, Refusal::UserUnknown),
        (Command::JoinChat { chat: ChatId(9), user: UserId(2) }, Refusal::ChatUnknown),
        (open(id(1), 5), Refusal::NotYours),
        (open_in(1, 2, None), Refusal::NotYours),
        (open_in(1, 2, Some(ChatId(9))), Refusal::NotYours),
        (open_in(5, 3, None), Refusal::NotYours),
        (open_in(5, 1, None), Refusal::NotYours),
        (open(id(4), 2), Refusal::WrongPassword),
        (open(id(2), 3), Refusal::SoldOut),
        (open(id(3), 3), Refusal::Expired),
        (Command::CloseExpired { packet: id(1) }, Refusal::NotDue),
        (Command::MarkRefunded { packet: id(1) }, Refusal::NothingToRefund),
        (Command::MarkRefunded { packet: id(2) }, Refusal::NothingToRefund),
    ]
}

#[test]
fn every_refusal_is_given_for_its_reason() {
    let mut evening = evening();
    let mut seen = vec![Refusal::ChatFull];
    for (command, refusal) in bad_creates().into_iter().chain(others()) {
        let before: Vec<_> = evening.store.rows().map(|(key, value)| (key.clone(), value.clone())).collect();
        assert_eq!(evening.refused(&command), refusal, "{command:?}");
        let after: Vec<_> = evening.store.rows().map(|(key, value)| (key.clone(), value.clone())).collect();
        assert_eq!(before, after, "what was refused left no trace");
        seen.push(refusal);
    }
    evening.check();
    seen.sort_unstable();
    seen.dedup();
    assert_eq!(seen, Refusal::ALL, "the table gives every refusal");
}

#[test]
fn a_full_chat_refuses_newcomers_and_keeps_its_members() {
    let mut evening = Evening::with_users(u128::from(CHAT_MEMBERS_MAX));
    evening.run(&register(UserId(1_000)));
    assert_eq!(evening.refused(&Command::JoinChat { chat: CHAT, user: UserId(1_000) }), Refusal::ChatFull);
    assert_eq!(evening.run(&Command::JoinChat { chat: CHAT, user: UserId(2) }), Reply::Done);
    evening.check();
}

#[test]
fn of_several_reasons_the_lowest_number_is_given() {
    // Each step mends the reason that was given before.
    let long = "x".repeat(500);
    let mut bad = Terms {
        order: order(1),
        sender: UserId(99),
        greeting: long.clone(),
        cover: long,
        life_ms: 0,
        ..terms(1, Kind::GroupEqual { chat: ChatId(9) }, 0, 0)
    };
    let mend: [(Refusal, Mend); 11] = [
        (Refusal::AlreadyExists, |terms| terms.order = order(9)),
        (Refusal::GreetingTooLong, |terms| terms.greeting.clear()),
        (Refusal::CoverTooLong, |terms| terms.cover.clear()),
        (Refusal::BadShares, |terms| terms.shares = 101),
        (Refusal::TooManyShares, |terms| terms.shares = 3),
        (Refusal::ShareBelowOneFen, |terms| terms.total = Fen(60_001)),
        (Refusal::ShareAboveLimit, |terms| terms.total = Fen(100)),
        (Refusal::BadTotal, |terms| terms.total = Fen(99)),
        (Refusal::BadLife, |terms| terms.life_ms = LIFE_MS_DEFAULT),
        (Refusal::UserUnknown, |terms| terms.sender = UserId(5)),
        (Refusal::ChatUnknown, |terms| terms.kind = Kind::GroupEqual { chat: CHAT }),
    ];
    let mut evening = evening();
    for (refusal, mend) in mend {
        assert_eq!(evening.refused(&create(bad.clone())), refusal);
        mend(&mut bad);
    }
    assert_eq!(evening.refused(&create(bad.clone())), Refusal::NotMember);
    bad.sender = UserId(2);
    assert!(matches!(evening.run(&create(bad)), Reply::Created { .. }));
}

#[test]
fn of_several_reasons_against_an_open_the_lowest_number_is_given() {
    let mut evening = evening();
    let mut sold = Terms { password: Some(password(1)), ..lucky(20, 100, 1) };
    sold.life_ms = 1;
    let packet = evening.send(sold);
    let attempt = |user, byte| {
        let password = Some(password(byte));
        Command::Open(Open { packet, user: UserId(user), chat: Some(CHAT), password })
    };
    assert!(matches!(evening.run(&attempt(2, 1)), Reply::Opened(_)));
    evening.pass(1);
    assert_eq!(evening.refused(&attempt(99, 0)), Refusal::UserUnknown);
    assert_eq!(evening.refused(&attempt(5, 0)), Refusal::NotYours);
    assert_eq!(evening.refused(&attempt(3, 0)), Refusal::WrongPassword);
    assert_eq!(evening.refused(&attempt(3, 1)), Refusal::SoldOut);
    assert!(matches!(evening.run(&attempt(2, 0)), Reply::Opened(_)), "who has a share needs no password");
}

#[test]
fn a_repeated_create_gets_the_former_reply() {
    let mut evening = evening();
    let first = evening.run(&create(lucky(30, 300, 3)));
    evening.pass(77);
    evening.open(id(30), 2).expect("a share is left");
    assert_eq!(evening.run(&create(lucky(30, 300, 3))), first);
    evening.check();
}

#[test]
fn numbers_and_texts_are_pinned() {
    let numbers: Vec<u16> = Refusal::ALL.iter().map(|refusal| refusal.number()).collect();
    assert_eq!(numbers, (1..=23).collect::<Vec<u16>>());
    let mut texts: Vec<String> = Refusal::ALL.iter().map(ToString::to_string).collect();
    texts.sort();
    texts.dedup();
    assert_eq!(texts.len(), Refusal::ALL.len(), "each refusal has a text of its own");
}

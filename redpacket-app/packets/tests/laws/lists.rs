//! Lists: newest first, page by page without a gap, merged over groups; and the totals of a year.

use packets::limits::PAGE_ITEMS_MAX;
use packets::lists::{self, Cursor, Page};
use packets::read;
use packets::{ChatId, Command, CreditState, Fen, PacketId, Reply, UserId};

use crate::evening::{CHAT, Evening, SENDER, direct, lucky};

/// Turns all pages of `limit` items into one list of packets.
fn walk<T>(limit: usize, page: impl Fn(Option<Cursor>, usize) -> Page<T>) -> Vec<PacketId> {
    let (mut all, mut after) = (Vec::new(), None);
    loop {
        let page = page(after, limit);
        assert!(page.items.len() <= limit);
        all.extend(page.items.iter().map(|(at, _)| at.packet));
        after = page.next;
        if after.is_none() {
            return all;
        }
    }
}

#[test]
fn lists_are_newest_first_and_lose_nothing_between_pages() {
    let mut evening = Evening::with_users(2);
    let mut packets = Vec::new();
    for number in 1..=7 {
        packets.insert(0, evening.send(lucky(number, 100, 2)));
        evening.open(packets[0], 2).expect("a share is left");
        evening.pass(1);
    }
    let store = &evening.store;
    for limit in [1, 2, 3, 7, 8] {
        let sent = walk(limit, |after, limit| lists::sent(store, SENDER, after, limit).expect("rows"));
        let shown = walk(limit, |after, limit| lists::shown(store, CHAT, after, limit).expect("rows"));
        let received = walk(limit, |after, limit| lists::received(store, UserId(2), after, limit).expect("rows"));
        assert_eq!([&sent, &shown, &received], [&packets; 3], "pages of {limit}");
    }
    let page = lists::sent(store, SENDER, None, PAGE_ITEMS_MAX + 1).expect("rows");
    assert_eq!((page.items.len(), page.next), (7, None));
}

#[test]
fn pages_of_several_groups_merge_into_the_same_list() {
    let (mut left, mut right) = (Evening::with_users(1), Evening::with_users(1));
    let mut packets = Vec::new();
    for number in 1..=9 {
        let evening = if number % 3 == 0 { &mut left } else { &mut right };
        packets.insert(0, evening.send(lucky(number, 100, 1)));
        left.pass(1);
        right.pass(1);
    }
    let both = |after, limit| {
        let pages = [&left, &right].map(|evening| lists::sent(&evening.store, SENDER, after, limit).expect("rows"));
        Page::merge(pages.into(), limit)
    };
    for limit in [1, 2, 4, 9, 20] {
        assert_eq!(walk(limit, both), packets, "pages of {limit}");
    }
}

#[test]
fn a_received_share_waits_until_it_arrives() {
    let mut evening = Evening::with_users(2);
    let packet = evening.send(direct(1, 2, 88));
    let offered = lists::offered(&evening.store, UserId(2), None, 9).expect("rows");
    assert_eq!(offered.items.iter().map(|(at, _)| at.packet).collect::<Vec<_>>(), [packet]);
    evening.open(packet, 2).expect("it is for user 2");
    let states = [
        (None, CreditState::Waiting),
        (Some(Command::MarkQueued { packet, share: 1 }), CreditState::Queued),
        (Some(Command::MarkCredited { packet, share: 1 }), CreditState::Collected),
    ];
    for (command, state) in states {
        if let Some(command) = command {
            assert_eq!(evening.run(&command), Reply::Done);
        }
        let page = lists::received(&evening.store, UserId(2), None, 9).expect("rows");
        let items: Vec<_> = page.items.iter().map(|(_, item)| (item.share.state, item.share.fen)).collect();
        assert_eq!(items, [(state, Fen(88))]);
    }
    evening.check();
}

#[test]
fn totals_are_kept_by_the_year_of_beijing() {
    let mut evening = Evening::with_users(2);
    evening.pass(365 * 86_400_000 - 1);
    let packet = evening.send(lucky(1, 300, 2));
    let first = evening.open(packet, 2).expect("a share is left");
    evening.pass(1);
    let second = evening.open(packet, 1).expect("a share is left");
    let year = |user, year| read::year(&evening.store, UserId(user), year).expect("rows");
    assert_eq!((year(1, 2026).totals.sent, year(1, 2026).totals.sent_fen), (1, Fen(300)));
    assert_eq!((year(2, 2026).totals.received, year(2, 2026).totals.received_fen), (1, first.fen));
    assert_eq!((year(1, 2027).totals.received, year(1, 2027).totals.received_fen), (1, second.fen));
    let luckiest = if second.fen > first.fen { 1 } else { 2 };
    assert_eq!((year(luckiest, 2027).luckiest, year(3 - luckiest, 2027).luckiest), (1, 0));
    assert_eq!(year(9, 2027), read::YearView::default());
}

#[test]
fn members_and_chats_are_listed_by_id() {
    let mut evening = Evening::with_users(5);
    let other = ChatId(0xc1);
    evening.run(&Command::CreateChat { chat: other, owner: UserId(3), name: "family".to_owned() });
    let ids = |users: &[UserId]| users.iter().map(|user| user.0).collect::<Vec<_>>();
    let first = lists::members(&evening.store, CHAT, None, 3).expect("rows");
    assert_eq!(ids(&first), [1, 2, 3]);
    let rest = lists::members(&evening.store, CHAT, first.last().copied(), 3).expect("rows");
    assert_eq!(ids(&rest), [4, 5]);
    let chats = lists::chats_of(&evening.store, UserId(3), None, 9).expect("rows");
    assert_eq!(chats, [CHAT, other]);
    assert_eq!(lists::chats_of(&evening.store, UserId(3), Some(CHAT), 9).expect("rows"), [other]);
    assert_eq!(read::chat(&evening.store, CHAT).expect("rows").map(|chat| chat.members), Some(5));
    let names = read::users(&evening.store, &[UserId(2), UserId(77)]).expect("rows");
    assert_eq!(
        names.iter().map(|user| user.as_ref().map(|user| user.name.as_str())).collect::<Vec<_>>(),
        [Some("user 2"), None]
    );
    evening.check();
}

//! Golden bytes: commands, replies and rows as they stand in logs and on disks.
//!
//! Must never: be changed to fit the code. A new format gets a new tag or version.

use std::fmt::Write as _;

use machine::{Layout, TimestampMs};
use packets::{AccountId, ChatId, Command, Credit, Fen, Open, PacketId, Refund, Refusal, Reply, Terms, UserId};

use crate::evening::{CHAT, Evening, direct, exclusive, lucky, open, password};

/// Hexadecimal digits; `[n]` stands for n zero bytes, three at least.
fn hex(bytes: &[u8]) -> String {
    let mut text = String::new();
    for run in bytes.chunk_by(|left, right| left == right) {
        let written = match run {
            [0, 0, 0, ..] => write!(text, "[{}]", run.len()),
            _ => run.iter().try_for_each(|byte| write!(text, "{byte:02x}")),
        };
        written.expect("a String takes all");
    }
    text
}

fn check(table: &[(String, &str)]) {
    let wrong: Vec<String> =
        table.iter().filter(|(found, golden)| found != golden).map(|(found, _)| found.clone()).collect();
    assert!(wrong.is_empty(), "not golden:\n{}", wrong.join("\n"));
}

#[test]
fn commands_are_pinned() {
    let (packet, user) = (PacketId::new(0x0a00), UserId(2));
    let full = Terms { cover: "gold".to_owned(), password: Some(password(0xee)), ..lucky(10, 300, 3) };
    let opening = Open { packet, user, chat: None, password: Some(password(0xdd)) };
    let commands = [
        Command::RegisterUser { user, account: AccountId(3), name: "li".to_owned() },
        Command::CreateChat { chat: ChatId(4), owner: user, name: "us".to_owned() },
        Command::JoinChat { chat: ChatId(4), user },
        Command::CreatePacket { packet, terms: Box::new(full) },
        Command::CreatePacket { packet, terms: Box::new(direct(10, 2, 1)) },
        Command::CreatePacket { packet, terms: Box::new(exclusive(10, &[2, 3], 4)) },
        open(packet, 2),
        Command::Open(opening),
        Command::MarkQueued { packet, share: 1 },
        Command::MarkCredited { packet, share: 1 },
        Command::MarkRefunded { packet },
        Command::CloseExpired { packet },
        Command::Tick { packets: vec![packet] },
    ];
    let found = commands.iter().map(|command| hex(&command.to_bytes()));
    check(&found.zip(COMMANDS).collect::<Vec<_>>());
}

#[test]
fn replies_are_pinned() {
    let (packet, at) = (PacketId::new(0x0a00), TimestampMs(9));
    let (payer, payee) = (AccountId(1), AccountId(2));
    let credit = Credit { packet, share: 3, fen: Fen(4), claimed: at, payer, user: UserId(5), payee };
    let replies = [
        Reply::Refused(Refusal::Expired),
        Reply::Done,
        Reply::Created { created: at, expires: TimestampMs(10) },
        Reply::Opened(credit),
        Reply::Closed(vec![Refund { packet, payer, fen: Fen(6), ended: at }]),
    ];
    let found = replies.iter().map(|reply| hex(&reply.to_bytes()));
    check(&found.zip(REPLIES).collect::<Vec<_>>());
    for reply in replies {
        assert_eq!(Reply::from_bytes(&reply.to_bytes()), Ok(reply));
    }
}

#[test]
fn rows_are_pinned() {
    let mut evening = Evening::with_users(2);
    let sold = evening.send(lucky(1, 2, 2));
    let over = evening.send(Terms { life_ms: 1, ..direct(2, 2, 7) });
    for user in 1..=2 {
        evening.open(sold, user).expect("a share is left");
    }
    evening.send(exclusive(3, &[2], 5));
    evening.run(&Command::MarkCredited { packet: sold, share: 2 });
    evening.pass(1);
    evening.run(&Command::CloseExpired { packet: over });
    // Rows below 0x10 are the host's.
    let rows = evening.store.rows().filter(|(key, _)| key.first().is_some_and(|tag| *tag >= 0x10));
    let found: Vec<String> = rows.map(|(key, value)| format!("{} = {}", hex(key), hex(value))).collect();
    assert_eq!(CHAT, ChatId(0xc0));
    assert_eq!(found.len(), ROWS.len());
    check(&found.into_iter().zip(ROWS).collect::<Vec<_>>());
}

const COMMANDS: [&str; 13] = [
    "01[15]02[15]03[3]026c69",
    "02[15]04[15]02[3]027573",
    "03[15]04[15]02",
    "04[14]0a[15]0a[16]01[12]acc0000103[15]c0[6]012c0003[3]09676f6f64206c75636b[3]04676f6c6401eeeeeeeeeeeeeee\
     eeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeee[4]05265c00",
    "04[14]0a[15]0a[16]01[12]acc0000101[15]02[7]010001[3]09676f6f64206c75636b[9]05265c00",
    "04[14]0a[15]0a[16]01[12]acc0000104[15]c0[3]02[15]02[15]03[7]040002[3]09676f6f64206c75636b[9]05265c00",
    "05[14]0a[16]0201[15]c000",
    "05[14]0a[16]020001dddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddd",
    "06[14]0a000001",
    "07[14]0a000001",
    "08[14]0a00",
    "09[14]0a00",
    "0a[3]01[14]0a00",
];
const REPLIES: [&str; 5] =
    ["000015", "01", "02[7]09[7]0a", "03[14]0a000003[7]04[7]09[15]01[15]05[15]02", "04[3]01[14]0a[16]01[7]06[7]09"];
const ROWS: [&str; 33] = [
    "10[15]01 = 01[12]acc00001[3]067573657220310000019b752334[4]0107ea[7]03[7]0e[7]01[7]01",
    "10[15]02 = 01[12]acc00002[3]067573657220320000019b752334[4]0107ea[23]01[7]01",
    "11[15]c0 = 01[15]010000019b752334[4]02[3]086e65772079656172",
    "12[15]c0[15]01 = 010000019b75233400",
    "12[15]c0[15]02 = 010000019b75233400",
    "13[15]01[15]c0 = ",
    "13[15]02[15]c0 = ",
    "14[14]0100 = 01[14]0100",
    "14[14]0200 = 01[14]0200",
    "14[14]0300 = 01[14]0300",
    "20[14]0100 = 010000019b752334[15]01[16]01[12]acc0000103[15]c0[7]020002[3]09676f6f64206c75636b[9]05265c00",
    "20[14]0200 = 010000019b752334[15]02[16]01[12]acc0000101[15]02[7]070001[3]09676f6f64206c75636b[12]01",
    "20[14]0300 = 010000019b752334[15]03[16]01[12]acc0000104[15]c0[3]01[15]02[7]050001[3]09676f6f64206c75636b\
     [9]05265c00",
    "21[14]0100 = 010002[16]020000019b75233400010001[7]01[15]01",
    "21[14]0200 = 01[17]07030000019b7523340100",
    "21[14]0300 = 01[9]05[8]01[9]",
    "22[14]01[16]01 = 010001[7]010000019b75233400",
    "22[14]01[16]02 = 010002[7]010000019b75233400",
    "23[14]01000001 = 01[15]01[7]010000019b75233400010000019b75233400",
    "23[14]01000002 = 01[15]02[7]010000019b75233400030000019b75233400",
    "300000019b7a4990[15]0300 = ",
    "310000019b752334[15]01000001 = ",
    "320000019b75233401[14]0200 = ",
    "40[15]010000019b752334[15]0100 = ",
    "40[15]010000019b752334[15]0200 = ",
    "40[15]010000019b752334[15]0300 = ",
    "41[15]010000019b752334[15]0100 = ",
    "41[15]020000019b752334[15]0100 = ",
    "42[15]020000019b752334[15]0200 = ",
    "43[15]c00000019b752334[15]0100 = ",
    "43[15]c00000019b752334[15]0300 = ",
    "44[15]0107ea[14]0100 = ",
    "50 = 01[7]02[7]01[7]03[7]01[7]02[7]01[7]01[7]0e[7]05[7]02[7]01[7]07[8]",
];

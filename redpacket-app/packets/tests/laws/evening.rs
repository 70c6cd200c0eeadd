//! An evening in one group: the short road for commands, with users and a chat to begin with.
//!
//! Must never: let a command pass that leaves the audit unclean.

use std::collections::BTreeSet;

use machine::{GroupId, Host, LogIndex, MemoryStore, TimestampMs};
use packets::limits::LIFE_MS_DEFAULT;
use packets::{
    AccountId, ChatId, Command, Credit, Fen, Kind, Open, OrderId, PacketId, PacketsMachine, PasswordHash, Refusal,
    Reply, Terms, UserId, audit,
};

pub(crate) const GROUP: GroupId = GroupId(7);
pub(crate) const CHAT: ChatId = ChatId(0xc0);
pub(crate) const SENDER: UserId = UserId(1);
pub(crate) const START: TimestampMs = TimestampMs(1_767_196_800_000);

/// A group, its rows, and the time.
pub(crate) struct Evening {
    pub(crate) store: MemoryStore,
    pub(crate) host: Host<PacketsMachine>,
    pub(crate) index: u64,
    pub(crate) now: TimestampMs,
}

impl Evening {
    /// Nobody is there yet.
    pub(crate) fn empty() -> Self {
        let store = MemoryStore::default();
        let host = store.host(GROUP).expect("an empty store loads");
        Self { store, host, index: 0, now: START }
    }

    /// Users 1 to `users`, all in one chat.
    pub(crate) fn with_users(users: u128) -> Self {
        let mut evening = Self::empty();
        for user in 1..=users {
            assert_eq!(evening.run(&register(UserId(user))), Reply::Done);
        }
        let chat = Command::CreateChat { chat: CHAT, owner: SENDER, name: "new year".to_owned() };
        assert_eq!(evening.run(&chat), Reply::Done);
        for user in 2..=users {
            assert_eq!(evening.run(&Command::JoinChat { chat: CHAT, user: UserId(user) }), Reply::Done);
        }
        evening
    }

    /// Applies a command as an entry of its own.
    pub(crate) fn run(&mut self, command: &Command) -> Reply {
        self.index += 1;
        let (index, now) = (LogIndex(self.index), self.now);
        self.store.run(&mut self.host, index, now, command).expect("commands survive their own layout")
    }

    /// The refusal of a command that must be refused.
    pub(crate) fn refused(&mut self, command: &Command) -> Refusal {
        match self.run(command) {
            Reply::Refused(refusal) => refusal,
            other => panic!("not refused: {other:?}"),
        }
    }

    /// Creates a packet and answers its id.
    pub(crate) fn send(&mut self, terms: Terms) -> PacketId {
        let packet = PacketId::of_order(terms.order);
        let reply = self.run(&Command::CreatePacket { packet, terms: Box::new(terms) });
        assert!(matches!(reply, Reply::Created { .. }), "the packet was refused: {reply:?}");
        packet
    }

    /// Opens a packet of the chat.
    pub(crate) fn open(&mut self, packet: PacketId, user: u128) -> Result<Credit, Refusal> {
        match self.run(&open(packet, user)) {
            Reply::Opened(credit) => Ok(credit),
            Reply::Refused(refusal) => Err(refusal),
            other => panic!("an open is not answered by {other:?}"),
        }
    }

    /// Moves machine time on.
    pub(crate) fn pass(&mut self, ms: u64) {
        self.now = self.now.plus(ms);
    }

    /// Every law of the audit holds, and memory is what the rows say.
    pub(crate) fn check(&self) {
        let report = audit(&self.store, &mut |_| {}).expect("the rows can be read");
        assert!(report.is_clean(), "after entry {}: {:?}", self.index, report.findings);
        assert_eq!(&report.counts, self.host.machine().counts());
        let fen = &report.counts.fen;
        let sum = [fen.left, fen.claimed, fen.refunding, fen.refunded].into_iter().sum::<Fen>();
        assert_eq!(sum, fen.sent, "no fen is made or lost");
        let again = self.store.host::<PacketsMachine>(GROUP).expect("the rows load");
        assert_eq!(again.machine(), self.host.machine());
    }
}

pub(crate) fn account(user: UserId) -> AccountId {
    AccountId(user.0 | 0xacc0_0000)
}

pub(crate) fn register(user: UserId) -> Command {
    Command::RegisterUser { user, account: account(user), name: format!("user {}", user.0) }
}

pub(crate) fn order(number: u128) -> OrderId {
    OrderId(number << 8)
}

pub(crate) fn open(packet: PacketId, user: u128) -> Command {
    Command::Open(Open { packet, user: UserId(user), chat: Some(CHAT), password: None })
}

/// Terms of a packet from [`SENDER`].
pub(crate) fn terms(number: u128, kind: Kind, total: i64, shares: u16) -> Terms {
    Terms {
        order: order(number),
        sender: SENDER,
        payer: account(SENDER),
        kind,
        total: Fen(total),
        shares,
        greeting: "good luck".to_owned(),
        cover: String::new(),
        password: None,
        life_ms: LIFE_MS_DEFAULT,
    }
}

pub(crate) fn lucky(number: u128, total: i64, shares: u16) -> Terms {
    terms(number, Kind::GroupLucky { chat: CHAT }, total, shares)
}

pub(crate) fn direct(number: u128, recipient: u128, total: i64) -> Terms {
    terms(number, Kind::Direct { recipient: UserId(recipient) }, total, 1)
}

pub(crate) fn exclusive(number: u128, users: &[u128], total: i64) -> Terms {
    let users: BTreeSet<UserId> = users.iter().copied().map(UserId).collect();
    let shares = u16::try_from(users.len()).expect("a test names few users");
    terms(number, Kind::Exclusive { chat: CHAT, users }, total, shares)
}

pub(crate) fn password(byte: u8) -> PasswordHash {
    PasswordHash([byte; 32])
}

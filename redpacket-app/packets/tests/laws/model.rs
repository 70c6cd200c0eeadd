//! A naive model of a group: lists that are searched from the front, no rows and no indexes.
//!
//! Must never: draw. It takes the fen of a share from the machine and checks that they were possible.

use std::collections::BTreeSet;

use machine::TimestampMs;
use packets::{Command, Fen, Kind, PacketId, Refund, Refusal, Reply, Terms, UserId, bounds, check_terms};

#[derive(Debug)]
struct Claimed {
    user: UserId,
    reply: Reply,
    fen: Fen,
}

#[derive(Debug)]
struct Sent {
    id: PacketId,
    terms: Terms,
    created: TimestampMs,
    claims: Vec<Claimed>,
    /// When it was closed with fen left, and whether these are booked.
    closed: Option<(TimestampMs, bool)>,
}

impl Sent {
    fn expires(&self) -> TimestampMs {
        self.created.plus(self.terms.life_ms)
    }

    fn left(&self) -> Fen {
        self.terms.total.minus(self.claims.iter().map(|claim| claim.fen).sum())
    }

    fn is_sold_out(&self) -> bool {
        self.claims.len() == usize::from(self.terms.shares)
    }

    fn refund(&self, ended: TimestampMs) -> Refund {
        Refund { packet: self.id, payer: self.terms.payer, fen: self.left(), ended }
    }
}

/// Everything that happened, for users 1 to `users`, all of them in one chat.
#[derive(Debug)]
pub(crate) struct Model {
    users: BTreeSet<UserId>,
    packets: Vec<Sent>,
}

impl Model {
    pub(crate) fn new(users: u128) -> Self {
        Self { users: (1..=users).map(UserId).collect(), packets: Vec::new() }
    }

    /// Checks the machine's reply to `command`, and remembers what it did.
    pub(crate) fn check(&mut self, command: &Command, now: TimestampMs, reply: &Reply) {
        let expected = match command {
            Command::CreatePacket { packet, terms } => self.create(*packet, terms, now),
            Command::Open(open) => self.open(open.packet, open.user, now, reply),
            Command::MarkQueued { packet, share } | Command::MarkCredited { packet, share } => {
                let claims = self.find(*packet).map_or(0, |sent| sent.claims.len());
                let is_known = (1..=claims).contains(&usize::from(*share));
                if is_known { Ok(Reply::Done) } else { Err(Refusal::ClaimUnknown) }
            }
            Command::MarkRefunded { packet } => self.mark_refunded(*packet),
            Command::CloseExpired { packet } => self.close(*packet, now),
            Command::Tick { packets } => Ok(self.tick(packets, now)),
            other => panic!("the model does not know {other:?}"),
        };
        assert_eq!(reply, &expected.unwrap_or_else(Reply::Refused), "{command:?}");
    }

    fn find(&mut self, id: PacketId) -> Option<&mut Sent> {
        self.packets.iter_mut().find(|sent| sent.id == id)
    }

    fn create(&mut self, id: PacketId, terms: &Terms, now: TimestampMs) -> Result<Reply, Refusal> {
        let created = |created: TimestampMs| Reply::Created { created, expires: created.plus(terms.life_ms) };
        if let Some(known) = self.packets.iter().find(|sent| sent.id == id || sent.terms.order == terms.order) {
            let is_same = known.id == id && known.terms == *terms;
            return if is_same { Ok(created(known.created)) } else { Err(Refusal::AlreadyExists) };
        }
        check_terms(terms)?;
        let claims = Vec::new();
        self.packets.push(Sent { id, terms: terms.clone(), created: now, claims, closed: None });
        Ok(created(now))
    }

    fn open(&mut self, id: PacketId, user: UserId, now: TimestampMs, reply: &Reply) -> Result<Reply, Refusal> {
        let is_member = self.users.contains(&user);
        let sent = self.find(id).ok_or(Refusal::PacketUnknown)?;
        if !is_member {
            return Err(Refusal::UserUnknown);
        }
        if let Some(claim) = sent.claims.iter().find(|claim| claim.user == user) {
            return Ok(claim.reply.clone());
        }
        let is_admitted = match &sent.terms.kind {
            Kind::Direct { recipient } => *recipient == user,
            Kind::Exclusive { users, .. } => users.contains(&user),
            Kind::GroupEqual { .. } | Kind::GroupLucky { .. } => true,
        };
        if !is_admitted {
            return Err(Refusal::NotYours);
        }
        if sent.is_sold_out() {
            return Err(Refusal::SoldOut);
        }
        if now >= sent.expires() {
            return Err(Refusal::Expired);
        }
        let Reply::Opened(credit) = reply else { panic!("a share was left for {user:?}, not {reply:?}") };
        let rest = sent.terms.shares - u16::try_from(sent.claims.len()).expect("few claims");
        let (least, most) = bounds(sent.left(), rest);
        let is_possible = if sent.terms.kind.is_lucky() {
            least <= credit.fen && credit.fen <= most
        } else {
            credit.fen.0 * i64::from(sent.terms.shares) == sent.terms.total.0
        };
        assert!(is_possible, "{} of {} for {rest}", credit.fen, sent.left());
        assert_eq!((credit.user, credit.claimed, credit.payer), (user, now, sent.terms.payer));
        assert_eq!(usize::from(credit.share), sent.claims.len() + 1);
        sent.claims.push(Claimed { user, reply: reply.clone(), fen: credit.fen });
        Ok(reply.clone())
    }

    fn mark_refunded(&mut self, id: PacketId) -> Result<Reply, Refusal> {
        let sent = self.find(id).ok_or(Refusal::PacketUnknown)?;
        let closed = sent.closed.as_mut().ok_or(Refusal::NothingToRefund)?;
        closed.1 = true;
        Ok(Reply::Done)
    }

    fn close(&mut self, id: PacketId, now: TimestampMs) -> Result<Reply, Refusal> {
        let sent = self.find(id).ok_or(Refusal::PacketUnknown)?;
        if now < sent.expires() {
            return Err(Refusal::NotDue);
        }
        let ended = if sent.is_sold_out() {
            let last = sent.claims.last().map(|claim| &claim.reply);
            let Some(Reply::Opened(credit)) = last else { panic!("a claim is an opened share") };
            credit.claimed
        } else {
            sent.closed.get_or_insert((now, false)).0
        };
        Ok(Reply::Closed(vec![sent.refund(ended)]))
    }

    fn tick(&mut self, packets: &[PacketId], now: TimestampMs) -> Reply {
        let mut refunds = Vec::new();
        for id in packets {
            let Some(sent) = self.find(*id) else { continue };
            if sent.closed.is_none() && !sent.is_sold_out() && now >= sent.expires() {
                sent.closed = Some((now, false));
                refunds.push(sent.refund(now));
            }
        }
        Reply::Closed(refunds)
    }
}

//! Red packets, between the wire and the roles.
//!
//! Must never: show a password, not even its hash.

use std::collections::BTreeSet;

use bytes::Bytes;
use ledger::{BillLine as Line, TransferKey};
use machine::Layout as _;
use packets::lists::{PacketItem, ReceivedItem};
use packets::read::{PacketView, YearView};
use packets::{
    Credit, CreditState as State, Fen, Kind, OrderId, Packet as Stored, PacketId, PasswordHash, Phase, Progress, Share,
    Terms, YearTotals as Totals,
};
use proto::packet::v1 as wire;
use proto::packet::v1::{
    BillKind, BillLine, BillReply, Claim, CreditState, GetPacketReply, OrderReply, OrderState, Packet, PacketKind,
    PacketState, Received, SendPacketRequest, YearTotals,
};
use sha2::{Digest as _, Sha256};

use super::convert::{id, user, wire_id};
use crate::failure::{DoorRefusal, Failure};
use crate::packet::open::Opened;
use crate::packet::settle::Standing;
use crate::packet::show::Shown;
use crate::pay::order::{OrderStage, OrderStanding};
use crate::tenpay::accounts::wallet;

/// What a sender asks for. Refuses: `BadId`, `BadField`, `BadKind`.
pub(super) fn terms(request: SendPacketRequest) -> Result<Terms, Failure> {
    let sender = user(&request.sender)?;
    Ok(Terms {
        order: OrderId(id(&request.order)?),
        sender,
        payer: packets::AccountId(wallet(sender).0),
        kind: kind(&request)?,
        total: Fen(request.total_fen),
        shares: u16::try_from(request.shares).map_err(|_| DoorRefusal::BadField)?,
        greeting: request.greeting,
        cover: request.cover,
        password: password(&request.password),
        life_ms: if request.life_ms == 0 { packets::limits::LIFE_MS_DEFAULT } else { request.life_ms },
    })
}

/// What is kept and compared of a password.
pub(super) fn password(given: &str) -> Option<PasswordHash> {
    (!given.is_empty()).then(|| PasswordHash(Sha256::digest(given).into()))
}

/// Refuses: `BadId`, `BadKind`.
fn kind(request: &SendPacketRequest) -> Result<Kind, Failure> {
    let chat = || id(&request.chat).map(packets::ChatId);
    let recipients = request.recipients.iter().map(user).collect::<Result<Vec<_>, _>>()?;
    match (request.kind(), recipients.as_slice()) {
        (PacketKind::Direct, [recipient]) if request.chat.is_empty() => Ok(Kind::Direct { recipient: *recipient }),
        (PacketKind::GroupEqual, []) => Ok(Kind::GroupEqual { chat: chat()? }),
        (PacketKind::GroupLucky, []) => Ok(Kind::GroupLucky { chat: chat()? }),
        (PacketKind::Exclusive, [_, ..]) => {
            let users: BTreeSet<_> = recipients.iter().copied().collect();
            Ok(Kind::Exclusive { chat: chat()?, users })
        }
        _ => Err(DoorRefusal::BadKind.into()),
    }
}

/// A share as its opener is told.
pub(super) fn opened(opened: &Opened) -> Claim {
    let credit = match opened.standing {
        Standing::Arrived => CreditState::Arrived,
        Standing::Waiting => CreditState::Waiting,
        Standing::Unknown => CreditState::Unknown,
    };
    Claim { credit: credit.into(), ..claimed(&opened.credit) }
}

/// A share that a user has, its credit not looked at.
pub(super) fn claimed(credit: &Credit) -> Claim {
    Claim {
        user: wire_id(credit.user.0),
        name: String::new(),
        share: u32::from(credit.share),
        fen: credit.fen.0,
        claimed_ms: credit.claimed.0,
        credit: CreditState::Unspecified.into(),
        credit_id: wire_id(credit.id().0),
    }
}

/// A share in a list. An uncredited mark is a promise that is kept: whoever sees it waits.
fn share(packet: PacketId, number: u16, share: &Share, name: &str) -> Claim {
    let credit = match share.state {
        State::Waiting | State::Queued => CreditState::Waiting,
        State::Credited | State::Collected => CreditState::Arrived,
    };
    Claim {
        user: wire_id(share.user.0),
        name: name.to_owned(),
        share: u32::from(number),
        fen: share.fen.0,
        claimed_ms: share.claimed.0,
        credit: credit.into(),
        credit_id: wire_id(packets::credit_id(packet, number).0),
    }
}

/// A packet with its claims.
pub(super) fn shown(shown: &Shown) -> GetPacketReply {
    let PacketView { id, packet, progress, shares } = &shown.view;
    let claims = (1_u16..).zip(shares.iter().zip(&shown.names));
    let is_decided = progress.luckiest(packet).is_some();
    GetPacketReply {
        packet: Some(self::packet(*id, packet, progress, &shown.sender)),
        claims: claims.map(|(number, (taken, name))| share(*id, number, taken, name)).collect(),
        luckiest_share: progress.best.filter(|_| is_decided).map_or(0, |best| u32::from(best.share)),
    }
}

/// A packet of a list.
pub(in crate::doors) fn item(id: PacketId, item: &PacketItem, sender: &str) -> Packet {
    packet(id, &item.packet, &item.progress, sender)
}

/// A share of a list.
pub(in crate::doors) fn received(id: PacketId, item: &ReceivedItem, sender: &str) -> Received {
    let terms = &item.packet.terms;
    Received {
        packet: wire_id(id.bits()),
        sender: wire_id(terms.sender.0),
        sender_name: sender.to_owned(),
        kind: wire_kind(&terms.kind).into(),
        claim: Some(share(id, item.number, &item.share, "")),
        is_luckiest: item.is_luckiest,
    }
}

fn packet(id: PacketId, packet: &Stored, progress: &Progress, sender: &str) -> Packet {
    let terms = &packet.terms;
    let state = match progress.phase {
        Phase::Live => PacketState::Live,
        Phase::SoldOut => PacketState::SoldOut,
        Phase::RefundPending => PacketState::Expired,
        Phase::Refunded => PacketState::Refunded,
    };
    Packet {
        packet: wire_id(id.bits()),
        order: wire_id(terms.order.0),
        sender: wire_id(terms.sender.0),
        sender_name: sender.to_owned(),
        kind: wire_kind(&terms.kind).into(),
        chat: terms.kind.chat().map_or_else(Bytes::new, |chat| wire_id(chat.0)),
        total_fen: terms.total.0,
        left_fen: progress.left.0,
        shares: u32::from(terms.shares),
        shares_left: u32::from(progress.shares_left(packet)),
        greeting: terms.greeting.clone(),
        cover: terms.cover.clone(),
        has_password: terms.password.is_some(),
        state: state.into(),
        created_ms: packet.created.0,
        expires_ms: packet.expires().0,
    }
}

const fn wire_kind(kind: &Kind) -> PacketKind {
    match kind {
        Kind::Direct { .. } => PacketKind::Direct,
        Kind::GroupEqual { .. } => PacketKind::GroupEqual,
        Kind::GroupLucky { .. } => PacketKind::GroupLucky,
        Kind::Exclusive { .. } => PacketKind::Exclusive,
    }
}

/// What years came to: of packets sent, or of shares received.
pub(super) fn years(years: &[(u16, YearView)], is_sent: bool) -> Vec<YearTotals> {
    let year = |(year, view): &(u16, YearView)| {
        let Totals { sent, sent_fen, received, received_fen } = view.totals;
        let (count, fen, luckiest) =
            if is_sent { (sent, sent_fen, 0) } else { (received, received_fen, view.luckiest) };
        YearTotals { year: u32::from(*year), count, fen: fen.0, luckiest }
    };
    years.iter().map(year).filter(|year| year.count > 0).collect()
}

/// A payment.
pub(super) fn order(standing: &OrderStanding) -> OrderReply {
    let state = match standing.stage {
        OrderStage::Absent => OrderState::Absent,
        OrderStage::Paid => OrderState::Paid,
        OrderStage::Sent => OrderState::Sent,
        OrderStage::Cancelled => OrderState::Cancelled,
        OrderStage::Refunded => OrderState::Refunded,
    };
    OrderReply {
        state: state.into(),
        packet: standing.packet.map_or_else(Bytes::new, |packet| wire_id(packet.bits())),
        total_fen: standing.total,
        refunded_fen: standing.refunded,
        paid_ms: standing.paid.0,
    }
}

/// A page of a bill; `page.next` names the journal entry at which the next page begins.
pub(super) fn bill(page: &ledger::BillPage) -> BillReply {
    BillReply { lines: page.lines.iter().map(bill_line).collect(), next: page.next.map_or(0, |number| number.0) }
}

fn bill_line(line: &Line) -> BillLine {
    let (kind, packet) = match line.entry.key {
        TransferKey::Order(_) => (BillKind::PacketSent, escrow_of(line)),
        TransferKey::Credit(share) | TransferKey::Arrival(_, share) => (BillKind::ShareReceived, Some(share.packet)),
        TransferKey::Refund(packet) => (BillKind::PacketRefunded, Some(packet)),
        _ if line.kind == ledger::BillKind::Payment => (payment_kind(line), None),
        TransferKey::Own(_) => (own_kind(line), None),
        TransferKey::Crossing(..) | TransferKey::Bounce(..) | TransferKey::Returned(..) => (BillKind::Transfer, None),
    };
    BillLine {
        number: line.number.0,
        kind: kind.into(),
        amount_fen: line.change.0,
        balance_fen: line.balance.0,
        transfer: transfer_id(line.entry.key),
        packet: packet.map_or_else(Bytes::new, |packet| wire_id(packet.0)),
        booked_ms: line.entry.at.0,
    }
}

fn escrow_of(line: &Line) -> Option<ledger::PacketId> {
    if let ledger::AccountKey::Escrow(packet) = line.entry.credit { Some(packet) } else { None }
}

const fn payment_kind(line: &Line) -> BillKind {
    if line.entry.code == ledger::REFUND_CODE { BillKind::OrderRefunded } else { BillKind::OrderPaid }
}

const fn own_kind(line: &Line) -> BillKind {
    match (line.entry.debit, line.entry.credit) {
        (ledger::AccountKey::Issue(_), _) => BillKind::Funded,
        (_, ledger::AccountKey::Issue(_)) => BillKind::Withdrawn,
        (ledger::AccountKey::Customer(_), ledger::AccountKey::Customer(_) | ledger::AccountKey::Clearing(..)) => {
            BillKind::Transfer
        }
        _ => BillKind::Unspecified,
    }
}

/// The 16 bytes by which a transfer is known outside the ledger.
pub(super) fn transfer_id(key: TransferKey) -> Bytes {
    match key {
        TransferKey::Own(id)
        | TransferKey::Crossing(_, id)
        | TransferKey::Bounce(_, id)
        | TransferKey::Returned(_, id) => wire_id(id.0),
        TransferKey::Order(order) => wire_id(order.0),
        TransferKey::Credit(share) | TransferKey::Arrival(_, share) => {
            let number = u16::try_from(share.share).unwrap_or(u16::MAX);
            packets::credit_id(PacketId::new(share.packet.0), number).to_bytes()
        }
        TransferKey::Refund(packet) => packets::refund_id(PacketId::new(packet.0)).to_bytes(),
    }
}

/// The state of a packet that was paid just now.
pub(super) const fn paid_state(is_made: bool) -> wire::OrderState {
    if is_made { OrderState::Sent } else { OrderState::Paid }
}

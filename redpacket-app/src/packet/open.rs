//! Grab and open: is a share left, and who gets it.
//!
//! ```text
//!  open ─> gate: sold out, or this user's former share ─> answered here
//!    │
//!    └──> packet's group: draws, records the claim as uncredited ─> settle: arrived | waiting | unknown
//! ```
//!
//! Why: a hot packet is asked for by far more people than it has shares. What stays true (sold out, a share somebody
//! has) is answered by any node from what it knows; only who may still win goes through the log.
//!
//! Must never: refuse, from old knowledge, what may have become true since.

use std::sync::Arc;

use packets::read::{GrabAnswer, grab};
use packets::{Command, Credit, CreditState, Gate, Known, Open, PacketId, PasswordHash, Refusal, Reply, UserId, read};
use parking_lot::Mutex;
use tokio::time::Instant;

use crate::access::switches::Switches;
use crate::failure::{Failure, unexpected};
use crate::homes::{Homes, PacketsShard};
use crate::limits::{BOOK_AT_ONCE, COMMAND_DEADLINE};
use crate::packet::settle::{Book, Keep, Standing, settle};
use crate::queues::Queues;
use crate::tenpay::booking::{Booked, Booking};
use crate::tenpay::marks::Marks;
use crate::tenpay::pending::Pending;

/// Opens packets.
#[derive(Clone)]
pub(crate) struct Opening {
    pub(crate) homes: Arc<Homes>,
    pub(crate) booking: Booking,
    pub(crate) queues: Queues,
    pub(crate) marks: Marks,
    pub(crate) pending: Pending,
    pub(crate) gate: Arc<Mutex<Gate>>,
    pub(crate) switches: Arc<Switches>,
}

/// What a grab finds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Grabbed {
    /// The user may try to open the packet.
    Left {
        /// Shares left at this moment.
        shares: u16,
        /// Whether the open needs a password.
        needs_password: bool,
    },
    /// The user has this share already.
    Claimed(Credit),
}

/// Who wants to open what.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Asked {
    /// The packet.
    pub(crate) packet: PacketId,
    /// Who wants a share.
    pub(crate) user: UserId,
    /// How urgent it is, as the admission counts it.
    pub(crate) level: u32,
}

/// A share that a user has, and how its credit stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Opened {
    /// The share.
    pub(crate) credit: Credit,
    /// How its credit stands.
    pub(crate) standing: Standing,
}

impl Opening {
    /// Whether a share is left for `user`, or this user has one. Reserves nothing. Refuses: as [`grab`]. Errors: `Busy`,
    /// the packet's group would not take the open.
    pub(crate) async fn grab(&self, packet: PacketId, user: UserId, level: u32) -> Result<Grabbed, Failure> {
        if let Some(Known::Over(refusal)) = self.known(packet, user) {
            return Err(refusal.into());
        }
        self.homes.packet(packet).callee.lets(level, Instant::now())?;
        match self.look(packet, user).await? {
            GrabAnswer::Left { shares, needs_password, .. } => Ok(Grabbed::Left { shares, needs_password }),
            GrabAnswer::Claimed(credit) => Ok(Grabbed::Claimed(credit)),
            GrabAnswer::Refused(refusal) => Err(refusal.into()),
        }
    }

    /// Takes a share; a repeat gets the same one. Refuses: as [`Command::Open`]. Errors: `Busy`, too.
    pub(crate) async fn open(&self, asked: Asked, password: Option<PasswordHash>) -> Result<Opened, Failure> {
        let Asked { packet, user, level } = asked;
        match self.known(packet, user) {
            Some(Known::Claimed(credit)) => return self.again(credit).await,
            Some(Known::Over(refusal)) => return Err(refusal.into()),
            None => {}
        }
        let shard = self.homes.packet(packet);
        shard.callee.lets(level, Instant::now())?;
        let chat = match self.look(packet, user).await? {
            GrabAnswer::Claimed(credit) => return self.again(credit).await,
            GrabAnswer::Refused(refusal) => return Err(refusal.into()),
            GrabAnswer::Left { chat, .. } => chat,
        };
        let open = Command::Open(Open { packet, user, chat, password });
        match shard.command_as(level, &open, COMMAND_DEADLINE).await?.reply {
            Reply::Opened(credit) => {
                self.gate.lock().learn_claim(&credit);
                let standing = settle(&credit, self, self).await;
                Ok(Opened { credit, standing })
            }
            Reply::Refused(refusal) => {
                self.learn_over(shard, packet, refusal)?;
                Err(refusal.into())
            }
            other => Err(unexpected(&other)),
        }
    }

    fn known(&self, packet: PacketId, user: UserId) -> Option<Known> {
        self.gate.lock().ask(packet, user)
    }

    /// How the packet stands for `user`: by what is applied here where that stays true, else freshly.
    async fn look(&self, packet: PacketId, user: UserId) -> Result<GrabAnswer, Failure> {
        let shard = self.homes.packet(packet);
        let answer = shard.stale(|seen| grab(seen.rows, packet, user, seen.now))??;
        match answer {
            GrabAnswer::Left { .. } | GrabAnswer::Claimed(_) | GrabAnswer::Refused(Refusal::SoldOut) => {
                if answer == GrabAnswer::Refused(Refusal::SoldOut) {
                    self.learn_over(shard, packet, Refusal::SoldOut)?;
                }
                Ok(answer)
            }
            GrabAnswer::Refused(_) => Ok(shard.fresh(|seen| grab(seen.rows, packet, user, seen.now)).await??),
        }
    }

    /// Remembers that a packet is over, once this node knows all who have a share of it.
    fn learn_over(&self, shard: &PacketsShard, packet: PacketId, refusal: Refusal) -> Result<(), Failure> {
        if refusal != Refusal::SoldOut {
            return Ok(());
        }
        let view = shard.stale(|seen| read::packet(seen.rows, packet))??;
        if let Some(view) = view.filter(|view| view.shares.len() == usize::from(view.packet.terms.shares)) {
            self.gate.lock().learn_over(packet, refusal, view.holders());
        }
        Ok(())
    }

    /// A share that the user has had before: how its credit stands now.
    async fn again(&self, credit: Credit) -> Result<Opened, Failure> {
        let shard = self.homes.packet(credit.packet);
        let view = shard.stale(|seen| read::packet(seen.rows, credit.packet))??;
        let share = view.and_then(|view| view.shares.get(usize::from(credit.share).saturating_sub(1)).copied());
        let standing = match share.map(|share| share.state) {
            Some(CreditState::Credited | CreditState::Collected) => Standing::Arrived,
            Some(CreditState::Queued) => Standing::Waiting,
            Some(CreditState::Waiting) | None => settle(&credit, self, self).await,
        };
        Ok(Opened { credit, standing })
    }
}

impl Book for Opening {
    async fn has_landed(&self, credit: &Credit) -> bool {
        if self.switches.is_queueing_credits() {
            return false;
        }
        let is_landed = match self.booking.credit(credit, BOOK_AT_ONCE).await {
            Ok(booked) => booked == Booked::Landed,
            Err(failure) => {
                if matches!(failure, Failure::Refused(_)) {
                    tracing::error!(packet = credit.packet.bits(), share = credit.share, %failure, "a credit cannot be booked");
                }
                false
            }
        };
        if is_landed {
            self.marks.credited_soon(credit);
        }
        is_landed
    }
}

impl Keep for Opening {
    async fn is_kept(&self, credit: &Credit) -> bool {
        // The mark and the index only inform; the phone waits for the queue alone.
        let (marks, pending, copy) = (self.marks.clone(), self.pending.clone(), *credit);
        tokio::spawn(async move {
            let (marked, ()) = tokio::join!(marks.queued(&copy), pending.announce(&copy));
            if let Err(failure) = marked {
                tracing::debug!(%failure, "a mark is late; the sweep will find the claim");
            }
        });
        match self.queues.keep_credit(credit).await {
            Ok(()) => true,
            Err(failure) => {
                tracing::warn!(%failure, "the queue does not say that it keeps a credit");
                false
            }
        }
    }
}

//! The roles of a node, put together; doors call them, workers serve them.
//!
//! Must never: decide anything. Who is asked what stands here, and nothing else.

use std::path::PathBuf;
use std::sync::Arc;

use machine::{GroupId, TimestampMs};
use packets::{Gate, Terms, UserId};
use parking_lot::Mutex;
use queue_client::Error;
use replica::Replica;
use tokio::sync::Semaphore;
use tokio::time::Instant;

use crate::access::entrance::Entrance;
use crate::access::listeners::Listeners;
use crate::access::rates::Lockouts;
use crate::access::session::Sessions;
use crate::access::switches::Switches;
use crate::audit::patrol::Watchbook;
use crate::audit::rounds::Findings;
use crate::audit::{self, check::Report};
use crate::config::Config;
use crate::failure::{DoorRefusal, Failure};
use crate::homes::Homes;
use crate::limits::{AUDIT_GRACE_MS, FUND_FEN_MAX, READY_LAG_MAX, STREAMS_MAX};
use crate::packet::open::Opening;
use crate::packet::people::People;
use crate::pay::{Judge, Making, Notices, Orders, Paid, Passwords, Risk, Sending};
use crate::queues::Queues;
use crate::seals::Seals;
use crate::tenpay::accounts::Accounts;
use crate::tenpay::booking::Booking;
use crate::tenpay::marks::Marks;
use crate::tenpay::pending::Pending;

/// All roles of a node.
pub(crate) struct App {
    pub(crate) replica: Arc<Replica>,
    pub(crate) homes: Arc<Homes>,
    pub(crate) entrance: Entrance,
    /// Its certificates and doors.
    pub(crate) seals: Seals,
    /// What an operator has given up.
    pub(crate) switches: Arc<Switches>,
    /// Folder of the node's data.
    pub(crate) data: PathBuf,
    pub(crate) sessions: Sessions,
    /// Who has guessed passwords.
    pub(crate) guesses: Lockouts<UserId>,
    /// Phones that listen to their news.
    pub(crate) listeners: Listeners,
    pub(crate) people: People,
    pub(crate) accounts: Accounts,
    pub(crate) sending: Sending,
    pub(crate) opening: Opening,
    /// Orders of merchants.
    pub(crate) orders: Orders,
    /// What merchants are told.
    pub(crate) notices: Notices,
    /// Who may spend.
    pub(crate) passwords: Passwords,
    /// What the patrol knows.
    pub(crate) watchbook: Watchbook,
    /// What the rounds of the whole have found.
    pub(crate) findings: Findings,
    /// Places for streams of bills and journals.
    pub(crate) streams: Arc<Semaphore>,
    pub(crate) started: Instant,
    /// A claim uncredited for this long is put into the queue again.
    pub(crate) resend_after_ms: u64,
}

impl App {
    /// Puts the roles together. Errors: an address of the queue is none.
    pub(crate) fn new(
        config: &Config,
        replica: Arc<Replica>,
        homes: Arc<Homes>,
        seals: Seals,
        judge: Option<Arc<dyn Judge>>,
    ) -> Result<Self, Error> {
        let switches = Arc::new(Switches::default());
        let booking = Booking::start(Arc::clone(&homes));
        let queues = Queues::new(&config.queues, config.queue_key.as_deref(), seals.identity.keeper())?;
        let pending = Pending::new(Arc::clone(&homes), booking.clone());
        let accounts = Accounts { homes: Arc::clone(&homes), booking: booking.clone() };
        let making = Making { homes: Arc::clone(&homes), booking: booking.clone(), queues: queues.clone() };
        let sending = Sending {
            homes: Arc::clone(&homes),
            accounts: accounts.clone(),
            pending: pending.clone(),
            making,
            allowed: config.allowed(),
        };
        let sessions = Sessions::new(config.session_key.as_deref().unwrap_or_default(), config.open_registration);
        let orders = Orders {
            homes: Arc::clone(&homes),
            accounts: accounts.clone(),
            pending: pending.clone(),
            risk: Arc::new(Risk::new(judge)),
        };
        let notices = Notices { queues: queues.clone(), sessions: sessions.clone() };
        let passwords = Passwords::new(Arc::clone(&homes), booking.clone());
        let opening = Opening {
            homes: Arc::clone(&homes),
            booking,
            queues,
            marks: Marks::start(Arc::clone(&homes)),
            pending,
            gate: Arc::new(Mutex::new(Gate::default())),
            switches: Arc::clone(&switches),
        };
        Ok(Self {
            replica,
            people: People { homes: Arc::clone(&homes) },
            homes,
            entrance: Entrance::new(config.user_rate(), config.address_rate, Arc::clone(&switches)),
            seals,
            switches,
            data: config.data.clone(),
            guesses: Lockouts::default(),
            sessions,
            orders,
            notices,
            passwords,
            listeners: Listeners::default(),
            accounts,
            sending,
            opening,
            watchbook: Watchbook::default(),
            findings: Findings::default(),
            streams: Arc::new(Semaphore::new(STREAMS_MAX)),
            started: Instant::now(),
            resend_after_ms: config.resend_after_ms,
        })
    }

    /// Registers a user with a wallet; answers a session token.
    ///
    /// Refuses: `BadField`, `FundingClosed`, `FundTooLarge`; as the packets' `RegisterUser` and the ledger's `OpenAccount`.
    pub(crate) async fn register(&self, user: UserId, name: &str, fund_fen: i64) -> Result<String, Failure> {
        self.check_funding(fund_fen)?;
        // The name first: it is what may be refused, and a wallet without a user would hold money of nobody.
        self.people.register(user, name).await?;
        self.accounts.open_wallet(user, fund_fen).await?;
        Ok(self.sessions.issue(user, self.now()?))
    }

    /// Pays for a packet and makes it, if the sender's payment password lets it.
    ///
    /// Refuses: as [`Sending::lets`]; `PasswordNeeded`, `LockedOut`, `PasswordWrong`; then as [`Sending::send`].
    pub(crate) async fn send(&self, terms: Terms, password: &str, level: u32) -> Result<Paid, Failure> {
        // What no packet may be costs nobody a guess.
        self.sending.lets(&terms, level)?;
        self.passwords.allow(terms.sender, password).await?;
        self.sending.send(terms).await
    }

    /// Refuses: `BadField`, `FundingClosed`, `FundTooLarge`.
    pub(crate) const fn check_funding(&self, fen: i64) -> Result<(), DoorRefusal> {
        if fen < 0 {
            Err(DoorRefusal::BadField)
        } else if fen > 0 && !self.sessions.is_open {
            Err(DoorRefusal::FundingClosed)
        } else if fen > FUND_FEN_MAX {
            Err(DoorRefusal::FundTooLarge)
        } else {
            Ok(())
        }
    }

    /// Audits everything. Errors: `NotApplied`.
    pub(crate) async fn audit(&self) -> Result<Report, Failure> {
        audit::audit(&self.homes, self.resend_after_ms.saturating_add(AUDIT_GRACE_MS)).await
    }

    /// Lets the groups of this node that were recovered take commands again, if every invariant of the money holds. Returns
    /// the audit, and the groups that were lifted. Errors: `NotApplied`.
    pub(crate) async fn lift(&self) -> Result<(Report, Vec<GroupId>), Failure> {
        let report = self.audit().await?;
        if !report.is_ok() {
            return Ok((report, Vec::new()));
        }
        let held = self.replica.status().into_iter().filter(|status| status.is_read_only);
        let mut held: Vec<GroupId> = held.map(|status| status.group).collect();
        // Packets first: broken off in between, their claims can be carried again, and are not late at the next audit.
        held.sort_unstable_by_key(|group| std::cmp::Reverse(group.0));
        for group in &held {
            self.replica.lift(*group).map_err(Failure::NotApplied)?;
            tracing::info!(group = group.0, "the recovered group was found right, and takes commands again");
        }
        Ok((report, held))
    }

    /// Machine time, as this node knows it.
    pub(crate) fn now(&self) -> Result<TimestampMs, Failure> {
        let times = self.homes.packet_shards().map(|shard| shard.stale(|seen| seen.now));
        times.reduce(|one, other| Ok(one?.max(other?))).unwrap_or(Ok(TimestampMs(0)))
    }

    /// Whether every group of this node knows a leader and has applied what it knows to be committed, but for what is
    /// under way.
    pub(crate) fn is_ready(&self) -> bool {
        let is_caught_up = |group: &replica::GroupStatus| {
            group.leader.is_some() && group.committed <= group.applied + READY_LAG_MAX && group.trouble.is_none()
        };
        self.replica.status().iter().all(is_caught_up)
    }
}

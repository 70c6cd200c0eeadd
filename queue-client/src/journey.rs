//! A journey: one call on its way, from node to node, until it is answered or its time is over.
//!
//! ```text
//!  find the group ─> take an id ─> pick a node ─> attempt ── reply ────────────────────────> Ok
//!        ^               ^              ^            ├────── refused ──────────────────────> Refused
//!        │ moved         │ session gone │ pause      ├────── not applied ──┐
//!        └───────────────┴──────────────┴────────────┴────── unknown: in doubt, keep the id
//!                                                               deadline ──> Unknown if in doubt, else NotApplied
//! ```
//!
//! Must never: change the id of a call in doubt.

use std::sync::Arc;
use std::time::Duration;

use proto::outcome::{DOOR_REFUSALS, Hint, MOVED, Outcome, REQUEST_TOO_OLD, outcome_of};
use proto::queue::v1::RequestId;
use tokio::sync::watch;
use tokio::time::{Instant, timeout, timeout_at};
use tonic::Status;

use crate::backoff::Backoff;
use crate::error::Error;
use crate::limits::{BACKOFF_CAP, BACKOFF_FIRST};
use crate::node::Node;
use crate::road::{Named, Road};
use crate::session::Permit;
use crate::verb::Verb;

/// Who can answer a call.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Home<'a> {
    /// Any node.
    Anywhere,
    /// The leader of a group.
    Group(u32),
    /// The leader of the group that holds a queue.
    Queue(&'a str),
    /// The leader of the group that holds a topic.
    Topic(&'a str),
}

impl<'a> Home<'a> {
    /// The name whose group must be found.
    const fn name(self) -> Option<(Named, &'a str)> {
        match self {
            Self::Anywhere | Self::Group(_) => None,
            Self::Queue(name) => Some((Named::Queue, name)),
            Self::Topic(name) => Some((Named::Topic, name)),
        }
    }
}

/// What a caller grants a call.
#[derive(Debug)]
pub(crate) struct Terms {
    /// When the call is given up.
    pub(crate) deadline: Instant,
    /// When a Receive shall stop waiting for messages.
    pub(crate) wait_until: Instant,
    /// Becomes true when it shall stop at once.
    pub(crate) hurry: Option<watch::Receiver<bool>>,
    /// The id of a former call that this one repeats.
    pub(crate) repeats: Option<RequestId>,
}

impl Terms {
    /// A call without a wait.
    pub(crate) fn until(deadline: Instant) -> Self {
        Self { deadline, wait_until: Instant::now(), hurry: None, repeats: None }
    }
}

/// One call.
pub(crate) struct Journey<'a, V> {
    road: &'a Road,
    verb: V,
    home: Home<'a>,
    terms: Terms,
    /// The id in the verb, and the right to it unless it is the caller's.
    request: Option<RequestId>,
    permit: Option<Permit>,
    in_doubt: bool,
    reason: String,
    /// Whether the reason is more than that another node leads.
    has_reason: bool,
    backoff: Backoff,
    /// Tries before the next pause: one for each node.
    tries: usize,
}

impl<'a, V: Verb> Journey<'a, V> {
    pub(crate) fn new(road: &'a Road, mut verb: V, home: Home<'a>, terms: Terms) -> Self {
        let request = terms.repeats;
        if let Some(request) = request {
            verb.identify(request);
        }
        Self {
            road,
            verb,
            home,
            terms,
            request,
            permit: None,
            in_doubt: request.is_some(),
            reason: "the deadline was over before the first try".to_owned(),
            has_reason: false,
            backoff: Backoff::new(BACKOFF_FIRST, BACKOFF_CAP),
            tries: road.cluster.size(),
        }
    }

    pub(crate) async fn run(mut self) -> Result<V::Reply, Error> {
        while Instant::now() < self.terms.deadline {
            let group = self.find_group().await?;
            self.take_id(group).await?;
            let node = self.pick(group).await?;
            let Some(result) = self.attempt(&node).await else {
                // The wait was ended from here; the node may have answered all the same.
                self.in_doubt = true;
                continue;
            };
            let status = match result {
                Ok(reply) => {
                    if let Some(group) = group {
                        self.road.cluster.leads(group, &node);
                    }
                    return Ok(reply);
                }
                Err(status) => status,
            };
            let hint = self.learn(group, &node, &status)?;
            let pause = self.pause(&hint);
            if Instant::now() + pause >= self.terms.deadline {
                break;
            }
            self.rest(group, pause).await;
        }
        Err(self.late())
    }

    async fn find_group(&mut self) -> Result<Option<u32>, Error> {
        let Some((named, name)) = self.home.name() else {
            return Ok(if let Home::Group(group) = self.home { Some(group) } else { None });
        };
        match self.road.group_of(named, name, self.terms.deadline).await {
            Ok(group) => Ok(Some(group)),
            // Where it lives now says nothing about an attempt made before.
            Err(error) if self.in_doubt => {
                self.reason = error.to_string();
                Err(self.late())
            }
            Err(error) => Err(error),
        }
    }

    /// Sees to it that the verb carries an id of `group`.
    async fn take_id(&mut self, group: Option<u32>) -> Result<(), Error> {
        let (Some(lane), Some(group)) = (V::LANE, group) else { return Ok(()) };
        if self.request.is_some_and(|request| request.group == group) {
            return Ok(());
        }
        if self.in_doubt {
            self.reason = format!("it has moved to group {group}");
            return Err(self.late());
        }
        let permit = self.road.permit(group, lane, self.terms.deadline).await?;
        self.verb.identify(permit.request());
        self.request = Some(permit.request());
        self.permit = Some(permit);
        Ok(())
    }

    /// The node to try. Errors: the deadline is over before it is this call's turn.
    async fn pick(&self, group: Option<u32>) -> Result<Arc<Node>, Error> {
        let picked = timeout_at(self.terms.deadline, self.road.cluster.pick(group)).await;
        picked.map_err(|_| self.late())
    }

    /// Pauses; while no leader is known, no longer than until one is found.
    async fn rest(&self, group: Option<u32>, pause: Duration) {
        let cluster = &self.road.cluster;
        let found = async {
            match group.filter(|group| !cluster.knows(*group)) {
                Some(group) => cluster.finds(group).await,
                None => std::future::pending().await,
            }
        };
        if !pause.is_zero() {
            // Either end of the pause will do.
            let _ = timeout(pause, found).await;
        }
    }

    /// Tries once. `None`: the caller hurried a wait.
    async fn attempt(&mut self, node: &Node) -> Option<Result<V::Reply, Status>> {
        let wait = self.terms.wait_until.saturating_duration_since(Instant::now());
        self.verb.shorten(wait);
        let until = (Instant::now() + wait + self.road.config.attempt_timeout).min(self.terms.deadline);
        let Some(hurry) = &mut self.terms.hurry else { return Some(self.verb.attempt(node, until).await) };
        let result = tokio::select! {
            result = self.verb.attempt(node, until) => Some(result),
            // A sender that is gone hurries too: nobody is left who could.
            _ = hurry.wait_for(|hurried| *hurried) => None,
        };
        if result.is_none() {
            self.terms.hurry = None;
            self.terms.wait_until = Instant::now();
        }
        result
    }

    /// Draws the conclusions from a failure. Errors: the journey ends here.
    fn learn(&mut self, group: Option<u32>, node: &Arc<Node>, status: &Status) -> Result<Hint, Error> {
        // Who names the leader says whom to ask; what the leader has said is the reason.
        let is_redirect = matches!(outcome_of(status), Outcome::NotApplied(hint) if hint.leader.is_some());
        if !is_redirect || !self.has_reason {
            self.reason = format!("{}: {}", node.address(), status.message());
            self.has_reason = !is_redirect;
        }
        let mut hint = match outcome_of(status) {
            Outcome::Refused { number: MOVED } if self.home.name().is_some() => {
                // The group it has left says that no attempt under this id was applied: it goes to the next under another.
                (self.in_doubt, self.request, self.permit) = (false, None, None);
                if let Some((named, name)) = self.home.name() {
                    self.road.forget(named, name);
                }
                return Ok(Hint { retry_after: Some(BACKOFF_FIRST), ..Hint::default() });
            }
            Outcome::Refused { number: REQUEST_TOO_OLD } if V::LANE.is_some() => {
                if self.in_doubt {
                    return Err(self.late());
                }
                self.request = None;
                if let Some(permit) = self.permit.take() {
                    permit.forget_session();
                }
                return Ok(Hint::default());
            }
            // In doubt, only a refusal of the machine says what became of the call: it is the reply kept under the id.
            // A door or a directory that says no speaks of this attempt alone.
            Outcome::Refused { number } if self.in_doubt && number >= DOOR_REFUSALS => return Err(self.late()),
            Outcome::Refused { number } => {
                return Err(Error::Refused { number, text: status.message().to_owned() });
            }
            Outcome::NotApplied(hint) => hint,
            Outcome::Unknown(hint) => {
                self.in_doubt |= V::LANE.is_some();
                hint
            }
        };
        if hint == Hint::default() {
            // What a node answers says where or when to try again; this came of the connection.
            self.road.cluster.suspect(node);
        }
        // In doubt, the group that was asked first has to be asked again: it alone knows.
        if hint.group.is_some() && hint.group != group && !self.in_doubt {
            self.move_home(hint.group);
        } else if let Some(group) = group
            && !self.road.cluster.failed(group, node, hint.leader.as_deref())
        {
            hint.retry_after = Some(BACKOFF_FIRST);
        }
        Ok(hint)
    }

    /// Another group decides this call. A name is looked up again; what has no place of its own goes where it was sent.
    fn move_home(&mut self, group: Option<u32>) {
        match (self.home.name(), group) {
            (Some((named, name)), _) => self.road.forget(named, name),
            (None, Some(group)) => self.home = Home::Group(group),
            (None, None) => {}
        }
    }

    /// How long to wait before the next try: not at all while there are nodes that were not tried since the last pause.
    fn pause(&mut self, hint: &Hint) -> Duration {
        self.tries = self.tries.saturating_sub(1);
        if let Some(pause) = hint.retry_after {
            return pause;
        }
        if self.tries > 0 {
            return Duration::ZERO;
        }
        self.tries = self.road.cluster.size();
        self.backoff.pause(rand::random())
    }

    /// The error of a call that will not be tried again.
    fn late(&self) -> Error {
        let reason = self.reason.clone();
        match self.request {
            Some(request) if self.in_doubt => Error::Unknown { request, reason },
            _ => Error::NotApplied { reason },
        }
    }
}

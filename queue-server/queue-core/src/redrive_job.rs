//! The work of a redrive: it is begun and stopped by command, and goes on by ticks.
//!
//! The leader scans from the cursor and names what matches; `apply` holds each message against the order again, moves it,
//! and moves the cursor. A target of the whole job that is missing or full holds it at that message, with the reason. Where
//! each message goes home, one whose home cannot take it is passed over, and the job goes through the queue once more.
//!
//! Must never: end while a message that should have moved has not, unless it is stopped.

use machine::{Context, Layout, Rows, TimestampMs};

use crate::due::{Pick, Stretch};
use crate::event::{EventKind, Step as Event};
use crate::ids::QueueId;
use crate::keys;
use crate::limits::REDRIVE_RETRY_MS;
use crate::message::{self, MessageRow, Origin};
use crate::queue_machine::QueueMachine;
use crate::redrive::{Redrive, RedriveOrder, RedriveState};
use crate::refusal::Refusal;
use crate::relocate::{Leaving, Stall};
use crate::reply::Reply;
use crate::tick::Moved;

/// What became of one message of a stretch.
enum Step {
    /// It was looked at and is behind the cursor.
    Passed { is_match: bool },
    /// It was moved, and became ready in that queue if it is of this group.
    Moved(Option<QueueId>),
    /// It must wait, and so must all behind it.
    Held(Option<Stall>),
    /// It must wait, and nothing else need.
    Stalled(Stall),
}

impl QueueMachine {
    /// Begins a job. Refuses: see [`crate::TopicCommand::Redrive`].
    pub(crate) fn start_redrive(
        &mut self,
        context: &Context,
        id: QueueId,
        order: RedriveOrder,
        rows: &mut Rows,
    ) -> Result<Reply, Refusal> {
        let queue = self.live(id).ok_or_else(|| self.absent(id))?;
        order.check()?;
        let is_running = self.redrives.get(&id).is_some_and(|job| job.state == RedriveState::Running);
        Refusal::RedriveRunning.unless(!is_running)?;
        order.check_rate()?;
        let to = order.to.clone().map(|address| address.seen_from(context.group));
        let order = RedriveOrder { to, ..order };
        let here = order.to.as_ref().filter(|address| address.group.is_none());
        let target = here.map(|address| self.queue_id(&address.queue));
        Refusal::RedriveToItself.unless(target != Some(Some(queue.id)))?;
        let has_sign = here.is_some_and(|address| self.sign(&address.queue).is_some());
        Refusal::RedriveTargetMissing.unless((target != Some(None) || has_sign) && order.has_address())?;
        Refusal::QueueMoving.unless(!self.is_leaving(id))?;
        self.put_redrive(id, Redrive::new(order, context.group, context.now), rows);
        Ok(Reply::Done)
    }

    /// Stops a job. Refuses: see [`crate::TopicCommand::StopRedrive`].
    pub(crate) fn stop_redrive(&mut self, context: &Context, id: QueueId, rows: &mut Rows) -> Result<Reply, Refusal> {
        self.live(id).ok_or_else(|| self.absent(id))?;
        let running = self.redrives.get(&id).filter(|job| job.state == RedriveState::Running);
        let job = running.cloned().ok_or(Refusal::RedriveMissing)?;
        self.put_redrive(id, Redrive { state: RedriveState::Stopped, changed: context.now, ..job }, rows);
        Ok(Reply::Done)
    }

    fn put_redrive(&mut self, id: QueueId, job: Redrive, rows: &mut Rows) {
        rows.put(keys::redrive(id), job.to_bytes());
        self.redrives.insert(id, job);
    }

    /// Forgets the job of a queue that goes.
    pub(crate) fn forget_redrive(&mut self, id: QueueId, rows: &mut Rows) {
        if self.redrives.remove(&id).is_some() {
            rows.delete(keys::redrive(id));
        }
    }

    /// Works on one stretch of a queue. Answers: what moved, and where messages became ready.
    pub(crate) fn redrive(&mut self, context: &Context, id: QueueId, stretch: Stretch, rows: &mut Rows) -> Vec<Moved> {
        let fits = |job: &&Redrive| job.cursor == stretch.from && job.due().is_some_and(|due| due <= context.now);
        let Some(mut job) = self.redrives.get(&id).filter(fits).cloned() else { return vec![Moved::Not] };
        let before = self.waiting(id, stretch.from, stretch.to);
        let mut moved = vec![Moved::Done];
        let mut end = stretch.to.max(stretch.from);
        let mut count: u64 = 0;
        if job.order.to.is_some() || job.cursor == 0 {
            (job.stall, job.stalled) = (None, 0);
        }
        for pick in stretch.picks {
            if pick.seq < job.cursor || pick.seq >= end {
                continue;
            }
            let (seq, step) = (pick.seq, self.redrive_one(context, id, (&job, pick), rows));
            match step {
                Step::Passed { is_match } => job.matched = job.matched.saturating_add(u64::from(is_match)),
                Step::Moved(target) => {
                    moved.extend(target.map(Moved::Readied));
                    count = count.saturating_add(1);
                    (job.matched, job.moved) = (job.matched.saturating_add(1), job.moved.saturating_add(1));
                }
                Step::Stalled(stall) => {
                    (job.matched, job.stalled) = (job.matched.saturating_add(1), job.stalled.saturating_add(1));
                    job.stall = Some(stall);
                }
                Step::Held(stall) => {
                    (job.stall, end) = (stall.or(job.stall), seq);
                    break;
                }
            }
            job.cursor = seq.saturating_add(1);
        }
        // What was moved stands no more in the stretch that was looked at.
        let behind = self.waiting(id, end, stretch.to);
        job.scanned = job.scanned.saturating_add(before.saturating_sub(behind));
        self.close_stretch(context.now, (id, job), (end, count), rows);
        moved
    }

    fn close_stretch(
        &mut self,
        now: TimestampMs,
        (id, mut job): (QueueId, Redrive),
        (end, count): (u64, u64),
        rows: &mut Rows,
    ) {
        let pause = job.order.rate.and_then(|rate| count.saturating_mul(1_000).checked_div(u64::from(rate)));
        let is_through = end == u64::MAX;
        let is_held = job.stall.is_some() && (job.order.to.is_some() || is_through);
        let retry = if is_held { REDRIVE_RETRY_MS } else { 0 };
        (job.cursor, job.changed) = (end, now);
        job.next = now.plus(pause.unwrap_or(0).max(retry));
        if job.left() == 0 || (is_through && job.stalled == 0) {
            job.state = RedriveState::Done;
        } else if is_through {
            // What has moved stands there no more, all else is looked at and counted again.
            (job.cursor, job.scanned, job.matched) = (0, job.moved, job.moved);
        }
        self.put_redrive(id, job, rows);
    }

    fn waiting(&self, id: QueueId, from: u64, to: u64) -> u64 {
        self.live(id).map_or(0, |queue| queue.visible_within(from, to))
    }

    fn redrive_one(&mut self, context: &Context, id: QueueId, (job, pick): (&Redrive, Pick), rows: &mut Rows) -> Step {
        let seq = pick.seq;
        let row = message::read(&keys::message(id, seq), rows);
        let queue = self.live(id).filter(|queue| queue.is_visible(seq));
        let (Some(queue), Some(row)) = (queue, row) else { return Step::Passed { is_match: false } };
        let tries = queue.tries(seq);
        let goal = job.goal(id, &row).filter(|_| job.wants(id, &row, tries));
        let Some(goal) = goal else { return Step::Passed { is_match: false } };
        if job.order.is_dry {
            return Step::Passed { is_match: true };
        }
        if job.left() == 0 {
            return Step::Held(None);
        }
        let origin = row.origin.clone().unwrap_or_else(|| queue.origin(context.group, &row, (tries, None)));
        let origin = Some(Origin { redriven: origin.redriven.saturating_add(1), ..origin });
        let noted = MessageRow { origin, ..row.clone() };
        let way = match self.way(&goal, &noted, pick.body.as_ref()) {
            Ok(Some(way)) => way,
            Ok(None) => return Step::Held(None),
            Err(stall) if job.order.to.is_none() => return Step::Stalled(stall),
            Err(stall) => return Step::Held(Some(stall)),
        };
        let event = Event::new(context.now, row.id, EventKind::Redriven, 0).with(way.target());
        self.change(id, |queue| {
            queue.withdraw(seq, rows);
            queue.counters.totals.redriven = queue.counters.totals.redriven.saturating_add(1);
            queue.note(event, rows);
        });
        match self.relocate(context.now, Leaving { queue: id, seq, row: noted }, way, rows) {
            Moved::Readied(target) => Step::Moved(Some(target)),
            Moved::Done | Moved::Not => Step::Moved(None),
        }
    }
}

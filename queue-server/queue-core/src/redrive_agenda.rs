//! The agenda of redrives: on the leader, which messages of a stretch a job wants.
//!
//! Must never: look at more than a bounded stretch for one item, or name more than a second's worth of its rate.

use machine::StoreFailure;

use crate::agenda::{Agenda, Fetched};
use crate::due::{Due, Pick, Stretch};
use crate::ids::QueueId;
use crate::limits::{REDRIVE_PICKS_MAX, REDRIVE_SCAN_MAX, TICK_REDRIVES_MAX};
use crate::queue::Queue;
use crate::redrive::Redrive;

impl Agenda<'_> {
    /// Names a stretch of each job that is due, first of what has been due longest.
    pub(crate) fn add_redrives(&mut self) -> Result<(), StoreFailure> {
        let machine = self.machine;
        let due = |(id, job): (&QueueId, &'_ Redrive)| job.due().filter(|due| *due <= self.now).map(|due| (due, *id));
        let mut jobs: Vec<_> = machine.redrives.iter().filter_map(due).collect();
        jobs.sort_unstable();
        for (_, id) in jobs.into_iter().take(TICK_REDRIVES_MAX) {
            let (Some(queue), Some(job)) = (machine.live(id), machine.redrives.get(&id)) else { continue };
            if let Some(stretch) = self.stretch(queue, job)? {
                self.items.push(Due::Redrive { queue: id, stretch });
            }
        }
        Ok(())
    }

    /// The stretch from the job's cursor on. `None`: the tick has no room for its first message.
    fn stretch(&mut self, queue: &Queue, job: &Redrive) -> Result<Option<Stretch>, StoreFailure> {
        let seqs = queue.visible_from(job.cursor, REDRIVE_SCAN_MAX);
        let is_last = seqs.len() < REDRIVE_SCAN_MAX;
        let end = seqs.last().filter(|_| !is_last).map_or(u64::MAX, |last| last.saturating_add(1));
        let picks_max = usize::try_from(job.left().min(job.order.rate.map_or(u64::MAX, u64::from)));
        let picks_max = picks_max.unwrap_or(usize::MAX).min(REDRIVE_PICKS_MAX);
        let mut stretch = Stretch { from: job.cursor, to: end, picks: Vec::new() };
        let rows = self.machine.messages(self.rows, queue.id, &seqs)?;
        for (seq, row) in seqs.into_iter().zip(rows) {
            let tries = queue.tries(seq);
            let Some(row) = row.filter(|row| job.wants(queue.id, row, tries)) else { continue };
            if stretch.picks.len() >= picks_max {
                stretch.to = seq;
                break;
            }
            let goes_away = !job.order.is_dry && job.goal(queue.id, &row).is_some_and(|goal| self.machine.is_far(goal));
            match self.fetch_if(goes_away, row.id)? {
                Fetched::Here(body) => stretch.picks.push(Pick { seq, body }),
                Fetched::Gone => {}
                Fetched::Later => {
                    stretch.to = seq;
                    break;
                }
            }
        }
        Ok(Some(stretch).filter(|stretch| stretch.from < stretch.to))
    }
}

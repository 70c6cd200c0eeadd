//! Steps and batches: one identity check for every verb, and chains that happen as a whole or not at all.
//!
//! Why: a batch shares one log entry and one multi-get among thousands of steps; a chain is the only "all or nothing",
//! and it never leaves the shard.
//!
//! Must never: let one step's refusal touch a step outside its chain.

use crate::book::Book;
use crate::command::{Step, Verb};
use crate::refusal::Refusal;
use crate::reply::Answer;
use crate::transfer::{Fingerprint, StoredTransfer};

impl Book<'_> {
    /// Does one step, once. A refused step leaves no trace.
    pub(crate) fn step(&mut self, verb: &Verb) -> Answer {
        if let Some(answer) = self.former(verb) {
            return answer;
        }
        let done = self.decide(verb)?;
        if let Some(key) = verb.transfer_key() {
            self.store(key, StoredTransfer { done, fingerprint: Fingerprint::of(verb) });
        }
        Ok(done)
    }

    fn decide(&mut self, verb: &Verb) -> Answer {
        match verb {
            Verb::Open(open) => self.open_account(open),
            Verb::Close(account) => self.close_account(*account),
            Verb::Fund(fund) => self.fund(fund),
            Verb::Withdraw(withdraw) => self.withdraw(withdraw),
            Verb::Transfer(transfer) => self.transfer(transfer),
            Verb::Hold(hold) => self.hold(hold),
            Verb::Post(post) => self.post_hold(post),
            Verb::Void(void) => self.void_hold(void),
            Verb::Pay(pay) => self.pay_packet(pay),
            Verb::SettleOrCancel(order) => Ok(self.settle_or_cancel(*order)),
            Verb::Credit(credit) => self.credit_share(credit),
            Verb::Refund(refund) => self.refund_packet(refund),
            Verb::Announce(announce) => self.announce_claim(announce),
            Verb::Forget(claim) => Ok(self.forget_claim(claim)),
            Verb::Retry(retry) => self.retry_parked(retry),
            Verb::Remit(remit) => self.remit(remit),
            Verb::Restrict(restrict) => self.restrict(restrict),
            Verb::Limit(limit) => self.limit_payments(limit),
            Verb::PlaceOrder(place) => self.place_order(place),
            Verb::PayOrder(pay) => self.pay_order(pay),
            Verb::CloseOrder(close) => self.close_order(close),
            Verb::RefundOrder(refund) => self.refund_order(refund),
            Verb::SetVerifier(set) => self.set_verifier(set),
        }
    }

    /// Does the steps of a batch in order, chain by chain.
    pub(crate) fn batch(&mut self, steps: &[Step]) -> Vec<Answer> {
        let mut answers = Vec::with_capacity(steps.len());
        let mut rest = steps;
        while let Some(first) = rest.first() {
            if first.is_linked {
                let linked = rest.iter().take_while(|step| step.is_linked).count();
                let is_open = linked == rest.len();
                let (chain, behind) = rest.split_at(if is_open { linked } else { linked.saturating_add(1) });
                self.chain(chain, is_open, &mut answers);
                rest = behind;
            } else {
                answers.push(self.step(&first.verb));
                rest = rest.split_at(1).1;
            }
        }
        answers
    }

    /// Refuses: `LinkedFailed` for all steps but the one that was refused; `ChainOpen` for the last one of an open chain.
    /// A step that was done in an earlier command keeps its answer all the same.
    fn chain(&mut self, chain: &[Step], is_open: bool, answers: &mut Vec<Answer>) {
        let mut failed = is_open.then(|| (chain.len().saturating_sub(1), Refusal::ChainOpen));
        if failed.is_none() {
            self.begin_chain();
            let start = answers.len();
            for (place, step) in chain.iter().enumerate() {
                match self.step(&step.verb) {
                    Ok(done) => answers.push(Ok(done)),
                    Err(refusal) => {
                        failed = Some((place, refusal));
                        break;
                    }
                }
            }
            if failed.is_none() {
                self.commit_chain();
                return;
            }
            self.drop_chain();
            answers.truncate(start);
        }
        for (place, step) in chain.iter().enumerate() {
            let former = self.former(&step.verb).filter(Result::is_ok);
            let own = failed.filter(|(failed, _)| *failed == place).map(|(_, refusal)| Err(refusal));
            answers.push(former.or(own).unwrap_or(Err(Refusal::LinkedFailed)));
        }
    }
}

//! Admission against a simulated node whose processors are the bound: what is to be run stands in one queue, a refusal is
//! work too, and phones that were sent away stay away as long as they were told.
//!
//! ```text
//!  phone, unless told to stay away ─> run queue ─> read, admitted? ─no─> refused       a step is a millisecond of so many
//!                                        ↑              └yes─> end of the queue ─> done   processors; no clock, no chance
//!                                        └──────── what it waits there is told to the admission
//! ```
//!
//! Must never: be tuned until it passes. Costs are those of a measured node, rounded; the goal is the design's.

use std::collections::VecDeque;

use super::*;

const CLASSES_ALL: [Class; CLASSES] = [Class::Money, Class::Open, Class::Grab, Class::List];
/// Microseconds of processor that a node has in a millisecond.
const STEP_US: u64 = 1000;
/// Reading a request and refusing it.
const READ_US: u64 = 20;
/// Doing it, by class.
const WORK_US: [u64; CLASSES] = [300, 600, 60, 80];
/// Parts of a thousand by class: the published mix, and some questions about money.
const MIX: [u64; CLASSES] = [3, 40, 640, 317];
/// Phones of the node.
const PHONES: u64 = 10_000;
/// A phone hangs up after this, whatever was done for it.
const PATIENCE_MS: u64 = 5000;
const SETTLED_MS: u64 = 20_000;
const END_MS: u64 = 60_000;

/// Something that is to be run.
struct Runnable {
    class: Class,
    phone: u64,
    asked_ms: u64,
    /// When it was admitted; `None`: it was not read yet.
    admitted_ms: Option<u64>,
}

#[derive(Default)]
struct Outcome {
    /// Done within the patience of the phone, by class, after the node had settled.
    done: [u64; CLASSES],
    /// Requests that reached the node, from then on.
    came: u64,
}

struct Node {
    admission: Admission,
    queue: VecDeque<Runnable>,
    /// Class from which on, and time until which, a phone was told to stay away.
    away: Vec<(usize, u64)>,
    is_asking: Vec<bool>,
    outcome: Outcome,
    /// Processor time that was used ahead of its step.
    owed_us: u64,
}

impl Node {
    fn new() -> Self {
        let phones = usize::try_from(PHONES).expect("some thousand");
        Self {
            admission: Admission::default(),
            queue: VecDeque::new(),
            away: vec![(CLASSES, 0); phones],
            is_asking: vec![false; phones],
            outcome: Outcome::default(),
            owed_us: 0,
        }
    }

    fn ask(&mut self, class: Class, phone: u64, now_ms: u64, is_patient: bool) {
        let place = usize::try_from(phone).expect("some thousand");
        let (from, until) = self.away[place];
        // A phone asks one thing at a time.
        if self.is_asking[place] || (is_patient && class as usize >= from && now_ms < until) {
            return;
        }
        self.is_asking[place] = true;
        if now_ms >= SETTLED_MS {
            self.outcome.came += 1;
        }
        self.queue.push_back(Runnable { class, phone, asked_ms: now_ms, admitted_ms: None });
    }

    /// Runs what stands first until the millisecond is used up.
    fn run(&mut self, now_ms: u64) {
        let mut used_us = self.owed_us;
        while used_us < STEP_US {
            let Some(mut first) = self.queue.pop_front() else { break };
            let level = level(first.class, u128::from(first.phone), 0);
            let place = usize::try_from(first.phone).expect("some thousand");
            match first.admitted_ms {
                None => {
                    used_us += READ_US;
                    if self.admission.admits(level, now_ms) {
                        first.admitted_ms = Some(now_ms);
                        self.queue.push_back(first);
                    } else {
                        let until = now_ms + self.admission.come_back_ms(level);
                        self.away[place] = (first.class as usize, until);
                        self.is_asking[place] = false;
                    }
                }
                Some(admitted_ms) => {
                    self.admission.waited((now_ms - admitted_ms) * 1000, now_ms);
                    used_us += WORK_US[first.class as usize];
                    self.is_asking[place] = false;
                    if now_ms >= SETTLED_MS && now_ms - first.asked_ms <= PATIENCE_MS {
                        self.outcome.done[first.class as usize] += 1;
                    }
                }
            }
        }
        self.owed_us = used_us.saturating_sub(STEP_US);
    }
}

/// Requests of the mix that a node can do in a second, reading included.
fn capacity_per_s() -> u64 {
    let each: u64 = MIX.iter().zip(WORK_US).map(|(part, us)| part * (us + READ_US)).sum();
    STEP_US * 1000 * 1000 / each
}

fn evening(tenths: u64, is_patient: bool) -> Outcome {
    let (mut node, mut number) = (Node::new(), 0);
    for now_ms in 0..END_MS {
        let until = capacity_per_s() * tenths * (now_ms + 1) / 10_000;
        for number in number..until {
            let mut place = mix(number) % 1000;
            let class = CLASSES_ALL.into_iter().find(|class| {
                let part = MIX[*class as usize];
                let is_here = place < part;
                place = place.saturating_sub(part);
                is_here
            });
            node.ask(class.expect("the parts are a thousand"), mix(number ^ 0x5bd1) % PHONES, now_ms, is_patient);
        }
        number = until;
        node.run(now_ms);
    }
    node.outcome
}

#[test]
fn a_node_bound_by_its_processors_keeps_its_opens_at_ten_times_its_capacity() {
    let best = evening(10, true);
    for tenths in [20, 50, 100] {
        let pressed = evening(tenths, true);
        let opens = |outcome: &Outcome| outcome.done[Class::Open as usize];
        let kept = opens(&pressed) * 100 / opens(&best);
        assert!(kept >= 90, "{tenths} tenths: {} of {} opens", opens(&pressed), opens(&best));
        let money = pressed.done[Class::Money as usize];
        assert!(money * 100 >= best.done[Class::Money as usize] * 90, "{tenths} tenths: {money} questions about money");
    }
}

#[test]
fn phones_that_stay_away_as_told_bring_the_crowd_down_to_what_a_node_can_refuse() {
    let seconds = (END_MS - SETTLED_MS) / 1000;
    let (patient, stubborn) = (evening(100, true), evening(100, false));
    assert!(patient.came / seconds <= capacity_per_s(), "{} a second", patient.came / seconds);
    assert!(stubborn.came > 5 * patient.came, "{} and {}", stubborn.came, patient.came);
}

#[test]
fn the_pause_grows_with_the_pressure_on_a_class_and_shrinks_when_it_has_gone() {
    let mut admission = Admission::default();
    let pause = |admission: &Admission, class: Class| admission.come_back_ms(class as u32 * USER_LEVELS);
    // A window in which opens are taken, and of a hundred grabs none.
    let mut now = 0;
    admission.limit = Class::Grab as u32 * USER_LEVELS;
    for _ in 0..100 {
        admission.admits(Class::Open as u32 * USER_LEVELS, now);
        admission.admits(Class::Grab as u32 * USER_LEVELS, now);
    }
    now += WINDOW_MS;
    admission.waited(WAIT_US_MAX + 1, now);
    assert_eq!(pause(&admission, Class::Open), COME_BACK_MS, "opens were all taken");
    assert_eq!(pause(&admission, Class::Grab), COME_BACK_MS_MAX[Class::Grab as usize], "of grabs none was");
    let last = Class::Grab as u32 * USER_LEVELS + USER_LEVELS - 1;
    let (longest, most) = (admission.come_back_ms(last), COME_BACK_MS_MAX[Class::Grab as usize]);
    assert!(longest > most && longest <= most * 3 / 2, "{longest}: users come back one after the other");
    let mut before = u64::MAX;
    for _ in 0..20 {
        now += WINDOW_MS;
        admission.waited(0, now);
        assert!(pause(&admission, Class::Grab) <= before);
        before = pause(&admission, Class::Grab);
    }
    assert_eq!(before, COME_BACK_MS, "nobody asks any more");
}

//! Whole clusters of the queue, and of the payment app, under seeded weather; and the laws that every history of their
//! clients must keep.
//!
//! ```text
//!  subject   the queue machine as it ships, and the same with one bug planted
//!  caller    one client's requests: repeated under the same id until the outcome is known, or given up as unknown
//!  clients   producers and consumers          history   what they were answered
//!  stage     a cluster and its members        storm     faults by seed
//!  laws      what must be true of a history   app       the same for ledger and packets
//!  play      safety phase, then everything is healed and progress is demanded, then the laws judge
//! ```
//!
//! `TERCET_SEEDS=1000 TERCET_FROM=1` plays so many seeds from that one on (`cluster sim` says it for you), `TERCET_JOBS=2`
//! two at a time. A run that fails prints its seed and how to repeat it: give it a name in `PASTED`.
//!
//! Must never: judge by what a replica says of itself while it could ask what a client was answered.

mod app;
mod caller;
mod clients;
mod history;
mod laws;
mod planted;
mod play;
mod seeds;
mod stage;
mod storm;
mod subject;

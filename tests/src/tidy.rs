//! Tidy: the written walls of the house, each a function from what stands in the repository to its breaches.
//!
//! Why: layers, sizes and names decay one harmless exception at a time, and no compiler sees it.
//!
//! ```text
//!  repository ──read once──> House { pages, rooms, paths } ──law──> breaches ──judge──> ok, or a list to mend
//! ```
//!
//! Must never: change a file, reach for the network, or hold an exemption that nothing needs any more.

mod finish;
mod house;
mod names;
mod papers;
mod pure;
mod size;
mod sources;
mod tokens;
mod verdict;
mod walls;

pub use finish::{nothing_is_unfinished, sources_say_what_they_are};
pub use house::{House, Page, Room};
pub use names::{files_bear_nouns, items_bear_nouns};
pub use papers::{architecture_names_rooms, links_lead_somewhere};
pub use pure::{pure_rooms_depend_on_pure, pure_roots_deny, pure_sources_stay_pure};
pub use size::{files_stay_short, functions_stay_short, imports_stay_short};
pub use sources::{doors_alone_name_wire_types, engines_stay_in_replica, one_file_names_wall_time};
pub use verdict::{Breach, EXEMPTIONS, Exemption, judge};
pub use walls::{arrows_run_as_drawn, engines_are_named_by_replica};

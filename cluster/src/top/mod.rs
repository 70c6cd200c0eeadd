//! `cluster top`: a cluster as it lives, drawn again and again.
//!
//! ```text
//!  nodes ─> look ─> Picture ─┐
//!  keys  ──────────> Wish ───┴─> frame (pure) ─> terminal, or plain text where there is none
//! ```
//!
//! Must never: leave a terminal other than it was found, or need one.

mod draw;
mod picture;
mod terminal;
mod wish;

use std::time::Duration;

use tokio::time::{Instant, sleep_until};

use crate::error::Error;
use crate::file::Kind;
use crate::interrupt::interrupts;
use crate::reach::Reach;
use crate::screen;
use crate::status;
use draw::frame;
use picture::{Look, Picture};
use terminal::{PLAIN, Terminal};
use wish::{Next, Sort, Wish};

/// Rates of a single frame are those of so long.
const ONCE: Duration = Duration::from_secs(1);

/// How to look.
#[derive(Debug, clap::Args)]
#[command(after_help = "Keys:
  a age of the oldest   i in/s   o out/s   v visible   d dead   n name     sort the queues
  /  filter by name, Enter ends, Esc clears         j k, arrows  scroll         q  quit

Examples:
  cluster top --dir /tmp/evening
  cluster top --at 10.0.0.1:7101 --sort in --filter orders
  cluster top --context prod --once                         one frame, for scripts and mails")]
pub(crate) struct Top {
    #[command(flatten)]
    reach: Reach,
    /// Seconds between two looks.
    #[arg(long, default_value_t = 2, value_parser = clap::value_parser!(u64).range(1..=3600))]
    every: u64,
    /// By what the queues are sorted.
    #[arg(long, value_enum, default_value_t)]
    sort: Sort,
    /// Only queues whose names hold this.
    #[arg(long, default_value = "", hide_default_value = true)]
    filter: String,
    /// Print one frame, with the rates of a second, and end.
    #[arg(long)]
    once: bool,
}

/// Shows the cluster until the operator has seen enough; `true`: it was shown.
pub(crate) async fn top(top: Top) -> Result<bool, Error> {
    let Top { reach, every, sort, filter, once } = top;
    let mut wish = Wish { sort, filter, ..Wish::default() };
    let mut before = look(&reach).await?;
    if once {
        tokio::time::sleep(ONCE).await;
        let now = look(&reach).await?;
        screen::out(&frame(&Picture::of(&now, Some(&before)), &wish, PLAIN).join("\n"));
        return Ok(true);
    }
    let (mut terminal, mut interrupts) = (Terminal::open(), interrupts()?);
    let mut picture = Picture::of(&before, None);
    loop {
        terminal.show(&picture, &wish);
        let until = Instant::now() + Duration::from_secs(every);
        loop {
            tokio::select! {
                key = terminal.key() => match wish.press(key) {
                    Next::Quit => return Ok(true),
                    Next::Draw => terminal.show(&picture, &wish),
                },
                _ = interrupts.recv() => return Ok(true),
                () = sleep_until(until) => break,
            }
        }
        let looked = tokio::select! {
            looked = look(&reach) => looked,
            _ = interrupts.recv() => return Ok(true),
        };
        match looked {
            Ok(now) => {
                picture = Picture::of(&now, Some(&before));
                before = now;
            }
            // Whoever watches wants to see it end, and begin again.
            Err(error) => picture = Picture::nothing(&error.to_string()),
        }
    }
}

async fn look(reach: &Reach) -> Result<Look, Error> {
    let cluster = reach.cluster().await?;
    let (verdict, queues) = status::seen(&cluster).await;
    let queue_nodes = cluster.of(Kind::Queue).len();
    Ok(Look { verdict, queues, queue_nodes, at: Instant::now() })
}

//! Contexts: names for clusters, set, listed, used, removed.
//!
//! Must never: keep a secret; a context holds addresses and nothing else.

use clap::Subcommand;

use crate::error::Error;
use crate::reach::Contexts;
use crate::screen;

/// What to do with contexts.
#[derive(Debug, Subcommand)]
pub(crate) enum Context {
    /// Name a cluster by addresses of some of its nodes.
    Set {
        /// The name.
        name: String,
        /// gRPC address of a node, HOST:PORT. May be given more than once.
        #[arg(long, required = true)]
        at: Vec<String>,
    },
    /// Show every context; the one in use has a star.
    List,
    /// Use a context wherever no cluster is named.
    Use {
        /// The name.
        name: String,
    },
    /// Forget a context.
    Remove {
        /// The name.
        name: String,
    },
}

/// Does what was asked.
pub(crate) fn context(verb: Context) -> Result<bool, Error> {
    let mut contexts = Contexts::read()?;
    match verb {
        Context::Set { name, at } => drop(contexts.contexts.insert(name, at)),
        Context::List => {
            for (name, at) in &contexts.contexts {
                let star = if contexts.current.as_ref() == Some(name) { "*" } else { " " };
                screen::out(&format!("{star} {name}  {}", at.join(" ")));
            }
            return Ok(true);
        }
        Context::Use { name } => {
            contexts.find(&name)?;
            contexts.current = Some(name);
        }
        Context::Remove { name } => {
            contexts.find(&name)?;
            contexts.contexts.remove(&name);
            if contexts.current.as_ref() == Some(&name) {
                contexts.current = None;
            }
        }
    }
    contexts.write()?;
    Ok(true)
}

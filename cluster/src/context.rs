//! Contexts: names for clusters, set, listed, used, removed.
//!
//! Must never: keep a secret; a context holds addresses, and where a key and certificates lie.

use std::path::PathBuf;

use clap::Subcommand;

use crate::error::Error;
use crate::link::{self, Asker};
use crate::reach::{Contexts, Known};
use crate::screen;

/// What to do with contexts.
#[derive(Debug, Subcommand)]
pub(crate) enum Context {
    /// Name a cluster by addresses of some of its nodes; with --key and --certs, how it is spoken to.
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
        Context::Set { name, at } => {
            let Asker { key, certs } = link::said();
            let whole = |path: PathBuf| std::path::absolute(&path).map_err(Error::on(&path));
            let known = Known { at, key: key.map(whole).transpose()?, certs: certs.map(whole).transpose()? };
            drop(contexts.contexts.insert(name, known));
        }
        Context::List => {
            for (name, known) in &contexts.contexts {
                let star = if contexts.current.as_ref() == Some(name) { "*" } else { " " };
                screen::out(&format!("{star} {name}  {}", known.at.join(" ")));
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

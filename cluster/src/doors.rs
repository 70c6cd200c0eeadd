//! The doors of a cluster's app nodes, as this command speaks to nodes.
//!
//! Must never: know how a call is repeated; that is the client's.

pub(crate) use app_client::{Doors, Miss};

use crate::error::Error;
use crate::link;

/// Doors at these addresses, beginning with number `first`; nothing is connected yet. Errors: an address is none; `NoApp`,
/// there are none.
pub(crate) fn doors(addresses: Vec<String>, first: usize) -> Result<Doors, Error> {
    let dial = |address: String| link::channel(&address).map(|channel| (address, channel));
    let doors = addresses.into_iter().map(dial).collect::<Result<Vec<_>, Error>>()?;
    Doors::new(doors, first).map_err(|_| Error::NoApp)
}

/// The same doors with connections of their own, beginning with number `first`.
pub(crate) fn again(doors: &Doors, first: usize) -> Result<Doors, Error> {
    self::doors(doors.addresses().map(str::to_owned).collect(), first)
}

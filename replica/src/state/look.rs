//! A look at the rows of a node that does not run.
//!
//! Must never: change a byte. RocksDB writes a log of its own beside a database that it only reads, unless it is given another.

use std::fs;
use std::io;
use std::path::Path;

use rocksdb::{DB, InfoLogger, LogLevel, Options};

use super::engine::Position;
use super::rocks::{CURRENT, position_of};
use super::tables::{BODIES, PLACES, POSITION, ROWS};

/// Where the rows in `folder` stand, as far as they were flushed. `None`: there are none. Errors: damage.
pub(crate) fn look_at_rows(folder: &Path) -> io::Result<Option<Position>> {
    let current = match fs::read_to_string(folder.join(CURRENT)) {
        Ok(current) => current,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error),
    };
    let mut options = Options::default();
    options.set_info_logger(InfoLogger::new_callback_logger(LogLevel::Fatal, |_, _| {}));
    let families = [ROWS, BODIES, PLACES, POSITION];
    let db = DB::open_cf_for_read_only(&options, folder.join(current), families, false).map_err(io::Error::other)?;
    position_of(&db).map(Some).map_err(io::Error::other)
}

//! Rows in memory: the row store of the simulation. A power cut takes everything; the log brings it back.

use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;
use machine::{
    BodyRef, DecodeError, Key, Layout as _, LogIndex, MemoryStore, Reader, RowSource, Rows, StoreFailure, Writer,
};
use parking_lot::RwLock;

use super::engine::{Position, RowEngine};
use super::scrub::StoreScrubbed;
use super::snapshot::{SnapshotData, SnapshotWriter};

const IMAGE: &str = "image";
const ROWS_MAX: usize = 100_000_000;

/// A [`MemoryStore`] with a position.
#[derive(Debug, Default)]
pub(crate) struct MemoryRows {
    inner: RwLock<(MemoryStore, Position)>,
}

impl RowSource for MemoryRows {
    fn get(&self, key: &[u8]) -> Result<Option<Bytes>, StoreFailure> {
        self.inner.read().0.get(key)
    }

    fn scan(&self, from: &[u8], to: &[u8], visit: &mut dyn FnMut(&[u8], &[u8]) -> bool) -> Result<(), StoreFailure> {
        self.inner.read().0.scan(from, to, visit)
    }

    fn scan_back(
        &self,
        from: &[u8],
        to: &[u8],
        visit: &mut dyn FnMut(&[u8], &[u8]) -> bool,
    ) -> Result<(), StoreFailure> {
        self.inner.read().0.scan_back(from, to, visit)
    }

    fn body(&self, body: BodyRef) -> Result<Option<Bytes>, StoreFailure> {
        self.inner.read().0.body(body)
    }
}

impl RowEngine for MemoryRows {
    fn commit(&self, rows: Option<&Rows>, _: &[(LogIndex, Bytes)], position: &Position) -> Result<(), StoreFailure> {
        let mut inner = self.inner.write();
        if let Some(rows) = rows {
            inner.0.commit(rows);
        }
        inner.1 = position.clone();
        Ok(())
    }

    fn settle(&self, _upto: u64) -> Result<(), StoreFailure> {
        // Bodies lie in memory beside the rows.
        Ok(())
    }

    fn bytes_in_log(&self) -> Option<u64> {
        Some(0)
    }

    fn count_in_log(&self) -> Result<(), StoreFailure> {
        Ok(())
    }

    fn damage(&self) -> Option<String> {
        None
    }

    fn quarantine(&self) -> Vec<(BodyRef, String)> {
        Vec::new()
    }

    fn repair(&self, _: BodyRef, _: &Bytes) -> Result<bool, StoreFailure> {
        // Memory is not damaged.
        Ok(true)
    }

    fn scrub_entries(&self, _: &BTreeSet<u64>) -> Result<(), StoreFailure> {
        Ok(())
    }

    fn scrub_store(&self, _: u64, _: u64) -> Result<StoreScrubbed, StoreFailure> {
        Ok(StoreScrubbed::default())
    }

    fn position(&self) -> Result<Position, StoreFailure> {
        Ok(self.inner.read().1.clone())
    }

    fn checkpoint(&self) -> Result<(Position, SnapshotData), StoreFailure> {
        let inner = self.inner.read();
        let mut out = Writer::default();
        inner.1.encode(&mut out);
        let rows: Vec<_> = inner.0.rows().collect();
        out.len(rows.len());
        for (key, value) in rows {
            out.bytes(key);
            out.bytes(value);
        }
        let bodies: Vec<_> = inner.0.bodies().collect();
        out.len(bodies.len());
        for (body, bytes) in bodies {
            body.encode(&mut out);
            out.bytes(bytes);
        }
        let files = BTreeMap::from([(IMAGE.to_owned(), out.finish())]);
        Ok((inner.1.clone(), SnapshotData::of_memory(files)))
    }

    fn install(&self, data: &SnapshotData) -> Result<(), StoreFailure> {
        let image = data.read(IMAGE, 0, usize::MAX).map_err(|error| StoreFailure(error.to_string()))?;
        let (position, rows, bodies) =
            read_image(image).map_err(|error| StoreFailure(format!("snapshot image: {error}")))?;
        let mut inner = self.inner.write();
        inner.0.replace(rows, bodies);
        inner.1 = position;
        Ok(())
    }

    fn receive(&self, _from: u64, _id: u64) -> Result<SnapshotWriter, StoreFailure> {
        Ok(SnapshotWriter::Memory(BTreeMap::new()))
    }

    fn visit_rows(&self, visit: &mut dyn FnMut(&[u8], &[u8])) -> Result<(), StoreFailure> {
        for (key, value) in self.inner.read().0.rows() {
            visit(key, value);
        }
        Ok(())
    }
}

type Image = (Position, BTreeMap<Key, Bytes>, BTreeMap<BodyRef, Bytes>);

fn read_image(image: Bytes) -> Result<Image, DecodeError> {
    let mut input = Reader::new(image);
    let position = Position::decode(&mut input)?;
    let mut rows = BTreeMap::new();
    for _ in 0..input.count(ROWS_MAX)? {
        rows.insert(input.bytes()?, input.bytes()?);
    }
    let mut bodies = BTreeMap::new();
    for _ in 0..input.count(ROWS_MAX)? {
        bodies.insert(BodyRef::decode(&mut input)?, input.bytes()?);
    }
    input.end()?;
    Ok((position, rows, bodies))
}

//! The commits of detection in fifty blocks, and the expected state of the store.

use std::collections::BTreeMap;
use std::path::Path;

use bitcoin::hashes::Hash;
use bitcoin::{BlockHash, OutPoint, Txid};
use bytes::Bytes;
use sdk_relay_protocol::Topic;
use sdk_relay_store::{
    Batch, BlockChange, EventKind, EventLog, LogEntry, OpenError, ReadLimit, Retention, Store, StoreError,
};

use crate::storage_faults::disk::{Disk, Operation};

pub(crate) const BLOCKS: u32 = 50;
pub(crate) const RETENTION: Retention = Retention {
    events: 100,
    bytes: 1 << 20,
};
/// A single fault needs one more attempt, or two if it hits the reopening.
const ATTEMPTS: usize = 3;

/// Content of the store.
#[derive(Clone, Debug, Default, PartialEq)]
struct Model {
    /// All events ever; the log keeps the newest.
    events: Vec<LogEntry>,
    blocks: BTreeMap<u32, BlockHash>,
    payments: BTreeMap<OutPoint, Vec<u8>>,
}

impl Model {
    fn apply(&mut self, batch: &Batch) {
        self.events.extend(batch.events.iter().cloned());
        match batch.block {
            Some(BlockChange::Connect(height, hash)) => drop(self.blocks.insert(height, hash)),
            Some(BlockChange::Disconnect { height, parent }) => {
                self.blocks.remove(&height);
                self.blocks.insert(height - 1, parent);
            }
            Some(BlockChange::Jump(..)) | None => {}
        }
        for (outpoint, record) in &batch.payments {
            match record {
                Some(record) => drop(self.payments.insert(*outpoint, record.clone())),
                None => drop(self.payments.remove(outpoint)),
            }
        }
    }

    fn of(store: &Store) -> Result<(u64, Self), StoreError> {
        let everything = ReadLimit {
            events: usize::MAX,
            bytes: usize::MAX,
        };
        let events = store.read_after(0, everything)?;
        let model = Self {
            events,
            blocks: store.recent_blocks()?.into_iter().collect(),
            payments: store.payments()?.into_iter().collect(),
        };
        Ok((store.next_event_id()?, model))
    }

    /// As visible in the store: the newest events.
    fn shown(&self) -> (u64, Self) {
        let kept = self.events.len().min(RETENTION.events as usize);
        let shown = Self {
            events: self.events[self.events.len() - kept..].to_vec(),
            ..self.clone()
        };
        (self.events.len() as u64 + 1, shown)
    }
}

/// Checks that event ids are consecutive up to the next one.
pub(crate) fn is_consistent(store: &Store, name: &str) {
    let Ok((next, model)) = Model::of(store) else { return };
    let ids: Vec<u64> = model.events.iter().map(|e| e.id).collect();
    let first = next - ids.len() as u64;
    assert_eq!(ids, (first..next).collect::<Vec<_>>(), "{name}");
}

fn hash(n: u64) -> BlockHash {
    BlockHash::hash(&n.to_le_bytes())
}

fn outpoint(n: u64) -> OutPoint {
    OutPoint {
        txid: Txid::hash(&n.to_le_bytes()),
        vout: n as u32,
    }
}

/// The batch after these: a block with its events and a payment, at times its disconnection, and what comes between
/// blocks.
fn batch(number: usize, model: &Model) -> Batch {
    let next = model.events.len() as u64 + 1;
    let n = number as u64;
    let event = |k: u64| LogEntry {
        id: next + k,
        topic: if k.is_multiple_of(2) {
            Topic::Notifications
        } else {
            Topic::Tweaks
        },
        kind: EventKind::BlockMined,
        height: Some(number as u32),
        block_hash: Some(hash(n)),
        payload: Bytes::from(format!(
            "{{\"batch\":{number},\"event\":{k},\"filler\":\"{}\"}}",
            "x".repeat(300)
        )),
    };
    let tip = model.blocks.last_key_value().map(|(height, _)| *height);
    let block = match (tip, number % 7) {
        (Some(tip), 5) if tip > 1 => Some(BlockChange::Disconnect {
            height: tip,
            parent: model.blocks.get(&(tip - 1)).copied().unwrap_or_else(|| hash(0)),
        }),
        // An event of the mesh.
        (Some(_), 3) => None,
        (tip, _) => Some(BlockChange::Connect(tip.map_or(1, |tip| tip + 1), hash(n + 1))),
    };
    Batch {
        block,
        events: (0..1 + n % 4).map(event).collect(),
        payments: vec![
            (outpoint(n), Some(vec![7; 100])),
            (
                outpoint(n.saturating_sub(5)),
                (!number.is_multiple_of(3)).then(|| vec![8; 50]),
            ),
        ],
    }
}

pub(crate) fn open(disk: &Disk) -> Result<Store, OpenError> {
    Store::open_on(Box::new(disk.clone()), Path::new("memory"), "regtest", RETENTION)
}

/// A writer, and its confirmed state.
pub(crate) struct Run {
    pub(crate) store: Store,
    name: String,
    number: usize,
    /// State of the batches whose commit succeeded.
    model: Model,
}

impl Run {
    pub(crate) fn new(disk: &Disk, name: String) -> Self {
        let mut opened = open(disk);
        for _ in 1..ATTEMPTS {
            opened = opened.or_else(|_| open(disk));
        }
        let store = opened.unwrap_or_else(|error| panic!("{name}: {error}"));
        Self::with(store, name)
    }

    pub(crate) fn try_new(disk: &Disk, name: String) -> Option<Self> {
        Some(Self::with(open(disk).ok()?, name))
    }

    pub(crate) fn in_file(path: &Path) -> Self {
        Self::with(
            Store::open(path, "regtest", RETENTION).unwrap(),
            path.display().to_string(),
        )
    }

    fn with(store: Store, name: String) -> Self {
        Self {
            store,
            name,
            number: 0,
            model: Model::default(),
        }
    }

    pub(crate) fn batches(&self) -> usize {
        self.number
    }

    /// Commits the next batch; after an error, the same one is retried.
    pub(crate) fn try_next(&mut self) -> Result<(), StoreError> {
        let batch = batch(self.number, &self.model);
        self.store.commit(&batch)?;
        self.number += 1;
        self.model.apply(&batch);
        Ok(())
    }

    /// Commits `count` batches with a few attempts each; in between, readers see complete batches.
    pub(crate) fn next_batches(&mut self, count: usize) {
        for _ in 0..count {
            let mut attempt = self.try_next();
            for _ in 1..ATTEMPTS {
                if attempt.is_err() {
                    self.holds_or_will(&self.store);
                    attempt = self.try_next();
                }
            }
            attempt.unwrap_or_else(|error| panic!("{}, batch {}: {error}", self.name, self.number));
        }
    }

    pub(crate) fn finish(&mut self) {
        self.next_batches((BLOCKS as usize).saturating_sub(self.number));
    }

    /// Commits until the disk has counted this number of operations.
    pub(crate) fn until_counted(&mut self, disk: &Disk, operation: Operation, n: u64) {
        let counted = || {
            let (writes, syncs) = disk.counted();
            if operation == Operation::Write { writes } else { syncs }
        };
        while counted() < n && self.number < BLOCKS as usize {
            self.next_batches(1);
        }
    }

    /// Commits until the disk's power is cut.
    pub(crate) fn until_off(&mut self, disk: &Disk) {
        while !disk.is_off() {
            if self.try_next().is_err() {
                assert!(disk.is_off(), "{}", self.name);
            } else if self.number == BLOCKS as usize {
                // The last operations of a run are those of its end.
                return;
            }
        }
    }

    /// The same writer after a power cut: it continues from the state of the store.
    pub(crate) fn on(&self, disk: &Disk, name: String) -> Self {
        let store = open(disk).unwrap_or_else(|error| panic!("{name}: {error}"));
        let mut run = Self {
            store,
            name,
            number: self.number,
            model: self.model.clone(),
        };
        let (next, _) = Model::of(&run.store).unwrap();
        if next > run.model.shown().0 {
            let uncertain = batch(run.number, &run.model);
            run.model.apply(&uncertain);
            run.number += 1;
        }
        run.holds_in(&run.store);
        run
    }

    /// Checks that the store has exactly the committed state.
    pub(crate) fn holds_in(&self, store: &Store) {
        let found = Model::of(store).unwrap_or_else(|error| panic!("{}: {error}", self.name));
        assert_eq!(found, self.model.shown(), "{}, batch {}", self.name, self.number);
    }

    /// Checks that the store has this state, or also the batch with an unknown outcome. It may also be unavailable.
    pub(crate) fn holds_or_will(&self, store: &Store) {
        let Ok(found) = Model::of(store) else { return };
        let mut with = self.model.clone();
        with.apply(&batch(self.number, &self.model));
        assert!(
            found == self.model.shown() || found == with.shown(),
            "{}, batch {}",
            self.name,
            self.number
        );
    }
}

/// Adds syncs as the relay does: failed ones are retried, followed by new ones; returns the expected records.
pub(crate) fn add_syncs(store: &Store) -> Vec<Vec<u8>> {
    let record = |n: usize| format!("sync {n}").into_bytes();
    let (mut all, mut unsaved) = (Vec::new(), Vec::new());
    for round in 0..10 {
        unsaved.push(record(2 * round));
        unsaved.push(record(2 * round + 1));
        if store.add_syncs(&unsaved).is_ok() {
            all.append(&mut unsaved);
        }
    }
    while store.add_syncs(&unsaved).is_err() {
        std::thread::yield_now();
    }
    all.append(&mut unsaved);
    all
}

//! Files of format 1, as version 0.1 of the relay wrote them.

#![allow(clippy::unwrap_used, reason = "a failure in here is a failed test")]

use std::path::Path;

use bitcoin::hashes::Hash;
use redb::{Database, ReadableTable, ReadableTableMetadata, TableDefinition};
use sdk_relay_protocol::{
    BlockDisconnected, BlockMined, Event, Notification, Payment, RelayConnected, RelayDisconnected, ServerMessage,
    Topic, TweakOutput, TweakTx, Tweaks, encode,
};

use super::conformance::hash;
use crate::format::LOG;
use crate::record::Record;

const META: TableDefinition<'_, &str, u64> = TableDefinition::new("meta");
const NAMES: TableDefinition<'_, &str, &str> = TableDefinition::new("names");
const BLOCKS: TableDefinition<'_, u32, &[u8; 32]> = TableDefinition::new("blocks");
const EVENTS: TableDefinition<'_, u64, &[u8]> = TableDefinition::new("events");
const PAYMENTS: TableDefinition<'_, &[u8; 36], &[u8]> = TableDefinition::new("payments");
const SYNC_HISTORY: TableDefinition<'_, u64, &[u8]> = TableDefinition::new("sync_history");

/// Repeated here: a change in the program must not change the test data.
fn topic_number(topic: Topic) -> u8 {
    match topic {
        Topic::Notifications => 0,
        Topic::Health => 1,
        Topic::Metrics => 2,
        Topic::Sync => 3,
        Topic::Tweaks => 4,
    }
}

/// A file of format 1, of the network `regtest`.
#[derive(Clone, Debug)]
pub struct Format1 {
    /// Ids, topics and payloads of its events.
    pub events: Vec<(u64, Topic, Vec<u8>)>,
    /// Records without a valid topic and payload.
    pub damaged: Vec<(u64, Vec<u8>)>,
    /// Whether it was written before `hole_before` and the history of syncs were introduced.
    pub is_old: bool,
}

impl Format1 {
    /// A file with removed oldest events, a hole, and each kind of event, including an unsplit block that exceeds the
    /// message limit. The block at the height `h` has the hash [`hash(h)`](hash).
    pub fn sample() -> Self {
        let mut file = Self {
            events: Vec::new(),
            damaged: Vec::new(),
            is_old: false,
        };
        for event in [
            mined(7),
            tweaks_of_a_block(7, 3),
            payment(Event::PaymentDetected, Some(7)),
            payment(Event::PaymentDetected, None),
            mined(8),
            tweaks_of_a_block(8, 10_000),
            payment(Event::PaymentReverted, Some(8)),
            disconnected(8),
            Event::RelayConnected(RelayConnected {
                relay_id: "a".to_owned(),
                address: None,
                version: "1.0.0".to_owned(),
                capabilities: Vec::new(),
                timestamp: 1,
                connection_id: "conn-1".to_owned(),
            }),
            Event::RelayDisconnected(RelayDisconnected {
                relay_id: "a".to_owned(),
                address: Some("a.example.com:8090".to_owned()),
                timestamp: 1,
                connection_id: "conn-1".to_owned(),
            }),
            mined(50),
            tweaks_of_a_block(50, 0),
        ] {
            file.push(event);
        }
        file
    }

    /// Adds an event, with the next id.
    pub fn push(&mut self, event: Event) {
        let id = self.next_event();
        let topic = match event {
            Event::Tweaks(_) => Topic::Tweaks,
            _ => Topic::Notifications,
        };
        let is_old = matches!(&event, Event::Tweaks(block) if block.parts == 1);
        let notification = ServerMessage::Notification(Notification {
            event,
            timestamp: 1_700_000_000,
            event_id: Some(id),
            watch_seq: None,
        });
        let mut message = serde_json::to_value(notification).unwrap();
        if is_old {
            // As written before blocks were split into parts.
            let data = message["data"].as_object_mut().unwrap();
            data.shift_remove("part").zip(data.shift_remove("parts")).unwrap();
        }
        self.events.push((id, topic, encode(&message).unwrap()));
    }

    /// Id of the next event.
    pub fn next_event(&self) -> u64 {
        let newest = self
            .events
            .iter()
            .map(|(id, ..)| *id)
            .chain(self.damaged.iter().map(|(id, _)| *id));
        newest.max().map_or(Self::FIRST, |newest| newest + 1)
    }

    /// Id of the first event of [`Self::sample`].
    pub const FIRST: u64 = 41;

    /// The first event after the hole of [`Self::sample`]: `block_mined` of the height 50.
    pub const HOLE_BEFORE: u64 = 51;

    /// Writes the file.
    pub fn write_file(&self, path: &Path) {
        self.write(&Database::create(path).unwrap());
    }

    /// Writes it into an empty database.
    pub fn write(&self, database: &Database) {
        let record =
            |(id, topic, payload): &(u64, Topic, Vec<u8>)| (*id, [&[topic_number(*topic)], &payload[..]].concat());
        let tx = database.begin_write().unwrap();
        {
            let mut events = tx.open_table(EVENTS).unwrap();
            let mut bytes = 0;
            for (id, record) in self.events.iter().map(record).chain(self.damaged.iter().cloned()) {
                bytes += record.len() as u64;
                events.insert(id, record.as_slice()).unwrap();
            }
            let mut meta = tx.open_table(META).unwrap();
            meta.insert("format", 1).unwrap();
            meta.insert("log_bytes", bytes).unwrap();
            meta.insert("next_event", self.next_event()).unwrap();
            tx.open_table(NAMES).unwrap().insert("network", "regtest").unwrap();
            let mut blocks = tx.open_table(BLOCKS).unwrap();
            let mut payments = tx.open_table(PAYMENTS).unwrap();
            payments.insert(&[7; 36], b"a payment".as_slice()).unwrap();
            if self.is_old {
                meta.insert("complete_from", Self::FIRST).unwrap();
                blocks.insert(7, &hash(7).to_byte_array()).unwrap();
            } else {
                meta.insert("complete_from", Self::HOLE_BEFORE).unwrap();
                meta.insert("hole_before", Self::HOLE_BEFORE).unwrap();
                blocks.insert(50, &hash(50).to_byte_array()).unwrap();
                let mut syncs = tx.open_table(SYNC_HISTORY).unwrap();
                syncs.insert(1, b"a sync".as_slice()).unwrap();
            }
        }
        tx.commit().unwrap();
    }

    /// Ids of its events, in order.
    pub fn ids_of_events(&self) -> Vec<u64> {
        let damaged = self.damaged.iter().map(|(id, _)| *id);
        self.events.iter().map(|(id, ..)| *id).chain(damaged).collect()
    }

    /// Ids of the events that version 0.1 finds in a file.
    pub fn ids(database: &Database) -> Vec<u64> {
        let tx = database.begin_write().unwrap();
        let events = tx.open_table(EVENTS).unwrap();
        events.iter().unwrap().map(|item| item.unwrap().0.value()).collect()
    }

    /// Whether some of its events are migrated, and others are not.
    pub fn is_half_migrated(database: &Database) -> bool {
        let tx = database.begin_write().unwrap();
        let is_current = tx.open_table(META).unwrap().get("format").unwrap().unwrap().value() > 1;
        is_current && !tx.open_table(EVENTS).unwrap().is_empty().unwrap()
    }

    /// Opens a file as version 0.1 does: it creates its tables in any file, even of a newer format, before it reads the
    /// format. Returns the format.
    pub fn open_with_version_0_1(database: &Database) -> u64 {
        let tx = database.begin_write().unwrap();
        let format = tx.open_table(META).unwrap().get("format").unwrap().unwrap().value();
        for _ in [tx.open_table(EVENTS).unwrap(), tx.open_table(SYNC_HISTORY).unwrap()] {}
        tx.open_table(NAMES).unwrap();
        tx.open_table(BLOCKS).unwrap();
        tx.open_table(PAYMENTS).unwrap();
        tx.commit().unwrap();
        format
    }
}

/// Turns a file of format 2 into one of format 1 with the same events.
pub fn downgrade(path: &Path) {
    let database = Database::open(path).unwrap();
    let tx = database.begin_write().unwrap();
    {
        let log = tx.open_table(LOG).unwrap();
        let mut events = tx.open_table(EVENTS).unwrap();
        let mut bytes = 0;
        for item in log.iter().unwrap() {
            let (id, record) = item.unwrap();
            let entry = Record::parse(record.value()).unwrap().to_entry(id.value()).unwrap();
            let old = [&[topic_number(entry.topic)], &entry.payload[..]].concat();
            bytes += old.len() as u64;
            events.insert(entry.id, old.as_slice()).unwrap();
        }
        let mut meta = tx.open_table(META).unwrap();
        meta.insert("format", 1).unwrap();
        meta.insert("log_bytes", bytes).unwrap();
    }
    tx.delete_table(LOG).unwrap();
    tx.commit().unwrap();
}

/// `block_mined` of the block at this height.
fn mined(height: u32) -> Event {
    Event::BlockMined(BlockMined {
        block_height: height,
        block_hash: hash(height).to_string(),
        transactions: 1,
        size: 300,
        timestamp: 1,
        difficulty: 4.6565423739069247e-10,
        merkle_root: "ab".repeat(32),
    })
}

fn disconnected(height: u32) -> Event {
    Event::BlockDisconnected(BlockDisconnected {
        block_height: height,
        block_hash: hash(height).to_string(),
        previous_block_hash: hash(height - 1).to_string(),
        timestamp: 1,
    })
}

fn payment(event: fn(Box<Payment>) -> Event, height: Option<u32>) -> Event {
    event(Box::new(Payment {
        txid: "aa".repeat(32),
        block_height: height,
        block_hash: height.map(|height| hash(height).to_string()),
        amount: "0.001".to_owned(),
        address: "sprt1q".to_owned(),
        confirmations: 1,
        timestamp: 1,
        fee: None,
        size: 200,
        vout: 0,
        tweak: None,
        label: None,
        watch_id: None,
        amount_sats: 100_000,
        fee_sats: None,
        public_key: None,
        spent_by: None,
        spent_height: None,
        replaced_by: None,
        historical: false,
    }))
}

/// The tweaks of a block: one transaction with this number of outputs.
pub fn tweaks_of_a_block(height: u32, outputs: u32) -> Event {
    let output = |vout| TweakOutput {
        vout,
        public_key: "7c".repeat(32),
        amount_sats: 1000,
    };
    let transaction = TweakTx {
        txid: "aa".repeat(32),
        tweak: "02".repeat(33),
        outputs: (0..outputs).map(output).collect(),
        continues: false,
    };
    Event::Tweaks(Tweaks {
        block_height: height,
        block_hash: hash(height).to_string(),
        transactions: if outputs == 0 { Vec::new() } else { vec![transaction] },
        part: 1,
        parts: 1,
        historical: false,
    })
}

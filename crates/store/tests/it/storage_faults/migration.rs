//! A store of format 1 on a disk that fails while it is migrated.

use sdk_relay_store::testing::conformance::{EVERYTHING, WIDE, append, entry, state};
use sdk_relay_store::testing::{Format1, open_in_slices};
use sdk_relay_store::{EventLog, OpenError, Store};

use super::disk::{Disk, Fault, Operation, Unsynced};

/// Size of a slice, so that the file has several.
const SLICE: u64 = 5;

fn open(disk: &Disk) -> Result<Store, OpenError> {
    open_in_slices(Box::new(disk.clone()), "regtest", WIDE, SLICE)
}

fn old() -> (Format1, Disk) {
    let file = Format1::sample();
    assert!(file.events.len() as u64 > 2 * SLICE);
    let disk = Disk::holding(|database| file.write(database));
    (file, disk)
}

/// A copy of the file; the disk works.
fn copy(disk: &Disk) -> Disk {
    disk.after_power_cut(Unsynced::Kept)
}

/// Writes and syncs of a migration without a fault.
fn counted(disk: &Disk) -> [(Operation, u64); 2] {
    let disk = copy(disk);
    drop(open(&disk).unwrap());
    let (writes, syncs) = disk.counted();
    assert!(writes > 20 && syncs > 5, "{writes} writes, {syncs} syncs");
    [(Operation::Write, writes), (Operation::Sync, syncs)]
}

/// As long as the file has the format 1, a program of that format finds all events in it.
fn is_of_version_0_1_or_refused_by_it(disk: &Disk, file: &Format1, name: &str) {
    let database = copy(disk).database();
    if Format1::open_with_version_0_1(&database) == 1 {
        assert_eq!(Format1::ids(&database), file.ids_of_events(), "{name}");
    }
}

#[test]
fn a_migration_continues_after_a_power_cut_at_any_write_or_sync() {
    let (file, old) = old();
    let expected = state(&open(&copy(&old)).unwrap());
    let mut half_way = 0;
    for (operation, count) in counted(&old) {
        for n in 1..=count {
            let disk = copy(&old);
            disk.set(Some(Fault::PowerCut(operation, n)));
            // The last operations are those of the end.
            drop(open(&disk));
            assert!(disk.is_off(), "{operation:?} {n}");
            for unsynced in [Unsynced::Lost, Unsynced::Kept, Unsynced::Torn(n)] {
                let name = format!("the power is cut at {operation:?} {n}, what was unsynced is {unsynced:?}");
                let after = disk.after_power_cut(unsynced);
                is_of_version_0_1_or_refused_by_it(&after, &file, &name);
                half_way += u32::from(Format1::is_half_migrated(&copy(&after).database()));
                let store = open(&after).unwrap_or_else(|error| panic!("{name}: {error}"));
                assert_eq!(state(&store), expected, "{name}");
                append(&store, [entry(file.next_event(), 1)]);
            }
        }
    }
    assert!(half_way > 10, "{half_way}");
}

#[test]
fn a_migration_continues_after_a_failure_of_any_write_or_sync() {
    let (file, old) = old();
    let expected = state(&open(&copy(&old)).unwrap());
    let mut refused = 0;
    for (operation, count) in counted(&old) {
        for n in 1..=count {
            let disk = copy(&old);
            disk.set(Some(Fault::Once(operation, n)));
            let name = format!("{operation:?} {n} fails");
            let mut opened = open(&disk);
            if let Err(error) = &opened {
                assert!(matches!(error, OpenError::File { .. }), "{name}: {error}");
                refused += 1;
                is_of_version_0_1_or_refused_by_it(&disk, &file, &name);
                opened = open(&disk);
            }
            let store = opened.unwrap_or_else(|error| panic!("{name}: {error}"));
            assert_eq!(state(&store), expected, "{name}");
        }
    }
    assert!(refused > 10, "{refused}");
}

/// The program ends with an error, and the next start continues.
#[test]
fn a_migration_on_a_full_disk_continues_once_there_is_space() {
    let (_, old) = old();
    let expected = state(&open(&copy(&old)).unwrap());
    old.set(Some(Fault::Full));
    let error = open(&old).unwrap_err();
    assert!(matches!(error, OpenError::File { .. }), "{error}");
    old.set(None);
    let store = open(&old).unwrap();
    assert_eq!(state(&store), expected);
    assert_eq!(store.read_after(0, EVERYTHING).unwrap().len(), 12);
}

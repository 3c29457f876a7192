//! The store on a disk that fails: nothing is lost, duplicated or panics, and it continues once the fault is fixed.

mod disk;
mod migration;
mod run;

use std::time::{Duration, Instant};

use sdk_relay_store::{OpenError, Store};

use disk::{Disk, Fault, Operation, Unsynced};
use run::{BLOCKS, RETENTION, Run, open};

/// Each write and each sync of the run fails once: after a retry of the batch the run continues.
#[test]
fn a_failure_of_any_write_or_sync_loses_and_repeats_nothing() {
    let (writes, syncs) = counted();
    for (operation, count) in [(Operation::Write, writes), (Operation::Sync, syncs)] {
        for n in 1..=count {
            let disk = Disk::with(Fault::Once(operation, n));
            let mut run = Run::new(&disk, format!("{operation:?} {n} fails"));
            run.until_counted(&disk, operation, n);
            run.next_batches(2);
            // Running all of them to the end would take most of the time without more coverage.
            if n.is_multiple_of(16) {
                run.finish();
            }
            run.holds_in(&run.store);
            // Its content is durable, too.
            let after = disk.after_power_cut(Unsynced::Lost);
            run.holds_in(&open(&after).unwrap());
        }
    }
}

/// The power is cut at each write and each sync of the run: all commits are there, and the batch being committed is
/// complete or absent.
#[test]
fn a_power_cut_at_any_write_or_sync_loses_and_repeats_nothing() {
    let (writes, syncs) = counted();
    for (operation, count) in [(Operation::Write, writes), (Operation::Sync, syncs)] {
        for n in 1..=count {
            let disk = Disk::with(Fault::PowerCut(operation, n));
            let name = format!("the power is cut at {operation:?} {n}");
            let Some(mut before) = Run::try_new(&disk, name.clone()) else {
                // During the creation of the store: there is no data yet.
                assert!(disk.is_off(), "{name}");
                for unsynced in [Unsynced::Lost, Unsynced::Kept, Unsynced::Torn(n)] {
                    open(&disk.after_power_cut(unsynced)).unwrap_or_else(|e| panic!("{name}, {unsynced:?}: {e}"));
                }
                continue;
            };
            before.until_off(&disk);
            for unsynced in [
                Unsynced::Lost,
                Unsynced::Kept,
                Unsynced::Torn(n),
                Unsynced::Torn(n.wrapping_mul(0x9e37_79b9)),
            ] {
                let after = disk.after_power_cut(unsynced);
                let mut run = before.on(&after, format!("{name}, what was unsynced is {unsynced:?}"));
                run.next_batches(3);
                run.holds_in(&run.store);
            }
        }
    }
}

/// Commits fail while the disk is full, and reads work; once there is space, the same store continues.
#[test]
fn a_full_disk_is_recovered_from_without_a_restart() {
    let disk = Disk::made();
    let mut run = Run::new(&disk, "a full disk".to_owned());
    run.next_batches(5);
    disk.set(Some(Fault::Full));
    let mut refused = 0;
    // The file has some free pages left at first.
    while refused < 3 {
        match run.try_next() {
            Ok(()) => assert!(run.batches() < BLOCKS as usize, "the disk takes everything"),
            Err(_) => refused += 1,
        }
        run.holds_or_will(&run.store);
    }
    disk.set(None);
    // The store reopens the disk within a second.
    let deadline = Instant::now() + Duration::from_secs(60);
    while let Err(error) = run.try_next() {
        assert!(Instant::now() < deadline, "{error}");
        std::thread::yield_now();
    }
    run.finish();
    run.holds_in(&run.store);
    run.holds_in(&open(&disk.after_power_cut(Unsynced::Lost)).unwrap());
}

/// Any file content gives an error that names the file once, or the stored data; never a panic.
#[test]
fn damage_of_the_file_is_an_error_that_names_it() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("relay.redb");
    let mut run = Run::in_file(&path);
    run.finish();
    drop(run);
    let whole = std::fs::read(&path).unwrap();
    let damaged = |bytes: &[u8]| {
        std::fs::write(&path, bytes).unwrap();
        Store::open(&path, "regtest", RETENTION)
    };
    let named = |bytes: &[u8], what: &str| {
        let error = damaged(bytes).expect_err(what);
        assert!(matches!(error, OpenError::Damaged { .. }), "{what}: {error:?}");
        let text = error.to_string();
        assert!(
            text.contains("relay.redb") && text.contains("move the file away"),
            "{text}"
        );
        assert!(
            std::error::Error::source(&error).is_none(),
            "its cause would be printed twice: {text}"
        );
    };
    named(b"garbage", "a short text");
    named(&[0x5a; 1 << 20], "a megabyte of garbage");
    named(&vec![0; 1 << 20], "a megabyte of zeros");
    named(b"SQLite format 3\0 and more of that kind", "a file of another program");
    for length in [1, 9, 320, 4096, whole.len() / 2, whole.len() - 4096, whole.len() - 1] {
        named(&whole[..length], &format!("{length} bytes of {}", whole.len()));
    }
    // Any page: it is found damaged, or is unreferenced.
    let (mut errors, mut opened) = (0, 0);
    for page in 0..whole.len() / 4096 {
        let mut bytes = whole.clone();
        bytes[page * 4096..][..4096].iter_mut().for_each(|byte| *byte ^= 0xa5);
        match damaged(&bytes) {
            Err(error) => {
                assert!(error.to_string().contains("relay.redb"), "page {page}: {error}");
                errors += 1;
            }
            Ok(store) => {
                run::is_consistent(&store, &format!("page {page}"));
                opened += 1;
            }
        }
    }
    assert!(errors > 0 && opened > 0, "{errors} errors, {opened} opened");
}

/// Syncs are added once, for any fault.
#[test]
fn a_failure_of_any_write_or_sync_adds_no_entry_of_the_sync_history_twice() {
    let count = {
        let disk = Disk::made();
        let store = open(&disk).unwrap();
        let before = disk.counted();
        run::add_syncs(&store);
        (before, disk.counted())
    };
    let ((first_write, first_sync), (writes, syncs)) = count;
    for fault in (first_write + 1..=writes)
        .map(|n| Fault::Once(Operation::Write, n))
        .chain((first_sync + 1..=syncs).map(|n| Fault::Once(Operation::Sync, n)))
    {
        let disk = Disk::with(fault);
        let store = open(&disk).unwrap();
        let expected = run::add_syncs(&store);
        assert_eq!(store.syncs().unwrap(), expected, "{fault:?}");
    }
}

fn counted() -> (u64, u64) {
    let disk = Disk::made();
    let mut run = Run::new(&disk, "no fault".to_owned());
    run.finish();
    run.holds_in(&run.store);
    let (writes, syncs) = disk.counted();
    assert!(
        writes > 100 && syncs > u64::from(BLOCKS),
        "{writes} writes, {syncs} syncs"
    );
    (writes, syncs)
}

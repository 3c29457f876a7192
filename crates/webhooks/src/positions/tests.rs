use std::sync::Arc;

use sdk_relay_store::testing::MemoryLog;
use sdk_relay_store::testing::conformance::{WIDE, append, entry};

use super::*;
use crate::source::LogSource;

/// A log with events up to this one.
fn log(newest: u64) -> LogSource {
    let log = Arc::new(MemoryLog::new(WIDE));
    append(&*log, (1..=newest).map(|id| entry(id, 1)));
    LogSource::new(log, watch::Sender::new(newest).subscribe())
}

fn open(dir: &Path, names: &[&str], newest: u64) -> Result<Positions, OpenError> {
    Positions::open(dir, names, &log(newest))
}

#[tokio::test]
async fn positions_survive_and_those_of_removed_endpoints_too() {
    let dir = tempfile::tempdir().unwrap();
    let positions = open(dir.path(), &["shop", "bot"], 7).unwrap();
    assert_eq!((positions.of("shop").after, positions.of("bot").after), (7, 7));
    let number = positions.change("shop", |position| position.after = 8);
    let log_id = positions.log_id();
    tokio::select! {
        () = positions.save_changes() => unreachable!("it runs until it is dropped"),
        () = positions.saved(number) => {}
    }
    drop(positions);

    // Without `bot`, and with a new one.
    let positions = open(dir.path(), &["shop", "new"], 9).unwrap();
    assert_eq!(positions.log_id(), log_id);
    assert_eq!(
        ["shop", "bot", "new"].map(|name| positions.of(name).after),
        [8, 7, 9],
        "a removed one keeps its position, a new one begins at the head"
    );
}

/// An orderly stop: the tasks have ended, also the one that writes.
#[tokio::test]
async fn what_is_not_written_yet_is_saved_at_the_end() {
    let dir = tempfile::tempdir().unwrap();
    let positions = open(dir.path(), &["shop"], 7).unwrap();
    positions.change("shop", |position| position.after = 8);
    let old = positions.snapshot();
    positions.change("shop", |position| position.after = 9);
    positions.save().unwrap();
    // One that was in progress ends later.
    old.write().unwrap();
    assert_eq!(open(dir.path(), &["shop"], 9).unwrap().of("shop").after, 9);
}

#[test]
fn a_refused_change_changes_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let positions = open(dir.path(), &["shop"], 7).unwrap();
    let refuse = |position: &mut Position| if position.after == 7 { Err("no") } else { Ok(()) };
    assert_eq!(positions.try_change("shop", refuse), Err("no"));
    assert_eq!(*positions.changed.borrow(), 0);
}

/// The hole of the log that was replaced is above those of the other.
#[test]
fn an_older_log_has_holes_of_its_own() {
    let dir = tempfile::tempdir().unwrap();
    drop(open(dir.path(), &["shop"], 7).unwrap());
    let positions = open(dir.path(), &["shop"], 7).unwrap();
    let number = positions.change("shop", |position| position.hole = 6);
    positions.save().unwrap();
    assert_eq!((number, positions.of("shop").hole), (1, 6));
    let position = open(dir.path(), &["shop"], 3).unwrap().of("shop");
    assert_eq!((position.hole, position.gap.unwrap().hole), (0, 0));
}

/// A write of the relay before is still in progress when it restarts.
#[tokio::test]
async fn a_late_write_does_not_replace_the_file_of_its_successor() {
    let dir = tempfile::tempdir().unwrap();
    let before = open(dir.path(), &["shop"], 7).unwrap();
    drop(open(dir.path(), &["shop", "new"], 8).unwrap());
    let number = before.change("shop", |position| position.after = 9);
    tokio::select! {
        () = before.save_changes() => unreachable!("it runs until it is dropped"),
        () = before.saved(number) => {}
    }
    let after = open(dir.path(), &["shop", "new"], 9).unwrap();
    assert_eq!((after.of("shop").after, after.of("new").after), (7, 8));
}

/// The start returns after the position is durable: an event that is committed right after it is not lost by a kill.
#[test]
fn a_new_position_is_durable_at_once() {
    let dir = tempfile::tempdir().unwrap();
    drop(open(dir.path(), &["shop"], 7).unwrap());
    assert_eq!(open(dir.path(), &["shop"], 9).unwrap().of("shop").after, 7);
}

#[test]
fn an_older_log_makes_a_gap_and_new_ids() {
    let dir = tempfile::tempdir().unwrap();
    let positions = open(dir.path(), &["shop"], 7).unwrap();
    let log_id = positions.log_id();
    let positions = open(dir.path(), &["shop"], 3).unwrap();
    let position = positions.of("shop");
    let gap = position.gap.unwrap();
    assert_ne!(positions.log_id(), log_id);
    assert_eq!((gap.after, gap.next, gap.reason), (7, 1, Reason::LogReplaced));
    assert_eq!(position.after, 0, "all of its events wait");
    // Once.
    let again = open(dir.path(), &["shop"], 3).unwrap();
    assert_eq!(again.log_id(), positions.log_id());
}

#[test]
fn a_file_that_cannot_be_read_is_named_and_kept() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join(WEBHOOKS_FILE);
    for (text, expected) in [
        ("", "cannot be read"),
        ("{}", "cannot be read"),
        (r#"{"format":1,"log_id":"a","endpoints":{"shop":{}}}"#, "cannot be read"),
        (r#"{"format":2}"#, "have format 2; this program reads format 1"),
    ] {
        std::fs::write(&path, text).unwrap();
        let error = open(dir.path(), &["shop"], 7).unwrap_err().to_string();
        assert!(error.contains(expected) && error.contains(WEBHOOKS_FILE), "{error}");
        assert_eq!(std::fs::read_to_string(&path).unwrap(), text);
    }
}

#[test]
fn the_number_of_positions_is_bounded() {
    let dir = tempfile::tempdir().unwrap();
    let names: Vec<_> = (0..MOST_KEPT + 10).map(|n| format!("hook{n}")).collect();
    let names: Vec<_> = names.iter().map(String::as_str).collect();
    drop(open(dir.path(), &names, 7).unwrap());
    let positions = open(dir.path(), &["hook0", "new"], 9).unwrap();
    assert_eq!(positions.content().endpoints.len(), MOST_KEPT);
    assert_eq!((positions.of("hook0").after, positions.of("new").after), (7, 9));
}

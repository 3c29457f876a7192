//! Whatever the database file contains, the index opens, and after a rebuild equals a fresh one.

use super::*;

/// Header of the file: magic number, layout, and two commit slots.
const HEADER: usize = 320;
/// Step between tested bytes, except zeros; a prime, so that all offsets within a page are covered.
const STEP: usize = 331;

/// An intact database file, and its blocks.
fn whole() -> (tempfile::TempDir, Vec<u8>, Vec<IndexedBlock>) {
    let dir = tempfile::tempdir().unwrap();
    let (index, chain) = mixed(&dir);
    drop(index);
    let whole = std::fs::read(dir.path().join("index.redb")).unwrap();
    (dir, whole, chain)
}

/// Opens an index with this database and intact segments, extends it to the tip of the chain, and compares it with a
/// fresh one. Returns whether it was rebuilt.
fn survives(rows: &tempfile::TempDir, database: &[u8], chain: &[IndexedBlock], what: &str) -> bool {
    let dir = tempfile::tempdir().unwrap();
    std::fs::copy(rows.path().join("000000.rows"), dir.path().join("000000.rows")).unwrap();
    std::fs::write(dir.path().join("index.redb"), database).unwrap();
    let index = TweakIndex::open(dir.path(), "regtest", 0).unwrap_or_else(|e| panic!("{what}: {e}"));
    let rebuild = index.rebuild();
    let next = index.tip().unwrap().map_or(0, |tip| tip.height as usize + 1);
    if let Some(rebuild) = &rebuild {
        assert_eq!(next, 0, "{what}: {rebuild:?}");
        assert_eq!(segment_bytes(&dir), 0, "{what}");
        assert!(!rebuild.reason.is_empty(), "{what}");
        assert!(
            rebuild.set_aside.ends_with("index.redb.damaged") && rebuild.set_aside.exists(),
            "{what}"
        );
    }
    let previous = next
        .checked_sub(1)
        .map_or(BlockHash::all_zeros(), |tip| chain[tip].hash);
    index
        .append(previous, &chain[next..])
        .unwrap_or_else(|e| panic!("{what}: {e}"));
    assert_holds(&index, &dir, chain);
    index.rebuilt();
    drop(index);
    // Reported once: the next start finds an intact index.
    let index = open(&dir);
    assert_eq!(index.rebuild(), None, "{what}");
    assert_holds(&index, &dir, chain);
    rebuild.is_some()
}

#[test]
fn any_flipped_byte_of_the_database_is_survived() {
    let (rows, whole, chain) = whole();
    let used = (HEADER..whole.len()).filter(|at| whole[*at] != 0);
    let (mut tried, mut rebuilt) = (0, 0);
    for at in (0..HEADER).step_by(3).chain(used.step_by(STEP)) {
        let mut changed = whole.clone();
        changed[at] ^= 1 << (at % 8);
        tried += 1;
        rebuilt += usize::from(survives(&rows, &changed, &chain, &format!("byte {at}")));
    }
    assert!(rebuilt > 0 && rebuilt < tried, "{rebuilt} of {tried}");
}

#[test]
fn a_truncated_or_foreign_database_is_survived() {
    let (rows, whole, chain) = whole();
    for length in [0, 1, 9, 320, 4096, whole.len() / 2, whole.len() - 4096, whole.len() - 1] {
        let what = format!("{length} bytes of {}", whole.len());
        assert!(survives(&rows, &whole[..length], &chain, &what), "{what}");
    }
    for garbage in [
        &b"garbage"[..],
        &[0x5a; 1 << 20],
        &[0; 1 << 20],
        b"SQLite format 3\0 and more",
    ] {
        assert!(survives(&rows, garbage, &chain, "garbage"));
    }
    // A database of redb, but of another program.
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("other.redb");
    let other = redb::Database::create(&path).unwrap();
    let tx = other.begin_write().unwrap();
    const TABLE: TableDefinition<'_, u64, u64> = TableDefinition::new("blocks");
    tx.open_table(TABLE).unwrap().insert(1, 1).unwrap();
    tx.commit().unwrap();
    drop(other);
    assert!(survives(
        &rows,
        &std::fs::read(&path).unwrap(),
        &chain,
        "another program's"
    ));
}

#[test]
fn an_index_in_use_is_reset() {
    let dir = tempfile::tempdir().unwrap();
    let (index, chain) = mixed(&dir);
    flip(&index, 4, 5);
    assert!(index.block(4).is_err());
    let damage = IndexError::Damaged {
        path: dir.path().to_owned(),
        reason: "a test".to_owned(),
    };
    let rebuild = index.reset_damaged(&damage).unwrap();
    assert_eq!(
        (index.rebuild(), rebuild.reason.as_str()),
        (Some(rebuild.clone()), "a test")
    );
    assert_eq!((index.tip().unwrap(), index.damaged()), (None, Default::default()));
    index.append(BlockHash::all_zeros(), &chain).unwrap();
    index.rebuilt();
    assert_eq!(index.rebuild(), None);
    assert_holds(&index, &dir, &chain);
    drop(index);
    assert_holds(&open(&dir), &dir, &chain);
}

/// An index that is not damaged is not modified.
#[test]
fn an_index_of_another_network_or_of_a_newer_program_is_refused_and_kept() {
    let (dir, whole, _) = whole();
    let path = dir.path().join("index.redb");
    let refused = TweakIndex::open(dir.path(), "signet", 0).unwrap_err();
    assert!(matches!(refused, IndexError::OtherNetwork { .. }), "{refused}");
    assert!(path.exists() && !dir.path().join("index.redb.damaged").exists());
    std::fs::write(&path, whole).unwrap();
    let index = open(&dir);
    let tx = index.db.begin_write().unwrap();
    tx.open_table(META).unwrap().insert(META_FORMAT, FORMAT + 1).unwrap();
    tx.commit().unwrap();
    drop(index);
    let refused = TweakIndex::open(dir.path(), "regtest", 0).unwrap_err();
    assert!(matches!(refused, IndexError::NewerFormat { .. }), "{refused}");
    assert!(path.exists() && !dir.path().join("index.redb.damaged").exists());
}

use std::collections::BTreeSet;

use bitcoin::hashes::Hash;
use bitcoin::{Amount, BlockHash, OutPoint, Txid};
use proptest::prelude::*;
use redb::{ReadableTable, ReadableTableMetadata};

use super::*;

fn hash(height: u32, branch: u32) -> BlockHash {
    BlockHash::hash(&[height.to_le_bytes(), branch.to_le_bytes()].concat())
}

fn outpoint(n: u32) -> OutPoint {
    OutPoint {
        txid: Txid::hash(&(n / 4).to_le_bytes()),
        vout: n % 4,
    }
}

fn tx(n: u32) -> IndexedTx {
    let outputs = n % 3 + 1;
    IndexedTx {
        txid: Txid::hash(&n.to_le_bytes()),
        tweak: [u8::try_from(n % 251).unwrap(); 33],
        keys: (0..outputs)
            .map(|i| Txid::hash(&[n, i].map(u32::to_le_bytes).concat()).to_byte_array())
            .collect(),
        places: (0..outputs)
            .map(|i| OutputPlace {
                vout: i * 200,
                amount: Amount::from_sat(u64::from(n) << (i * 20)),
            })
            .collect(),
        fee: (!n.is_multiple_of(5)).then_some(u64::from(n)),
        size: n % 5000,
        spends: 0..0,
    }
}

/// A block that is determined by its height and branch.
fn block(height: u32, branch: u32, spends: &[u32]) -> IndexedBlock {
    // Each of the first transactions spends one output; the others are spent outside the block.
    let txs = ((height * 7 + branch) % 5) as usize;
    let part = |i: usize| i.min(spends.len())..(i + 1).min(spends.len());
    let transactions = (0..txs).map(|i| IndexedTx {
        spends: part(i),
        txid: Txid::hash(&[height, branch, i as u32].map(u32::to_le_bytes).concat()),
        ..tx(height * 100 + branch * 10 + u32::try_from(i).unwrap())
    });
    IndexedBlock {
        height,
        hash: hash(height, branch),
        time: height * 600,
        transactions: transactions.collect(),
        spent: spends
            .iter()
            .map(|n| SpentOutput {
                outpoint: outpoint(*n),
                key_prefix: n.to_le_bytes().repeat(2).try_into().unwrap(),
            })
            .collect(),
    }
}

/// The outputs of the block's transactions, as spent outputs.
fn outputs(block: &IndexedBlock) -> impl Iterator<Item = SpentOutput> + '_ {
    block.transactions.iter().flat_map(|tx| {
        tx.outputs().map(|output| SpentOutput {
            outpoint: OutPoint::new(tx.txid, output.vout),
            key_prefix: *output.key.first_chunk().unwrap(),
        })
    })
}

/// The block as a scan reads it.
fn without_spent(block: &IndexedBlock) -> IndexedBlock {
    IndexedBlock {
        spent: Vec::new(),
        ..block.clone()
    }
}

/// Asserts that the index holds exactly these blocks and their spent marks, in its tables and files.
fn assert_holds(index: &TweakIndex, dir: &tempfile::TempDir, chain: &[IndexedBlock]) {
    let first = chain.first().map_or(0, |b| b.height);
    assert_eq!(
        index.blocks(first, usize::MAX).unwrap(),
        chain.iter().map(without_spent).collect::<Vec<_>>()
    );
    let spent: BTreeSet<_> = chain.iter().flat_map(|b| &b.spent).map(|s| s.outpoint).collect();
    let mut bytes = 0;
    for block in chain {
        assert_eq!(index.block(block.height).unwrap().as_ref(), Some(block));
        let gone: Vec<_> = outputs(block).map(|o| spent.contains(&o.outpoint)).collect();
        assert_eq!(index.are_spent(block).unwrap(), gone);
        let rows = index.block_rows(block.height).unwrap().unwrap();
        assert_eq!((rows.hash, &rows.spent), (block.hash, &block.spent));
        let read = rows
            .rows()
            .map(|row| (*row.txid, *row.tweak, row.keys.to_vec(), row.places().collect()));
        let expected = block.transactions.iter().map(|tx| {
            let txid = tx.txid.to_byte_array();
            (txid, tx.tweak, tx.keys.clone(), tx.places.clone())
        });
        assert_eq!(read.collect::<Vec<(_, _, _, Vec<_>)>>(), expected.collect::<Vec<_>>());
        assert_eq!(index.are_rows_spent(&rows).unwrap(), gone);
        assert_eq!(index.transaction_rows(block.height).unwrap().unwrap().spent, []);
        bytes += u64::from(index.record(block.height).unwrap().unwrap().length);
    }
    assert_eq!(segment_bytes(dir), bytes);
    let made: Vec<_> = chain
        .iter()
        .flat_map(|b| outputs(b).map(|o| (b.height, o.outpoint)))
        .collect();
    let spender = |(_, outpoint): &(u32, OutPoint)| {
        chain.iter().find_map(|b| {
            let position = b.spent.iter().position(|s| s.outpoint == *outpoint)?;
            let by = b.transactions.iter().find(|tx| tx.spends.contains(&position));
            Some(Spender {
                height: b.height,
                hash: b.hash,
                time: b.time,
                txid: by.map(|tx| tx.txid),
            })
        })
    };
    let spenders: Vec<_> = made.iter().map(spender).collect();
    assert_eq!(index.spenders(&made).unwrap(), spenders);
    let read = index.db.begin_read().unwrap();
    let marks = read.open_table(MARKS).unwrap();
    let marked: usize = marks
        .iter()
        .unwrap()
        .map(|row| {
            row.unwrap()
                .1
                .value()
                .iter()
                .map(|byte| byte.count_ones() as usize)
                .sum::<usize>()
        })
        .sum();
    let named = read.open_table(SPENT).unwrap().len().unwrap();
    assert_eq!(marked + usize::try_from(named).unwrap(), spent.len());
}

fn open(dir: &tempfile::TempDir) -> TweakIndex {
    TweakIndex::open(dir.path(), "regtest", 0).unwrap()
}

fn segment_bytes(dir: &tempfile::TempDir) -> u64 {
    let files = std::fs::read_dir(dir.path()).unwrap().map(|e| e.unwrap());
    files
        .filter(|e| e.path().extension().is_some_and(|x| x == "rows"))
        .map(|e| e.metadata().unwrap().len())
        .sum()
}

#[test]
fn blocks_are_read_back_as_written() {
    let dir = tempfile::tempdir().unwrap();
    let index = open(&dir);
    let blocks: Vec<_> = (0..30).map(|h| block(h, 0, &[h * 2, h * 2 + 1])).collect();
    index.append(BlockHash::all_zeros(), &blocks[..10]).unwrap();
    index.append(hash(9, 0), &blocks[10..]).unwrap();
    drop(index);

    let index = open(&dir);
    assert_eq!(
        index.tip().unwrap(),
        Some(IndexTip {
            height: 29,
            hash: hash(29, 0)
        })
    );
    assert_eq!(
        index.first().unwrap(),
        Some(IndexTip {
            height: 0,
            hash: hash(0, 0)
        })
    );
    assert_holds(&index, &dir, &blocks);
    assert_eq!(index.block(30).unwrap(), None);
    assert_eq!(index.blocks(5, usize::MAX).unwrap().len(), 25);
    let first_two = blocks[1..].iter().position(|b| !b.transactions.is_empty()).unwrap() + 1;
    assert!(index.blocks(1, 1).unwrap().len() <= first_two);
    let transactions: usize = blocks[3..=20].iter().map(|b| b.transactions.len()).sum();
    assert_eq!(index.transactions_between(3, 20).unwrap(), transactions as u64);
}

#[test]
fn only_the_next_block_is_accepted() {
    let dir = tempfile::tempdir().unwrap();
    let index = open(&dir);
    index
        .append(BlockHash::all_zeros(), &[block(5, 0, &[]), block(6, 0, &[])])
        .unwrap();
    for (previous, height) in [(hash(6, 1), 7), (hash(6, 0), 8), (hash(5, 0), 6)] {
        let refused = index.append(previous, &[block(height, 0, &[])]).unwrap_err();
        assert!(matches!(refused, IndexError::NotNext { .. }), "{refused}");
    }
    let hole = [block(7, 0, &[]), block(9, 0, &[])];
    assert!(matches!(
        index.append(hash(6, 0), &hole),
        Err(IndexError::NotNext { height: 9, .. })
    ));
    assert_eq!(index.tip().unwrap().unwrap().height, 6);
}

/// The state after a kill between the write of the segment and the commit of the database.
#[test]
fn uncommitted_bytes_are_truncated() {
    let dir = tempfile::tempdir().unwrap();
    let index = open(&dir);
    let start = BLOCKS_PER_SEGMENT - 2;
    index.append(BlockHash::all_zeros(), &[block(start, 0, &[])]).unwrap();
    let counted = segment_bytes(&dir);
    let path = index.segment(0);
    drop(index);
    let mut bytes = std::fs::read(&path).unwrap();
    bytes.extend_from_slice(b"half a block");
    std::fs::write(&path, bytes).unwrap();
    std::fs::write(dir.path().join("000001.rows"), b"a segment of its own").unwrap();

    let index = open(&dir);
    assert_eq!(segment_bytes(&dir), counted);
    let rest: Vec<_> = (start + 1..start + 5).map(|h| block(h, 0, &[])).collect();
    index.append(hash(start, 0), &rest).unwrap();
    assert_eq!(
        index.blocks(start + 1, usize::MAX).unwrap(),
        rest.iter().map(without_spent).collect::<Vec<_>>(),
        "across the border of two segments"
    );
    index.rewind(start).unwrap();
    assert_eq!(segment_bytes(&dir), counted);
}

#[test]
fn changed_bytes_are_noticed() {
    let dir = tempfile::tempdir().unwrap();
    let index = open(&dir);
    index
        .append(BlockHash::all_zeros(), &[block(1, 1, &[1]), block(2, 0, &[2])])
        .unwrap();
    let mut bytes = std::fs::read(index.segment(0)).unwrap();
    bytes[0] ^= 1;
    std::fs::write(index.segment(0), bytes).unwrap();
    assert!(matches!(index.block(1), Err(IndexError::Corrupt { height: 1, .. })));
    assert!(matches!(
        index.blocks(0, 100),
        Err(IndexError::Corrupt { height: 1, .. })
    ));
    assert_eq!(index.block(2).unwrap(), Some(block(2, 0, &[2])));
}

#[test]
fn identity_is_kept() {
    let dir = tempfile::tempdir().unwrap();
    // Without a block it takes network and start of each start.
    assert_eq!(TweakIndex::open(dir.path(), "mainnet", 9).unwrap().start_height(), 9);
    assert!(TweakIndex::check(dir.path(), "signet").unwrap());
    let index = TweakIndex::open(dir.path(), "signet", 7).unwrap();
    assert_eq!(index.start_height(), 7);
    index.append(BlockHash::all_zeros(), &[block(7, 0, &[])]).unwrap();
    drop(index);
    assert!(matches!(
        TweakIndex::check(dir.path(), "mainnet"),
        Err(IndexError::OtherNetwork { .. })
    ));
    let error = TweakIndex::open(dir.path(), "mainnet", 7).unwrap_err();
    assert!(
        matches!(&error, IndexError::OtherNetwork { found, .. } if found == "signet"),
        "{error}"
    );
    let index = TweakIndex::open(dir.path(), "signet", 9).unwrap();
    assert_eq!(index.start_height(), 7, "an index that begins lower is kept");
    drop(index);
    let index = TweakIndex::open(dir.path(), "signet", 3).unwrap();
    assert_eq!(
        (index.start_height(), index.tip().unwrap()),
        (3, None),
        "an index that begins higher is rebuilt"
    );
    drop(index);
    assert_eq!(TweakIndex::open(dir.path(), "signet", 3).unwrap().start_height(), 3);
}

#[test]
fn an_index_of_an_older_format_is_rebuilt() {
    let dir = tempfile::tempdir().unwrap();
    let index = open(&dir);
    index.append(BlockHash::all_zeros(), &[block(0, 0, &[])]).unwrap();
    let tx = index.db.begin_write().unwrap();
    tx.open_table(META).unwrap().insert(META_FORMAT, FORMAT - 1).unwrap();
    tx.commit().unwrap();
    drop(index);
    let index = open(&dir);
    assert_eq!((index.tip().unwrap(), segment_bytes(&dir)), (None, 0));
    index.append(BlockHash::all_zeros(), &[block(0, 0, &[])]).unwrap();
    drop(index);
    assert!(open(&dir).tip().unwrap().is_some());
}

#[test]
fn a_recently_created_spent_output_takes_six_bytes() {
    let dir = tempfile::tempdir().unwrap();
    let index = open(&dir);
    let made = block(4, 0, &[]);
    let count = outputs(&made).count();
    assert!(count > 2, "{count}");
    let mut spending = block(5, 0, &[]);
    let alone = spending.clone();
    index.append(BlockHash::all_zeros(), &[made.clone(), alone]).unwrap();
    let without = index.record(5).unwrap().unwrap().length;
    index.rewind(4).unwrap();
    spending.spent = outputs(&made).collect();
    index.append(hash(4, 0), &[spending.clone()]).unwrap();
    let with = index.record(5).unwrap().unwrap().length;
    assert!((with - without) as usize <= 6 * count, "{with} after {without}");
    assert_holds(&index, &dir, &[made, spending]);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]
    /// After any sequence of appends and rewinds, the index holds exactly the current chain.
    #[test]
    fn nothing_of_an_orphaned_block_stays(steps in proptest::collection::vec((0u8..10, 0u32..200), 1..40)) {
        let dir = tempfile::tempdir().unwrap();
        let mut index = open(&dir);
        let mut chain: Vec<IndexedBlock> = Vec::new();
        let mut free: Vec<u32> = (0..400).collect();
        for (branch, (step, depth)) in (1u32..).zip(steps) {
            let height = chain.last().map_or(BLOCKS_PER_SEGMENT - 3, |b| b.height + 1);
            match step {
                0..=5 => {
                    let previous = chain.last().map_or(BlockHash::all_zeros(), |b| b.hash);
                    let from = chain.len();
                    for i in 0..depth % 4 + 1 {
                        let spends: Vec<u32> = (0..3).filter_map(|_| free.pop()).collect();
                        chain.push(block(height + i, branch, &spends));
                        // Outputs outside the index, and outputs of the index: old, new, and of the same block.
                        let spent: BTreeSet<_> = chain.iter().flat_map(|b| &b.spent).map(|s| s.outpoint).collect();
                        let more: Vec<_> = chain.iter().flat_map(outputs).filter(|o| !spent.contains(&o.outpoint)).collect();
                        let step = 1 + depth as usize % 7;
                        let more = more.into_iter().rev().step_by(step).take(6);
                        chain.last_mut().unwrap().spent.extend(more);
                    }
                    index.append(previous, &chain[from..]).unwrap();
                }
                6..=8 => {
                    let to = height.saturating_sub(1 + depth % 80);
                    index.rewind(to).unwrap();
                    while chain.last().is_some_and(|b| b.height > to) {
                        let gone = chain.pop().unwrap();
                        free.extend((0..400).filter(|n| gone.spent.iter().any(|s| s.outpoint == outpoint(*n))));
                    }
                }
                _ => { drop(index); index = open(&dir); }
            }
        }
        assert_holds(&index, &dir, &chain);
    }
}

/// Flips one byte of the block at this height, or of the previous one if it is empty.
fn flip(index: &TweakIndex, height: u32, byte: u64) {
    let record = index.record(height).unwrap().unwrap();
    let path = index.segment(height / BLOCKS_PER_SEGMENT);
    let mut bytes = std::fs::read(&path).unwrap();
    bytes[usize::try_from(record.offset + byte % u64::from(record.length)).unwrap()] ^= 1;
    std::fs::write(&path, bytes).unwrap();
}

/// Blocks whose spent outputs are referenced by position and in full: the cache is cleared half-way.
fn mixed(dir: &tempfile::TempDir) -> (TweakIndex, Vec<IndexedBlock>) {
    let mut blocks: Vec<IndexedBlock> = Vec::new();
    for height in 0..12 {
        let mut next = block(height, 0, &[height * 3, height * 3 + 1]);
        // Outputs of two blocks earlier, each spent once.
        let earlier = blocks.len().checked_sub(2).and_then(|n| blocks.get(n));
        let made = earlier.map(|b| outputs(b).collect::<Vec<_>>()).unwrap_or_default();
        next.spent.extend(made);
        blocks.push(next);
    }
    let index = open(dir);
    index.append(BlockHash::all_zeros(), &blocks[..6]).unwrap();
    drop(index);
    let index = open(dir);
    index.append(hash(5, 0), &blocks[6..]).unwrap();
    (index, blocks)
}

#[test]
fn a_damaged_block_is_restored_byte_for_byte_whatever_it_spends() {
    let dir = tempfile::tempdir().unwrap();
    let (index, blocks) = mixed(&dir);
    let before = std::fs::read(index.segment(0)).unwrap();
    let met = std::sync::Arc::new(std::sync::atomic::AtomicUsize::new(0));
    let counted = std::sync::Arc::clone(&met);
    index.on_damage(move || {
        counted.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
    });
    for height in 0..12 {
        flip(&index, height, u64::from(height) * 31);
        for _ in 0..3 {
            assert!(matches!(index.transactions(height), Err(IndexError::Corrupt { height: h, .. }) if h == height));
        }
        assert_eq!(index.damage_at(height), Some(Damage::Waiting));
        assert!(!index.recheck(height));
        // The other blocks are read as before, up to the damaged one.
        if height > 0 {
            assert_eq!(index.blocks(0, usize::MAX).unwrap().len(), height as usize);
        }
        assert_eq!(
            index.blocks(height + 1, usize::MAX).unwrap().len(),
            11 - height as usize
        );
        // Another block is not accepted.
        let other = IndexedBlock {
            time: 1,
            ..blocks[height as usize].clone()
        };
        assert!(!index.restore(&other).unwrap());
        assert!(index.restore(&blocks[height as usize]).unwrap());
        assert_eq!(index.damaged(), Default::default());
    }
    assert_eq!(
        met.load(std::sync::atomic::Ordering::Relaxed),
        12,
        "each is reported once"
    );
    assert_eq!(std::fs::read(index.segment(0)).unwrap(), before);
    assert_holds(&index, &dir, &blocks);
    index.rewind(3).unwrap();
    assert_holds(&index, &dir, &blocks[..4]);
}

/// A block that cannot be read may have the spend: "not spent" would be wrong, and nobody would look again.
#[test]
fn no_spend_is_missed_because_a_block_is_damaged() {
    let dir = tempfile::tempdir().unwrap();
    let (index, blocks) = mixed(&dir);
    let made: Vec<_> = blocks[..10]
        .iter()
        .flat_map(|b| outputs(b).map(|o| (b.height, o.outpoint)))
        .collect();
    let spenders = index.spenders(&made).unwrap();
    assert!(!made.is_empty() && spenders.iter().all(Option::is_some));
    for height in 0..12 {
        // The blocks that spend by position and in full, and those of the outputs.
        flip(&index, height, 3);
        let of_block =
            |(_, spender): &(&(u32, OutPoint), &Option<Spender>)| spender.is_some_and(|s| s.height == height);
        let spent_here: Vec<_> = made.iter().zip(&spenders).filter(of_block).map(|(o, _)| *o).collect();
        for output in &spent_here {
            let found = index.spenders(std::slice::from_ref(output));
            assert!(
                matches!(found, Err(IndexError::Corrupt { height: h, .. }) if h == height),
                "{output:?}"
            );
        }
        if !spent_here.is_empty() {
            assert_eq!(index.damage_at(height), Some(Damage::Waiting));
            // It stays lost: the caller would wait for ever.
            index.set_damage(height, Damage::Lost);
            for spender in index.spenders(&spent_here).unwrap() {
                assert!(spender.is_none_or(|s| s.height == height && s.txid.is_none()));
            }
            index.set_damage(height, Damage::Waiting);
        }
        assert!(index.restore(&blocks[height as usize]).unwrap());
        assert_eq!(index.spenders(&made).unwrap(), spenders);
    }
}

#[test]
fn a_lost_file_is_restored_block_by_block() {
    let dir = tempfile::tempdir().unwrap();
    let (index, blocks) = mixed(&dir);
    let before = std::fs::read(index.segment(0)).unwrap();
    drop(index);
    std::fs::remove_file(dir.path().join("000000.rows")).unwrap();
    let index = open(&dir);
    assert_eq!(index.damage_at(11), Some(Damage::Waiting), "found at the start");
    for block in &blocks {
        assert!(matches!(index.block(block.height), Err(IndexError::Corrupt { .. })));
        assert!(index.restore(block).unwrap(), "{}", block.height);
    }
    assert_eq!(std::fs::read(index.segment(0)).unwrap(), before);
    assert_holds(&index, &dir, &blocks);
}

#[test]
fn a_damaged_block_that_is_rewound_is_no_longer_reported() {
    let dir = tempfile::tempdir().unwrap();
    let (index, blocks) = mixed(&dir);
    flip(&index, 11, 5);
    assert!(matches!(index.rewind(10), Err(IndexError::Corrupt { height: 11, .. })));
    assert!(index.restore(&blocks[11]).unwrap());
    flip(&index, 4, 5);
    assert!(index.block(4).is_err());
    index.set_damage(4, Damage::Lost);
    assert!(index.block(4).is_err());
    assert_eq!(index.damage_at(4), Some(Damage::Lost), "until it is retried");
    index.rewind(6).unwrap();
    assert_eq!(index.damage_at(4), Some(Damage::Lost));
    index.clear().unwrap();
    assert_eq!(index.damaged(), Default::default());
}

#[test]
fn a_missing_block_is_an_error() {
    let dir = tempfile::tempdir().unwrap();
    let (index, chain) = mixed(&dir);
    let (first, gone) = (chain[0].height, chain[2].height);
    let tx = index.db.begin_write().unwrap();
    tx.open_table(BLOCKS).unwrap().remove(gone).unwrap();
    tx.commit().unwrap();
    for from in [first, gone] {
        let error = index.blocks(from, usize::MAX).unwrap_err();
        assert!(
            matches!(error, IndexError::Incomplete { missing, .. } if missing == gone),
            "{error}"
        );
    }
    // The next start rebuilds the index.
    drop(index);
    let index = open(&dir);
    assert_eq!((index.tip().unwrap(), index.rebuild().is_some()), (None, true));
}

mod rebuild;

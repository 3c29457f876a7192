use super::*;

const NOW: u64 = 1_700_000_000;

fn key(n: usize) -> String {
    format!("{n:064x}")
}

fn network(n: u8) -> Origin {
    Origin::Network(IpAddr::from([192, 0, 2, n]))
}

fn open(dir: &Path) -> Bindings {
    Bindings::open(dir, BTreeSet::new()).unwrap()
}

fn file(dir: &Path) -> String {
    std::fs::read_to_string(dir.join(NAMES_FILE)).unwrap()
}

#[test]
fn a_name_stays_with_its_key_across_restarts() {
    let dir = tempfile::tempdir().unwrap();
    let names = open(dir.path());
    assert_eq!(names.key_of("a"), None);
    names.bind("a", &key(1), network(1)).unwrap();
    assert_eq!(names.bind("a", &key(2), network(1)), Err(NameRefused::Taken));
    assert!(names.is_unwritten());
    names.write();
    assert!(!names.is_unwritten());
    let again = open(dir.path());
    assert_eq!(again.key_of("a"), Some(key(1)));
    assert_eq!(again.admit("a", &key(2)), Err(NameRefused::Taken));
    again.admit("a", &key(1)).unwrap();
}

#[test]
fn a_name_that_only_proved_its_key_is_not_bound() {
    let dir = tempfile::tempdir().unwrap();
    let names = open(dir.path());
    names.admit("a", &key(1)).unwrap();
    assert_eq!(names.key_of("a"), None);
    names.admit("a", &key(2)).unwrap();
}

#[test]
fn files_of_earlier_versions_are_read_and_damaged_lines_ignored() {
    let dir = tempfile::tempdir().unwrap();
    let (a, b) = (key(1), key(2));
    let mut text = format!("a {a} 1700000000\nnot a line\nb {b} 1700000001\n").into_bytes();
    text.extend([0xff, 0xfe, b'\n']);
    text.extend(format!("c {a} 17000").into_bytes());
    std::fs::write(dir.path().join(NAMES_FILE), text).unwrap();
    let names = open(dir.path());
    assert_eq!(names.key_of("a"), Some(a));
    assert_eq!(names.key_of("b"), Some(b));
    // The torn end does not swallow what is written next.
    names.bind("d", &key(4), network(1)).unwrap();
    names.write();
    let again = open(dir.path());
    assert_eq!(again.key_of("d"), Some(key(4)));
    assert!(!file(dir.path()).contains("not a line"));
}

#[test]
fn new_names_are_appended() {
    let dir = tempfile::tempdir().unwrap();
    let names = open(dir.path());
    let mut written = 0;
    for n in 0..1000 {
        names.bind(&format!("r{n}"), &key(n), Origin::Configured).unwrap();
        let before = std::fs::metadata(dir.path().join(NAMES_FILE)).map_or(0, |file| file.len());
        names.write();
        let after = std::fs::metadata(dir.path().join(NAMES_FILE)).unwrap().len();
        written += after - before;
    }
    let whole = file(dir.path()).len() as u64;
    assert_eq!(written, whole, "each line was written once");
    // Lines that are superfluous go, now and then.
    for day in 1..5 {
        for n in 0..1000 {
            let now = unix_now() + day * WRITE_EVERY;
            names
                .bind_at(now, &format!("r{n}"), &key(n), Origin::Configured)
                .unwrap();
        }
        names.write();
    }
    assert!(file(dir.path()).lines().count() <= 2 * 1000 + MORE_LINES);
}

#[test]
fn new_names_per_hour_are_limited_per_address_and_in_total() {
    let dir = tempfile::tempdir().unwrap();
    let names = open(dir.path());
    let bind = |now: u64, n: usize, from: u8| names.bind_at(now, &format!("r{n}"), &key(n), network(from));
    for n in 0..NAMES_PER_ADDRESS {
        bind(NOW, n, 1).unwrap();
    }
    assert_eq!(bind(NOW, 90, 1), Err(NameRefused::TooMany));
    bind(NOW, 91, 2).unwrap();
    bind(NOW + HOUR, 90, 1).unwrap();
    let later = (100..400).filter(|n| bind(NOW + 2 * HOUR, *n, (n % 100 + 10) as u8).is_ok());
    assert_eq!(later.count(), NAMES_PER_HOUR);
    assert_eq!(bind(NOW + 2 * HOUR, 300, 3), Err(NameRefused::TooMany));
}

#[test]
fn a_key_of_mesh_peers_gets_its_name_from_another_key() {
    let dir = tempfile::tempdir().unwrap();
    open(dir.path()).bind("b", &key(1), network(1)).unwrap();
    let names = Bindings::open(dir.path(), BTreeSet::from([key(2)])).unwrap();
    names.bind("b", &key(1), network(1)).unwrap();
    names.admit("b", &key(2)).unwrap();
    assert_eq!(names.key_of("b"), Some(key(2)));
    assert_eq!(names.admit("b", &key(1)), Err(NameRefused::Taken));
    assert_eq!(names.bind("b", &key(1), network(1)), Err(NameRefused::Taken));
}

#[test]
fn a_flood_of_names_evicts_no_name_and_blocks_no_configured_relay() {
    let dir = tempfile::tempdir().unwrap();
    let text: String = (0..KEPT)
        .map(|n| format!("r{n} {} {}\n", key(n), NOW + n as u64))
        .collect();
    std::fs::write(dir.path().join(NAMES_FILE), text).unwrap();
    let names = Bindings::open(dir.path(), BTreeSet::from([key(9999)])).unwrap();
    assert_eq!(
        names.bind_at(NOW, "new", &key(9000), network(1)),
        Err(NameRefused::Full)
    );
    let later = NOW + KEPT as u64;
    names.bind_at(later, "pinned", &key(9999), network(1)).unwrap();
    names
        .bind_at(later, "configured", &key(9001), Origin::Configured)
        .unwrap();
    assert_eq!((names.key_of("r0"), names.key_of("r1")), (None, None));
    assert_eq!(names.key_of("r2"), Some(key(2)));
    names.bind_at(NOW + 10 + UNSEEN, "new", &key(9000), network(1)).unwrap();
    assert_eq!(names.key_of("r2"), None);
}

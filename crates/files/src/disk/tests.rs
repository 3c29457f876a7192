use std::io::{Read as _, Write as _};

use super::*;
use crate::file::File;
use crate::{TryLockError, exists, is_absent, make_directory, open_regular, replace};

const DIRECTORY: &str = "/data";

fn path(name: &str) -> PathBuf {
    Path::new(DIRECTORY).join(name)
}

/// A disk with the data directory.
fn disk() -> Disk {
    let disk = Disk::default();
    let _mounted = disk.mount();
    make_directory(Path::new(DIRECTORY)).unwrap();
    disk
}

fn text(path: &Path) -> String {
    open_regular(path).and_then(io::read_to_string).unwrap()
}

/// Answers from a counter: each of the first 64 questions takes its answer from a bit.
fn answers(bits: u64) -> impl FnMut() -> bool {
    let mut asked = 0;
    move || {
        asked += 1;
        bits >> ((asked - 1) % 64) & 1 == 1
    }
}

#[test]
fn what_is_not_synchronised_may_be_lost_in_part_and_what_is_stays() {
    let disk = disk();
    let file = {
        let _mounted = disk.mount();
        let file = Open::writing().create_new().open(&path("log")).unwrap();
        file.write_all_at(&[1; 1024], 0).unwrap();
        file.sync_data().unwrap();
        crate::sync_directory(Path::new(DIRECTORY)).unwrap();
        file.write_all_at(&[2; 1024], 0).unwrap();
        file
    };
    for (bits, expected) in [(0, [1, 1]), (1, [2, 1]), (2, [1, 2]), (3, [2, 2])] {
        let after = disk.after_power_cut(&mut answers(bits));
        let _mounted = after.mount();
        let mut bytes = Vec::new();
        open_regular(&path("log")).unwrap().read_to_end(&mut bytes).unwrap();
        let [first, second] = expected;
        assert_eq!(bytes, [[first; 512], [second; 512]].concat(), "{bits}");
    }
    assert_eq!(file.size().unwrap(), 1024);
}

#[test]
fn a_name_is_durable_after_its_directory_is_synchronised() {
    let disk = disk();
    let mounted = disk.mount();
    let mut file = Open::writing().create_new().open(&path("new")).unwrap();
    file.write_all(b"text").unwrap();
    file.sync_all().unwrap();
    drop(mounted);
    let is_there = |disk: &Disk, bits| {
        let after = disk.after_power_cut(&mut answers(bits));
        let _mounted = after.mount();
        exists(&path("new")).unwrap()
    };
    assert!(!is_there(&disk, 0) && is_there(&disk, 1));
    let _mounted = disk.mount();
    crate::sync_directory(Path::new(DIRECTORY)).unwrap();
    drop(_mounted);
    assert!(is_there(&disk, 0));
}

/// [`replace`] with an error or a power cut at each of its operations: the old content or the new one is there.
#[test]
fn a_replaced_file_has_its_old_or_its_new_content_whatever_fails() {
    let mut failed = 0;
    for fails_at in 0_usize.. {
        let disk = disk();
        let mounted = disk.mount();
        replace(&path("mesh.key"), b"old").unwrap();
        // From then on, every operation fails: the disk is gone.
        let mut operations = 0_usize;
        disk.set_fault(Some(Box::new(move |_, _| {
            operations += 1;
            (operations > fails_at).then(|| io::ErrorKind::StorageFull.into())
        })));
        let replaced = replace(&path("mesh.key"), b"new");
        disk.set_fault(None);
        if replaced.is_ok() {
            assert_eq!(text(&path("mesh.key")), "new");
        }
        drop(mounted);
        for bits in 0..256 {
            let after = disk.after_power_cut(&mut answers(bits));
            let _mounted = after.mount();
            let found = text(&path("mesh.key"));
            match replaced.is_ok() {
                true => assert_eq!(found, "new", "a successful replacement is durable"),
                false => assert!(
                    ["old", "new"].contains(&found.as_str()),
                    "{found} after a failure at {fails_at}"
                ),
            }
        }
        if replaced.is_ok() {
            break;
        }
        failed += 1;
    }
    assert!(failed >= 4, "open, write, sync and rename can fail; {failed} did");
}

#[test]
fn a_fault_fails_the_named_operation_with_its_error_only_while_it_is_set() {
    let disk = disk();
    let _mounted = disk.mount();
    let file = Open::writing().create_new().open(&path("log")).unwrap();
    disk.set_fault(Some(Box::new(|operation, path| {
        (operation == Operation::Sync && path.ends_with("log")).then(|| io::ErrorKind::StorageFull.into())
    })));
    file.write_all_at(b"x", 0).unwrap();
    assert_eq!(file.sync_data().unwrap_err().kind(), io::ErrorKind::StorageFull);
    disk.set_fault(None);
    file.sync_data().unwrap();
}

#[test]
fn files_behave_as_on_the_system() {
    let directory = tempfile::tempdir().unwrap();
    let on_system = behaviour(directory.path());
    let disk = disk();
    let _mounted = disk.mount();
    assert_eq!(behaviour(Path::new(DIRECTORY)), on_system);
}

/// What a sequence of operations on files in this directory gives.
fn behaviour(directory: &Path) -> Vec<String> {
    let mut seen = Vec::new();
    let mut note = |what: &str, result: io::Result<String>| {
        seen.push(format!("{what}: {:?}", result.map_err(|error| error.kind())));
    };
    let path = |name: &str| directory.join(name);
    let sizes = |file: File| file.size().map(|size| size.to_string());
    note("missing", Open::reading().open(&path("a")).and_then(sizes));
    note(
        "no directory",
        Open::writing().or_create().open(&path("no/a")).and_then(sizes),
    );
    note("create", Open::writing().create_new().open(&path("a")).and_then(sizes));
    note("again", Open::writing().create_new().open(&path("a")).and_then(sizes));
    note("mode", crate::exposed(&path("a")).map(|mode| format!("{mode:?}")));
    let mut append = Open::appending().or_create().open(&path("a")).unwrap();
    append.write_all(b"first ").unwrap();
    let file = Open::writing().open(&path("a")).unwrap();
    file.write_all_at(b"F", 0).unwrap();
    append.write_all(b"second").unwrap();
    note("content", open_regular(&path("a")).and_then(io::read_to_string));
    file.write_all_at(b"!", 15).unwrap();
    note("hole", open_regular(&path("a")).and_then(io::read_to_string));
    file.set_len(5).unwrap();
    note("size", sizes(file));
    let file = open_regular(&path("a")).unwrap();
    note(
        "write to a reader",
        file.write_all_at(b"x", 0)
            .map(|()| String::new())
            .map_err(|_| io::ErrorKind::Other.into()),
    );
    let mut buffer = [0; 3];
    note("at", file.read_exact_at(&mut buffer, 1).map(|()| format!("{buffer:?}")));
    note("beyond", file.read_exact_at(&mut buffer, 3).map(|()| String::new()));
    note(
        "truncated",
        Open::writing().truncated().open(&path("a")).and_then(sizes),
    );
    note("directory as a file", open_regular(directory).and_then(sizes));
    note(
        "file as a directory",
        make_directory(&path("a")).map(|()| String::new()),
    );
    make_directory(&path("b/c")).unwrap();
    note(
        "rename",
        crate::publish(&path("a"), &path("b/c/d")).map(|()| String::new()),
    );
    note("absent", is_absent(&path("a")).map(|absent| absent.to_string()));
    note(
        "rename nothing",
        crate::publish(&path("a"), &path("b/c/d")).map(|()| String::new()),
    );
    note(
        "rename to nowhere",
        crate::publish(&path("b/c/d"), &path("x/d")).map(|()| String::new()),
    );
    let names = crate::entries(&path("b"))
        .map(|found| format!("{:?}", found.iter().map(|p| p.file_name()).collect::<Vec<_>>()));
    note("names", names);
    note("tree", crate::size_of_tree(directory).map(|size| size.to_string()));
    let locked = Open::writing().open(&path("b/c/d")).unwrap();
    let other = Open::writing().open(&path("b/c/d")).unwrap();
    locked.try_lock().unwrap();
    note(
        "locked",
        Ok(matches!(other.try_lock(), Err(TryLockError::WouldBlock)).to_string()),
    );
    drop(locked);
    note("unlocked", Ok(other.try_lock().is_ok().to_string()));
    note("remove", crate::remove(&path("b/c/d")).map(|()| String::new()));
    note("remove nothing", crate::remove(&path("b/c/d")).map(|()| String::new()));
    seen
}

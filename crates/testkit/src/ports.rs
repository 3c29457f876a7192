//! Free ports.

use std::io::ErrorKind;
use std::net::{Ipv4Addr, TcpListener};
use std::path::{Path, PathBuf};

use bitcoin::secp256k1::rand::{self, Rng};

/// Below the range from which the kernel takes ports for outgoing connections (32768 upwards on Linux). A port of that
/// range could be lost while its server is down, even to a client that connects to it: on loopback such a client can
/// end up connected to itself.
const RANGE: std::ops::Range<u16> = 20_000..32_000;

/// Number of ports to try: with most of the range free, this many are never needed.
const MAX_TRIES: usize = 100;

/// Different free ports of 127.0.0.1, which no process of tests gets again before this one ends: several test programs
/// run at once, and a server may be down for a while. Another program may take one before the caller does: then retry.
pub(crate) fn free_ports<const N: usize>() -> [u16; N] {
    let candidates = std::iter::repeat_with(|| rand::thread_rng().gen_range(RANGE)).take(MAX_TRIES);
    let bound = candidates.filter_map(|port| {
        let held = TcpListener::bind((Ipv4Addr::LOCALHOST, port)).ok()?;
        is_reserved_now(port).then_some((port, held))
    });
    let bound: Vec<_> = bound.take(N).collect();
    let ports: Vec<_> = bound.iter().map(|(port, _)| *port).collect();
    ports
        .try_into()
        .unwrap_or_else(|_| panic!("no {N} free ports among {MAX_TRIES} of 127.0.0.1:{RANGE:?}"))
}

/// Reserves a port for this process, by a file with its number (locks would take a descriptor each); `false` if a
/// process that runs has it, this one included.
fn is_reserved_now(port: u16) -> bool {
    let folder = folder();
    std::fs::create_dir_all(&folder).unwrap_or_else(|e| panic!("{}: {e}", folder.display()));
    let path = folder.join(port.to_string());
    match std::fs::read_to_string(&path) {
        Ok(process) if Path::new("/proc").join(process.trim()).exists() => return false,
        // Of a process that has ended.
        Ok(_) => drop(std::fs::remove_file(&path)),
        Err(error) if error.kind() == ErrorKind::NotFound => {}
        Err(error) => panic!("{}: {error}", path.display()),
    }
    // Complete when it gets its name, which one process can give.
    let own = folder.join(format!("{}-{port}", std::process::id()));
    std::fs::write(&own, std::process::id().to_string()).unwrap_or_else(|e| panic!("{}: {e}", own.display()));
    let is_first = std::fs::hard_link(&own, &path).is_ok();
    drop(std::fs::remove_file(&own));
    is_first
}

/// One for each user: files of another one could not be written.
fn folder() -> PathBuf {
    let user = std::env::var("USER").map_or_else(|_| String::new(), |user| format!("-{user}"));
    std::env::temp_dir().join(format!("testkit-ports{user}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_port_is_given_twice() {
        let mut ports: Vec<u16> = (0..50).flat_map(|_| free_ports::<10>()).collect();
        ports.sort_unstable();
        ports.dedup();
        assert_eq!(ports.len(), 500);
        assert!(ports.iter().all(|port| !is_reserved_now(*port)));
    }
}

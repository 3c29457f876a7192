//! Finds a node on this machine: the usual data directories of Bitcoin Core and their `bitcoin.conf`.
//!
//! Used where the operator names neither the node's address nor its credentials. Only files are read; whether a node
//! answers there is found when the relay connects. The cookie files are read again at each connection, so that a node
//! may start after the relay.

mod bitcoin_conf;
mod hidden;

use std::io::{self, ErrorKind, Read};
use std::path::{Path, PathBuf};

use sdk_relay_chain::rpc::cookie_advice;
use sdk_relay_files::open_regular;

use crate::data_dir::home;
use crate::network::Network;
use bitcoin_conf::BitcoinConf;

/// Name of the cookie file in the directory of a network.
const COOKIE: &str = ".cookie";
/// Configuration file of the packages whose data directory is below `/var/lib`.
const SYSTEM_CONF: &str = "/etc/bitcoin/bitcoin.conf";

/// Where a node of this machine is expected.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LocalNode {
    /// Its address: `http://127.0.0.1:PORT`, or the configured one.
    pub url: String,
    /// Cookie files, the most likely one first. Never empty.
    pub cookie_files: Vec<PathBuf>,
    /// What was found, and what hides other places, for the operator: a sentence each.
    pub findings: Vec<String>,
    /// Whether one of the cookie files can be read now.
    pub has_cookie: bool,
}

/// The places that are searched.
#[derive(Debug)]
struct Places {
    /// Data directories, each with the configuration files that may belong to it.
    directories: Vec<(PathBuf, Vec<PathBuf>)>,
    /// `/proc/self/mountinfo`.
    mounts: String,
}

/// Searches the usual places for a node of this network. With a configured address, only its cookie file is unknown.
pub(crate) fn local_node(network: Network, configured: Option<&str>) -> LocalNode {
    search(&Places::of_this_machine(), network, configured)
}

impl Places {
    fn of_this_machine() -> Self {
        let home = home();
        let own = |path: &str| {
            let directory = home.join(path);
            let conf = directory.join("bitcoin.conf");
            (directory, vec![conf])
        };
        let of_the_system = |path: &str| {
            let directory = PathBuf::from(path);
            let confs = vec![directory.join("bitcoin.conf"), PathBuf::from(SYSTEM_CONF)];
            (directory, confs)
        };
        let mut directories = vec![own(".bitcoin")];
        #[cfg(target_os = "macos")]
        directories.push(own("Library/Application Support/Bitcoin"));
        directories.extend([
            own("snap/bitcoin-core/common/.bitcoin"),
            own(".var/app/org.bitcoincore.bitcoin-qt/.bitcoin"),
            of_the_system("/var/lib/bitcoind"),
            of_the_system("/var/lib/bitcoin"),
            of_the_system("/home/bitcoin/.bitcoin"),
        ]);
        Self {
            directories,
            // Absent on other systems, which have no such protection.
            mounts: open_regular(Path::new("/proc/self/mountinfo"))
                .and_then(io::read_to_string)
                .unwrap_or_else(|_| String::new()),
        }
    }
}

/// A data directory, as its configuration describes it.
struct Candidate {
    directory: PathBuf,
    conf: Option<(PathBuf, BitcoinConf)>,
}

/// Whether a cookie file can be read.
enum Cookie {
    Readable,
    Absent,
    Denied(io::Error),
}

impl Candidate {
    /// Its cookie file and RPC port for a network.
    fn on(&self, network: Network) -> (PathBuf, u16) {
        let conf = self.conf.as_ref().map(|(_, conf)| conf);
        let data = conf
            .and_then(|conf| conf.get(network, "datadir"))
            .map_or_else(|| self.directory.clone(), PathBuf::from);
        let data = data.join(network.subdirectory());
        let cookie = conf
            .and_then(|conf| conf.get(network, "rpccookiefile"))
            .unwrap_or(COOKIE);
        let port = conf.and_then(|conf| conf.get(network, "rpcport")?.parse().ok());
        // An absolute path replaces the directory.
        (data.join(cookie), port.unwrap_or(network.rpc_port()))
    }
}

fn search(places: &Places, network: Network, configured: Option<&str>) -> LocalNode {
    let candidates: Vec<_> = places.directories.iter().map(candidate).collect();
    let mut findings = Vec::new();
    let mut readable: Option<(PathBuf, u16)> = None;
    let mut denied = Vec::new();
    for candidate in &candidates {
        let (cookie, port) = candidate.on(network);
        match look_at(&cookie) {
            Cookie::Readable if readable.is_none() => {
                let conf = candidate.conf.as_ref().map(|(path, _)| path.display());
                let port_from = conf.map_or_else(String::new, |path| format!(", which {path} configures"));
                findings.push(format!(
                    "found the cookie file {} of a node on {network}; its RPC port is {port}{port_from}",
                    cookie.display()
                ));
                readable = Some((cookie, port));
            }
            Cookie::Denied(error) => denied.push(advice_on_denied(&cookie, &error)),
            Cookie::Readable | Cookie::Absent => {}
        }
    }
    let has_cookie = readable.is_some();
    if !has_cookie {
        findings.append(&mut denied);
        findings.extend(
            candidates
                .iter()
                .filter_map(|candidate| password_in(candidate, network)),
        );
        findings.extend(on_another_network(&candidates, network));
        findings.extend(hidden::hidden(&places.mounts));
    }
    // The node may start later, in any of the places with the same port.
    let port = readable
        .as_ref()
        .map_or_else(|| expected_port(&candidates, network), |(_, port)| *port);
    let possible = candidates.iter().map(|candidate| candidate.on(network));
    let mut cookie_files: Vec<PathBuf> = readable.map(|(cookie, _)| cookie).into_iter().collect();
    for (cookie, _) in possible.filter(|(_, of)| *of == port || configured.is_some()) {
        if !cookie_files.contains(&cookie) {
            cookie_files.push(cookie);
        }
    }
    LocalNode {
        url: configured.map_or_else(|| format!("http://127.0.0.1:{port}"), str::to_owned),
        cookie_files,
        findings,
        has_cookie,
    }
}

fn candidate((directory, confs): &(PathBuf, Vec<PathBuf>)) -> Candidate {
    let conf = confs
        .iter()
        .find_map(|path| Some((path.clone(), BitcoinConf::read(path)?)));
    Candidate {
        directory: directory.clone(),
        conf,
    }
}

/// The port of the first directory that exists; the default port if none does.
fn expected_port(candidates: &[Candidate], network: Network) -> u16 {
    let exists = |candidate: &&Candidate| candidate.directory.is_dir();
    candidates
        .iter()
        .find(exists)
        .map_or(network.rpc_port(), |candidate| candidate.on(network).1)
}

fn look_at(cookie: &Path) -> Cookie {
    match open_regular(cookie).and_then(|mut file| file.read(&mut [0])) {
        Ok(_) => Cookie::Readable,
        Err(error) if error.kind() == ErrorKind::PermissionDenied => Cookie::Denied(error),
        Err(_) => Cookie::Absent,
    }
}

fn advice_on_denied(cookie: &Path, error: &io::Error) -> String {
    format!(
        "the cookie file {} cannot be read ({}): {}",
        cookie.display(),
        sdk_relay_files::reason(error),
        cookie_advice(error.kind())
    )
}

/// A node with a password in its configuration writes no cookie.
fn password_in(candidate: &Candidate, network: Network) -> Option<String> {
    let (path, conf) = candidate.conf.as_ref()?;
    conf.get(network, "rpcpassword")?;
    Some(format!(
        "{} sets rpcpassword, so that the node writes no cookie file: set bitcoin_core.user and bitcoin_core.password to the same",
        path.display()
    ))
}

/// A node that runs on another network than the relay.
fn on_another_network(candidates: &[Candidate], network: Network) -> Option<String> {
    let others = Network::ALL.into_iter().filter(|other| *other != network);
    let mut found = others.flat_map(|other| candidates.iter().map(move |candidate| (other, candidate.on(other).0)));
    let (other, cookie) = found.find(|(_, cookie)| matches!(look_at(cookie), Cookie::Readable))?;
    Some(format!(
        "there is a node on {other} ({}), and the relay is configured for {network}: to follow it, start with --network {other}",
        cookie.display()
    ))
}

#[cfg(test)]
mod tests;

//! How a relay is started: program, data directory, arguments, environment.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;

use tempfile::TempDir;

use crate::node::Bitcoind;
use crate::ports::free_ports;

/// Prefix of the environment variables of the relay.
const PREFIX: &str = "SDK_RELAY_";

/// How a relay is started. Its whole configuration is given by environment variables (`SDK_RELAY_KEY`,
/// `SDK_RELAY_TABLE__KEY`); those in the environment of the test are removed.
#[derive(Clone, Debug)]
pub struct RelayOptions {
    exe: PathBuf,
    data_dir: DataDir,
    args: Vec<OsString>,
    env: Vec<(String, OsString)>,
}

#[derive(Clone, Debug)]
enum DataDir {
    Own(Arc<TempDir>),
    Given(PathBuf),
}

impl RelayOptions {
    /// A relay on regtest, with a new data directory and free ports.
    pub fn new(exe: impl AsRef<Path>) -> RelayOptions {
        let dir = tempfile::Builder::new()
            .prefix("testkit-relay-")
            .tempdir()
            .expect("a temporary directory");
        let exe = exe.as_ref().to_owned();
        RelayOptions {
            exe,
            data_dir: DataDir::Own(Arc::new(dir)),
            args: Vec::new(),
            env: Vec::new(),
        }
        .set("NETWORK", "regtest")
        .set("WS_URL", "127.0.0.1:0")
        .set("HTTP_URL", "127.0.0.1:0")
    }

    /// The node that it follows: its URL, its cookie file (or user and password), and its ZMQ address if it has one.
    pub fn node(self, node: &Bitcoind) -> RelayOptions {
        let options = self.set("BITCOIN_CORE__URL", node.rpc_url());
        let options = match node.user() {
            Some((user, password)) => options
                .set("BITCOIN_CORE__USER", user)
                .set("BITCOIN_CORE__PASSWORD", password),
            None => options.set("BITCOIN_CORE__COOKIE_FILE", node.cookie_file()),
        };
        match node.has_zmq() {
            true => options.set("BITCOIN_CORE__ZMQ_URL", node.zmq_url()),
            false => options,
        }
    }

    /// A data directory that is kept after the relay.
    pub fn data_dir(mut self, dir: impl AsRef<Path>) -> RelayOptions {
        self.data_dir = DataDir::Given(dir.as_ref().to_owned());
        self
    }

    /// The same ports at each start, for clients that reconnect by themselves.
    pub fn fixed_ports(self) -> RelayOptions {
        let [ws, http] = free_ports();
        self.set("WS_URL", format!("127.0.0.1:{ws}"))
            .set("HTTP_URL", format!("127.0.0.1:{http}"))
    }

    /// With the Electrum protocol, without TLS, on a free port.
    pub fn electrum(self) -> RelayOptions {
        let [port] = free_ports();
        self.set("ELECTRUM__LISTEN", format!("127.0.0.1:{port}"))
    }

    /// The same with TLS, and a self-signed certificate for all ports.
    pub fn electrum_tls(self) -> RelayOptions {
        let [port] = free_ports();
        self.set("ELECTRUM__TLS_LISTEN", format!("127.0.0.1:{port}"))
            .set("TLS__SELF_SIGNED", "true")
    }

    /// A gRPC port of BlindBit's interface, the same at each start.
    pub fn fixed_grpc_port(self) -> RelayOptions {
        let [grpc] = free_ports();
        self.set("BLINDBIT__GRPC_LISTEN", format!("127.0.0.1:{grpc}"))
    }

    /// A relay that others on this machine can reach: fixed ports, and an advertised WebSocket address.
    pub fn in_mesh(self) -> RelayOptions {
        self.in_mesh_over("ws")
    }

    /// As [`Self::in_mesh`], with `wss` for a relay with TLS.
    pub fn in_mesh_over(self, scheme: &str) -> RelayOptions {
        let [ws, http] = free_ports();
        self.set("WS_URL", format!("127.0.0.1:{ws}"))
            .set("HTTP_URL", format!("127.0.0.1:{http}"))
            .set("MESH__ADVERTISE", format!("{scheme}://127.0.0.1:{ws}"))
    }

    /// A configuration key: `set("WATCH__MAX", "5")` is `SDK_RELAY_WATCH__MAX=5`. The last of several values counts.
    pub fn set(self, key: &str, value: impl Into<OsString>) -> RelayOptions {
        self.env(&format!("{PREFIX}{key}"), value)
    }

    /// Any environment variable.
    pub fn env(mut self, name: &str, value: impl Into<OsString>) -> RelayOptions {
        self.env.push((name.to_owned(), value.into()));
        self
    }

    /// A further argument.
    pub fn arg(mut self, arg: impl Into<OsString>) -> RelayOptions {
        self.args.push(arg.into());
        self
    }

    pub(super) fn exe(&self) -> &Path {
        &self.exe
    }

    /// The value of a configuration key that was set.
    pub(super) fn value(&self, key: &str) -> Option<&str> {
        let name = format!("{PREFIX}{key}");
        let set = self.env.iter().rev().find(|(set, _)| *set == name);
        set.and_then(|(_, value)| value.to_str())
    }

    pub(super) fn data_directory(&self) -> &Path {
        match &self.data_dir {
            DataDir::Own(dir) => dir.path(),
            DataDir::Given(dir) => dir,
        }
    }

    pub(super) fn command(&self) -> Command {
        let mut command = Command::new(&self.exe);
        for (name, _) in std::env::vars_os().filter(|(name, _)| name.to_string_lossy().starts_with(PREFIX)) {
            command.env_remove(name);
        }
        // A working directory without a configuration file; no colours in the log.
        command.current_dir(self.data_directory()).env("NO_COLOR", "1");
        command.env(format!("{PREFIX}DATA_DIR"), self.data_directory());
        command
            .envs(self.env.iter().map(|(name, value)| (name, value)))
            .args(&self.args);
        command
    }
}

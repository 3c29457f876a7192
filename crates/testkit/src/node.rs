//! A bitcoind on regtest, with its own data directory.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus, Stdio};
use std::sync::{Mutex, OnceLock, PoisonError};
use std::time::Duration;

use serde_json::json;
use tempfile::TempDir;

use crate::child::{GuardedChild, remove_at_end};
use crate::deadline::eventually;
use crate::payer::Coin;
use crate::ports::free_ports;
use crate::rpc::{Rpc, RpcError};

/// Attempts to start: a port can be taken between the check and the bind of the node.
const TRIES: usize = 5;

/// Starting takes half a second, and longer on a busy machine.
const READY: Duration = Duration::from_secs(60);

/// The node flushes its databases when it stops.
const STOP: Duration = Duration::from_secs(60);

/// How the node is started.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Options {
    /// Publish `hashblock`, `rawtx` and `sequence` at [`Bitcoind::zmq_url`].
    pub zmq: bool,
    /// Serve `/rest/`.
    pub rest: bool,
    /// Enable the wallet RPCs. No wallet is created.
    pub wallet: bool,
    /// `-prune`: 1 prunes by `pruneblockchain` only, 550 and more is a target in MiB.
    pub prune: Option<u32>,
    /// `-rpcuser` and `-rpcpassword`; there is no cookie file then.
    pub user: Option<(String, String)>,
    /// Further arguments. They come last: the node takes the last of several values.
    pub args: Vec<String>,
}

impl Default for Options {
    /// ZMQ and REST on, no wallet, not pruned, cookie file.
    fn default() -> Self {
        Options {
            zmq: true,
            rest: true,
            wallet: false,
            prune: None,
            user: None,
            args: Vec::new(),
        }
    }
}

/// A running (or stopped) node. Dropped, it is killed and its data directory removed.
#[derive(Debug)]
pub struct Bitcoind {
    options: Options,
    datadir: TempDir,
    rpc_port: u16,
    zmq_port: u16,
    child: Option<GuardedChild>,
    rpc: Option<Rpc>,
    /// Mature coinbases that no payer has taken.
    stock: Mutex<Vec<Coin>>,
}

/// The bitcoind found by `scripts/bitcoind`, which is run once per process; its messages go to standard error.
pub fn bitcoind_exe() -> &'static Path {
    static EXE: OnceLock<PathBuf> = OnceLock::new();
    EXE.get_or_init(|| {
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../scripts/bitcoind");
        let output = Command::new(&script).stderr(Stdio::inherit()).output();
        let output = output.unwrap_or_else(|e| panic!("{} cannot be started: {e}", script.display()));
        assert!(
            output.status.success(),
            "{} finds no bitcoind (its reason is above)",
            script.display()
        );
        let stdout = String::from_utf8(output.stdout).expect("a path in UTF-8");
        PathBuf::from(stdout.lines().last().expect("a path as the last line"))
    })
}

impl Bitcoind {
    /// Starts a node with an empty chain on free ports, ready when its RPC answers.
    pub async fn start(options: Options) -> Bitcoind {
        let datadir = tempfile::Builder::new()
            .prefix("testkit-bitcoind-")
            .tempdir()
            .expect("a temporary directory");
        remove_at_end(datadir.path()).expect("a guard");
        let mut node = Bitcoind {
            options,
            datadir,
            rpc_port: 0,
            zmq_port: 0,
            child: None,
            rpc: None,
            stock: Mutex::default(),
        };
        let mut failure = String::new();
        for _ in 0..TRIES {
            [node.rpc_port, node.zmq_port] = free_ports();
            match node.launch().await {
                Ok(()) => return node,
                Err(reason) => failure = reason,
            }
            node.kill();
        }
        panic!("the node does not start: {failure}");
    }

    /// Starts the stopped or killed node again: same data, same ports, same options.
    pub async fn start_again(&mut self) {
        assert!(self.child.is_none(), "the node runs: stop or kill it first");
        if let Err(reason) = self.launch().await {
            panic!("the node does not start again: {reason}");
        }
    }

    /// Starts the stopped or killed node again with other options; data and ports stay.
    pub async fn start_again_with(&mut self, options: Options) {
        self.options = options;
        self.start_again().await;
    }

    /// Stops the node as its operator would (RPC `stop`) and waits for its end.
    pub async fn stop(&mut self) {
        if let Err(e) = self.rpc().call("stop", json!([])).await {
            panic!("{e}");
        }
        let status = eventually(STOP, "the node's end", async || self.ended()).await;
        assert!(status.success(), "the node ended badly ({status}): {}", self.log_tail());
        self.child = None;
        self.rpc = None;
    }

    /// Ends the node at once (SIGKILL), as a power cut would. No-op on a node that does not run.
    pub fn kill(&mut self) {
        self.child = None;
        self.rpc = None;
    }

    /// A client of the node's RPC. Panics when the node does not run.
    pub fn rpc(&self) -> &Rpc {
        self.rpc.as_ref().expect("the node runs")
    }

    /// `http://127.0.0.1:PORT`, of RPC and REST; the same over restarts.
    pub fn rpc_url(&self) -> String {
        format!("http://127.0.0.1:{}", self.rpc_port)
    }

    /// `tcp://127.0.0.1:PORT`, of all ZMQ topics; the same over restarts. Nothing listens there if ZMQ is off.
    pub fn zmq_url(&self) -> String {
        format!("tcp://127.0.0.1:{}", self.zmq_port)
    }

    /// Whether the node publishes at [`Bitcoind::zmq_url`].
    pub fn has_zmq(&self) -> bool {
        self.options.zmq
    }

    /// User and password of [`Options::user`]; `None` if the cookie file is used.
    pub fn user(&self) -> Option<(&str, &str)> {
        self.options
            .user
            .as_ref()
            .map(|(user, password)| (user.as_str(), password.as_str()))
    }

    /// The cookie file. It exists while the node runs without [`Options::user`].
    pub fn cookie_file(&self) -> PathBuf {
        self.datadir.path().join("regtest/.cookie")
    }

    /// The node's data directory (the one of `-datadir`).
    pub fn datadir(&self) -> &Path {
        self.datadir.path()
    }

    /// Process id, while the node runs.
    pub fn pid(&self) -> Option<u32> {
        self.child.as_ref().map(GuardedChild::id)
    }

    pub(crate) fn options(&self) -> &Options {
        &self.options
    }

    /// Renews the client of the node's RPC; `false` if the node does not answer.
    pub(crate) async fn reconnect(&mut self) -> bool {
        self.rpc = self.answering().await;
        self.rpc.is_some()
    }

    /// Mature coinbases that no payer has taken, to take or to add some.
    pub(crate) fn with_stock<T>(&self, change: impl FnOnce(&mut Vec<Coin>) -> T) -> T {
        change(&mut self.stock.lock().unwrap_or_else(PoisonError::into_inner))
    }

    async fn launch(&mut self) -> Result<(), String> {
        let stderr = File::create(self.datadir.path().join("stderr")).map_err(|e| e.to_string())?;
        let mut command = Command::new(bitcoind_exe());
        command
            .args(self.arguments())
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(stderr);
        let child = GuardedChild::spawn(&mut command).map_err(|e| format!("{}: {e}", bitcoind_exe().display()))?;
        self.child = Some(child);
        let rpc = eventually(READY, "an answer of the node's RPC", async || match self.ended() {
            Some(status) => Some(Err(format!("{status}: {}", self.log_tail()))),
            None => self.answering().await.map(Ok),
        });
        let rpc = rpc.await?;
        // A node that cannot bind its ZMQ port continues without it.
        if self.options.zmq {
            let topics = rpc
                .call("getzmqnotifications", json!([]))
                .await
                .map_err(|e| e.to_string())?;
            if topics.as_array().is_none_or(Vec::is_empty) {
                return Err(format!("no ZMQ at {}", self.zmq_url()));
            }
        }
        self.rpc = Some(rpc);
        Ok(())
    }

    fn arguments(&self) -> Vec<String> {
        let Options {
            zmq,
            rest,
            wallet,
            prune,
            user,
            args,
        } = &self.options;
        let mut arguments = vec![
            "-regtest".to_owned(),
            format!("-datadir={}", self.datadir.path().display()),
            "-server".to_owned(),
            "-printtoconsole=0".to_owned(),
            format!("-rpcport={}", self.rpc_port),
            // No peers: the node is alone, and nothing leaves the machine.
            "-listen=0".to_owned(),
            "-connect=0".to_owned(),
            "-dnsseed=0".to_owned(),
            "-fixedseeds=0".to_owned(),
            format!("-rest={}", u8::from(*rest)),
            format!("-disablewallet={}", u8::from(!wallet)),
        ];
        if *wallet {
            arguments.push("-fallbackfee=0.0001".to_owned());
        }
        if let Some(target) = prune {
            arguments.push(format!("-prune={target}"));
        }
        if let Some((user, password)) = user {
            arguments.extend([format!("-rpcuser={user}"), format!("-rpcpassword={password}")]);
        }
        if *zmq {
            let topics = ["hashblock", "rawtx", "sequence"];
            arguments.extend(topics.map(|topic| format!("-zmqpub{topic}={}", self.zmq_url())));
        }
        arguments.extend(args.iter().cloned());
        arguments
    }

    /// A client, once the node answers its calls.
    async fn answering(&self) -> Option<Rpc> {
        let credentials = match &self.options.user {
            Some((user, password)) => format!("{user}:{password}"),
            None => std::fs::read_to_string(self.cookie_file()).ok()?,
        };
        let rpc = Rpc::new(&self.rpc_url(), &credentials);
        // A node that is still starting refuses the connection, or answers with an error (-28) with its progress.
        match rpc.call("getblockcount", json!([])).await {
            Ok(_) => Some(rpc),
            Err(RpcError::NoReply { .. } | RpcError::Node { .. }) => None,
        }
    }

    fn ended(&mut self) -> Option<ExitStatus> {
        self.child.as_mut()?.try_wait().expect("a child's status")
    }

    fn log_tail(&self) -> String {
        let read = |name: &str| {
            std::fs::read_to_string(self.datadir.path().join(name)).unwrap_or_else(|error| error.to_string())
        };
        let log = read("regtest/debug.log");
        let lines: Vec<_> = log.lines().collect();
        let stderr = read("stderr");
        format!(
            "{}\n{}",
            stderr.trim(),
            lines[lines.len().saturating_sub(5)..].join("\n")
        )
    }
}

impl Drop for Bitcoind {
    fn drop(&mut self) {
        self.kill();
    }
}

//! The relay as a process, as an operator runs it.

mod log;
mod options;

use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus, Stdio};
use std::sync::OnceLock;
use std::time::Duration;

use self::log::{Log, Status};
pub use self::options::RelayOptions;
use crate::child::GuardedChild;
use crate::deadline::eventually;

/// Starting takes a few tenths of a second, and longer on a busy machine.
const READY: Duration = Duration::from_secs(30);
/// Longer than the drain timeout of the relay.
const END: Duration = Duration::from_secs(30);

/// A relay that ended instead of becoming ready.
#[derive(Clone, Debug, thiserror::Error)]
#[error("the relay ended ({status}):\n{stderr}")]
pub struct RelayEnded {
    /// Its exit status.
    pub status: ExitStatus,
    /// All that it wrote to standard error.
    pub stderr: String,
}

/// A running (or ended) relay. Dropped, it is killed; its data directory goes too, unless [`RelayOptions::data_dir`]
/// gave one. When a failing test drops it, its standard error is printed.
#[derive(Debug)]
pub struct RelayProcess {
    options: RelayOptions,
    child: Option<GuardedChild>,
    log: Log,
    ws: String,
    http: String,
    grpc: Option<String>,
}

/// The relay's program, built with the profile of the running program (once per process; quick when nothing has
/// changed). Tests of the relay use the path from cargo: `env!("CARGO_BIN_EXE_sdk_relay")`.
pub fn relay_exe() -> &'static Path {
    static EXE: OnceLock<PathBuf> = OnceLock::new();
    EXE.get_or_init(|| {
        // TARGET/PROFILE/program of a binary, TARGET/PROFILE/deps/program of a test.
        let me = std::env::current_exe().expect("the path of this program");
        let profile = me
            .ancestors()
            .skip(1)
            .find(|dir| !dir.ends_with("deps"))
            .expect("target/PROFILE");
        let mut build = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
        build.args([
            "build",
            "--locked",
            "--quiet",
            "--package",
            "sdk_relay",
            "--bin",
            "sdk_relay",
        ]);
        build.current_dir(env!("CARGO_MANIFEST_DIR"));
        if profile.ends_with("release") {
            build.arg("--release");
        }
        let status = build
            .status()
            .unwrap_or_else(|e| panic!("cargo cannot be started: {e}"));
        assert!(status.success(), "the relay cannot be built (the reason is above)");
        profile.join("sdk_relay")
    })
}

impl RelayProcess {
    /// Starts a relay and waits until it is ready. Panics with its standard error when it ends instead.
    pub async fn start(options: RelayOptions) -> RelayProcess {
        RelayProcess::try_start(options).await.unwrap_or_else(|e| panic!("{e}"))
    }

    /// Starts a relay and waits until it is ready, or has ended.
    pub async fn try_start(options: RelayOptions) -> Result<RelayProcess, RelayEnded> {
        let mut relay = RelayProcess::not_started(options);
        relay.launch_until(Status::Ready).await?;
        Ok(relay)
    }

    /// Starts a relay and waits until both of its ports are open, for a relay whose node is unreachable and that does
    /// not become ready.
    pub async fn start_listening(options: RelayOptions) -> RelayProcess {
        let mut relay = RelayProcess::not_started(options);
        let open = relay.launch_until(Status::Listening).await;
        open.unwrap_or_else(|e| panic!("{e}"));
        relay
    }

    /// Starts the ended relay again with the same options and data. Its ports change, unless
    /// [`RelayOptions::fixed_ports`] is set.
    pub async fn start_again(&mut self) {
        assert!(self.child.is_none(), "the relay runs: end it first");
        let ready = self.launch_until(Status::Ready).await;
        ready.unwrap_or_else(|e| panic!("{e}"));
    }

    /// `ws://127.0.0.1:PORT`.
    pub fn ws_url(&self) -> String {
        format!("ws://{}", self.ws)
    }

    /// `http://127.0.0.1:PORT`, without a path.
    pub fn http_url(&self) -> String {
        format!("http://{}", self.http)
    }

    /// `127.0.0.1:PORT` of the Electrum protocol, without TLS. Panics without [`RelayOptions::electrum`].
    pub fn electrum(&self) -> &str {
        self.options.value("ELECTRUM__LISTEN").expect("it is configured")
    }

    /// The same with TLS. Panics without [`RelayOptions::electrum_tls`].
    pub fn electrum_tls(&self) -> &str {
        self.options.value("ELECTRUM__TLS_LISTEN").expect("it is configured")
    }

    /// `http://127.0.0.1:PORT` of BlindBit's gRPC interface. Panics when `BLINDBIT__GRPC_LISTEN` is not set.
    pub fn grpc_url(&self) -> String {
        format!("http://{}", self.grpc.as_ref().expect("a gRPC port"))
    }

    /// Process id. Panics when the relay does not run.
    pub fn pid(&self) -> u32 {
        self.child.as_ref().expect("the relay runs").id()
    }

    /// The data directory.
    pub fn data_dir(&self) -> &Path {
        self.options.data_directory()
    }

    /// All that the relay has written to standard error since it was last started.
    pub fn stderr(&self) -> String {
        self.log.text()
    }

    /// Resident memory in bytes (`VmRSS` of `/proc/PID/status`).
    pub fn resident_bytes(&self) -> u64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.pid())).expect("the relay's status");
        let line = status
            .lines()
            .find_map(|line| line.strip_prefix("VmRSS:"))
            .expect("VmRSS");
        let kibibytes: u64 = line.trim().trim_end_matches(" kB").parse().expect("a number of kB");
        kibibytes * 1024
    }

    /// Kills the relay at once (SIGKILL). No-op on one that does not run.
    pub fn kill9(&mut self) {
        self.child = None;
    }

    /// Ends the relay as its operator would (SIGTERM) and waits for its end.
    pub async fn terminate(&mut self) -> ExitStatus {
        // The shell's own `kill`: sending a signal other than SIGKILL needs unsafe code or a further crate.
        let sent = Command::new("sh")
            .args(["-c", &format!("kill -TERM {}", self.pid())])
            .status();
        assert!(
            sent.is_ok_and(|status| status.success()),
            "SIGTERM cannot be sent to {}",
            self.pid()
        );
        self.wait().await
    }

    /// Waits until the relay ends by itself. [`RelayProcess::stderr`] is whole then.
    pub async fn wait(&mut self) -> ExitStatus {
        let log = self.log.clone();
        let ended = async || self.ended().filter(|_| log.complete());
        let status = eventually(END, "the relay's end", ended).await;
        self.child = None;
        status
    }

    fn not_started(options: RelayOptions) -> RelayProcess {
        RelayProcess {
            options,
            child: None,
            log: Log::default(),
            ws: String::new(),
            http: String::new(),
            grpc: None,
        }
    }

    async fn launch_until(&mut self, until: Status) -> Result<(), RelayEnded> {
        let mut command = self.options.command();
        command
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped());
        let child = GuardedChild::spawn(&mut command);
        let mut child = child.unwrap_or_else(|e| panic!("{} cannot be started: {e}", self.options.exe().display()));
        self.log = Log::drain(child.take_stderr().expect("a pipe"));
        self.child = Some(child);
        let what = format!("the relay's line `{} ws=… http=…`", until.as_str());
        let ready = eventually(READY, what, async || {
            let status = self.ended();
            // Read after the status: an ended relay has then written everything.
            match (status, self.log.addresses(until)) {
                (Some(status), _) if self.log.complete() => Some(Err(RelayEnded {
                    status,
                    stderr: self.log.text(),
                })),
                (None, Some(addresses)) => Some(Ok(addresses)),
                _ => None,
            }
        });
        let addresses = ready.await?;
        (self.ws, self.http, self.grpc) = (addresses.ws, addresses.http, addresses.grpc);
        Ok(())
    }

    fn ended(&mut self) -> Option<ExitStatus> {
        self.child.as_mut()?.try_wait().expect("a child's status")
    }
}

impl Drop for RelayProcess {
    fn drop(&mut self) {
        self.kill9();
        if std::thread::panicking() {
            #[allow(clippy::print_stderr, reason = "the test harness shows it with the failure")]
            {
                eprintln!("--- standard error of the relay ---\n{}---", self.log.text());
            }
        }
    }
}

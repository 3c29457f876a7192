//! A client in another language.

use std::path::{Path, PathBuf};
use std::process::Stdio;

use tokio::io::{AsyncBufReadExt, BufReader, Lines};
use tokio::process::{Child, ChildStdout, Command};
use tokio::time::timeout;

use crate::support::DEADLINE;

/// A running program, and what it has printed. It is killed when dropped.
pub(crate) struct Program {
    child: Child,
    lines: Lines<BufReader<ChildStdout>>,
    printed: String,
}

impl Program {
    pub(crate) fn start(mut command: Command) -> Program {
        let mut child = command
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .unwrap_or_else(|e| panic!("{command:?}: {e}"));
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        Program {
            child,
            lines,
            printed: String::new(),
        }
    }

    /// Reads until everything that it has printed has all of these.
    pub(crate) async fn prints(&mut self, wanted: &[&str]) {
        let all = async {
            while !wanted.iter().all(|w| self.printed.contains(w)) {
                let Some(line) = self.lines.next_line().await.unwrap() else {
                    return false;
                };
                self.printed.push_str(&line);
                self.printed.push('\n');
            }
            true
        };
        if timeout(DEADLINE, all).await != Ok(true) {
            self.child.start_kill().unwrap();
            let mut errors = String::new();
            if let Some(stderr) = self.child.stderr.take() {
                let mut stderr = BufReader::new(stderr);
                tokio::io::AsyncReadExt::read_to_string(&mut stderr, &mut errors)
                    .await
                    .unwrap();
            }
            panic!(
                "no {wanted:?}: the program printed:\n{}\nand on standard error:\n{errors}",
                self.printed
            );
        }
    }

    /// What it has printed, as far as read.
    pub(crate) fn printed(&self) -> &str {
        &self.printed
    }

    /// Returns what it has printed, as far as read.
    pub(crate) async fn kill(mut self) -> String {
        self.child.kill().await.unwrap();
        self.printed
    }
}

/// `scripts/test` installs them while the tests are built, which takes longer than all of these tests.
const PYTHON_PACKAGES: &str = include_str!("python.txt");
const NODE_PACKAGES: &str = include_str!("node.txt");

/// A Python with the packages of the clients.
pub(crate) async fn python() -> PathBuf {
    found_by("python-tools", PYTHON_PACKAGES).await
}

/// A folder with the packages of the programs for Node.js.
pub(crate) async fn node_packages() -> PathBuf {
    found_by("node-tools", NODE_PACKAGES).await
}

/// Node.js. It has `WebSocket` without a flag from version 22 on.
pub(crate) fn node() -> Command {
    let mut node = Command::new("node");
    node.args(["--experimental-websocket", "--dns-result-order=ipv4first"]);
    node
}

async fn found_by(script: &str, packages: &str) -> PathBuf {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../scripts").join(script);
    let found = Command::new(path)
        .args(packages.split_whitespace())
        .stderr(Stdio::inherit())
        .output()
        .await
        .unwrap();
    assert!(found.status.success(), "scripts/{script} failed; its reason is above");
    PathBuf::from(String::from_utf8(found.stdout).unwrap().lines().last().unwrap())
}

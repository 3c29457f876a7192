//! No process outlives the program that started it, even if that program drops no handle.

use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use testkit::{GuardedChild, Options, PooledNode, eventually};

const DEADLINE: Duration = Duration::from_secs(20);
/// If set, this program starts processes; the value selects how it ends.
const ENDS: &str = "ORPHANS_ENDS";

#[test]
#[ignore = "the program that the other tests start"]
fn child() {
    let Ok(ends) = std::env::var(ENDS) else { return };
    if ends == "idle node" {
        return leave_an_idle_node();
    }
    let sleep = || GuardedChild::spawn(Command::new("sleep").arg("600").stdout(Stdio::null())).unwrap();
    let (left, dropped, also_left) = (sleep(), sleep(), sleep());
    println!("\nstarted {} {} {}", left.id(), dropped.id(), also_left.id());
    std::io::stdout().flush().unwrap();
    drop(dropped);
    match ends.as_str() {
        "exit" => std::process::exit(0),
        "forget" => std::mem::forget((left, also_left)),
        _ => loop {
            std::thread::park();
        },
    }
}

/// The node is in a static, which is not dropped.
fn leave_an_idle_node() {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let node = runtime.block_on(PooledNode::take(Options::default()));
    println!("\nstarted {} {}", node.pid().unwrap(), node.datadir().display());
    std::io::stdout().flush().unwrap();
    drop(node);
    // The end of its input, which the other program closes.
    std::io::stdin().read_line(&mut String::new()).unwrap();
}

/// The program, and the processes (or other paths) that it has started.
fn start(ends: &str) -> (Child, Vec<PathBuf>) {
    let mut program = Command::new(std::env::current_exe().unwrap())
        .args(["orphans::child", "--exact", "--ignored", "--nocapture"])
        .env(ENDS, ends)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let lines = BufReader::new(program.stdout.take().unwrap()).lines();
    let started = lines.map(Result::unwrap).find(|line| line.starts_with("started "));
    let started = started.unwrap();
    // A path that is absolute replaces the directory.
    let processes = started.split(' ').skip(1).map(|pid| Path::new("/proc").join(pid));
    (program, processes.collect())
}

async fn all_end(processes: &[PathBuf]) {
    eventually(DEADLINE, format!("the end of {processes:?}"), async || {
        processes.iter().all(|process| !process.exists()).then_some(())
    })
    .await;
}

#[tokio::test]
async fn processes_end_with_a_program_that_drops_no_handle() {
    for ends in ["exit", "forget"] {
        let (mut program, processes) = start(ends);
        // Its output has no reader: ignore the status.
        program.wait().unwrap();
        all_end(&processes).await;
    }
}

#[tokio::test]
async fn processes_end_with_a_program_that_is_killed() {
    let (mut program, processes) = start("never");
    program.kill().unwrap();
    program.wait().unwrap();
    all_end(&processes).await;
}

#[tokio::test]
async fn an_idle_node_ends_with_its_program_and_leaves_no_files() {
    let (mut program, left) = start("idle node");
    assert!(left.iter().any(|path| path.join("regtest").is_dir()), "{left:?}");
    // This closes its input. Its output has no reader: ignore the status.
    program.wait().unwrap();
    all_end(&left).await;
}

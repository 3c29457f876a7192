//! `sdk_relay scan`: the history of a wallet on a terminal.

mod access;

use std::io::Write;
use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use bitcoin::BlockHash;
use sdk_relay_client::Payment;
use testkit::{InputKind, Options, Payee, RelayOptions, RelayProcess, eventually, http_get};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::process::Command;
use tokio::time::timeout;

use crate::stage::{Stage, silent};

/// Longer than a scan of several hundred blocks takes.
const DEADLINE: Duration = Duration::from_secs(60);

/// Output and exit code of the program.
struct ProgramOutput {
    code: Option<i32>,
    stdout: String,
    stderr: String,
}

impl ProgramOutput {
    fn payments(&self) -> Vec<Payment> {
        let lines = self.stdout.lines();
        lines.map(|line| serde_json::from_str(line).unwrap()).collect()
    }

    /// The one line of an error.
    fn refused(&self) -> &str {
        assert_eq!((self.code, self.stdout.as_str()), (Some(1), ""), "{}", self.stderr);
        let line = self.stderr.strip_suffix('\n').expect("a line");
        assert!(line.starts_with("sdk_relay: ") && !line.contains('\n'), "{line}");
        line
    }
}

fn command(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_sdk_relay"));
    for (name, _) in std::env::vars_os().filter(|(name, _)| name.to_string_lossy().starts_with("SDK_RELAY_")) {
        command.env_remove(name);
    }
    command.arg("scan").args(arguments).kill_on_drop(true);
    command
}

/// Runs `sdk_relay scan` with this on standard input.
async fn scan(arguments: &[&str], input: &str) -> ProgramOutput {
    run(command(arguments), input).await
}

async fn run(mut command: Command, input: &str) -> ProgramOutput {
    command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    let mut stdin = child.stdin.take().unwrap();
    // It may have ended without reading.
    drop(stdin.write_all(input.as_bytes()).await);
    drop(stdin);
    let output = timeout(DEADLINE, child.wait_with_output())
        .await
        .expect("an end")
        .unwrap();
    ProgramOutput {
        code: output.status.code(),
        stdout: String::from_utf8(output.stdout).unwrap(),
        stderr: String::from_utf8(output.stderr).unwrap(),
    }
}

fn keys_of(payee: &Payee) -> String {
    format!("{}\n{}\n", payee.scan_hex(), payee.spend_public_key())
}

fn key_file(dir: &Path, content: &str) -> String {
    let path = dir.join("keys");
    let mut file = std::fs::File::create(&path).unwrap();
    file.write_all(content.as_bytes()).unwrap();
    path.to_str().unwrap().to_owned()
}

/// Two blocks that pay the payee and its label 3, among others; returns the expected payments.
async fn paid(stage: &mut Stage, payee: &Payee) -> Vec<Payment> {
    let mut blocks: Vec<(bitcoin::Transaction, BlockHash)> = Vec::new();
    for kind in [InputKind::P2wpkh, InputKind::P2tr] {
        let to = [
            silent(payee.address(), 20_000),
            silent(Payee::new(&[]).address(), 25_000),
            silent(payee.labelled_address(3), 30_000),
        ];
        let tx = stage.payer.pay(&[kind], &to);
        let block = stage.node.mine_with(std::slice::from_ref(&tx)).await;
        blocks.push((tx, block));
        stage.node.mine(3).await;
    }
    let height = stage.node.height().await;
    let url = format!("{}/health", stage.relay.http_url());
    eventually(DEADLINE, "the index at the tip", async || {
        let index = http_get(&url).await.json()["index"].clone();
        (index["state"] == "current" && index["height"] == height).then_some(())
    })
    .await;
    let mut expected = Vec::new();
    for (tx, block) in &blocks {
        for (vout, label, address) in [(0, None, payee.address()), (2, Some(3), payee.labelled_address(3))] {
            let payment = stage.confirmed(tx, vout, address, *block).await;
            expected.push(Payment {
                confirmations: height - payment.block_height.unwrap() + 1,
                historical: true,
                label,
                ..payment
            });
        }
    }
    expected
}

/// Without the fields of the watch.
fn bare(payments: Vec<Payment>) -> Vec<Payment> {
    let bare = payments.into_iter().map(|payment| {
        assert!(payment.tweak.is_some() && payment.watch_id.is_some(), "{payment:?}");
        Payment {
            tweak: None,
            watch_id: None,
            ..payment
        }
    });
    bare.collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn finds_payments_with_keys_from_a_file_a_pipe_or_a_terminal() {
    let mut stage = Stage::new().await;
    let payee = Payee::new(&[3]);
    let birthday = stage.node.height().await + 1;
    let expected = paid(&mut stage, &payee).await;
    let (tip, url) = (stage.node.height().await, stage.relay.ws_url());
    let (from, keys) = (birthday.to_string(), keys_of(&payee));
    let dir = tempfile::tempdir().unwrap();
    let file = key_file(dir.path(), &keys);
    let arguments = ["--from", &from, "--relay", &url, "--labels", "3"];

    let result = scan(&[&arguments[..], &["--keys", &file]].concat(), "").await;
    assert_eq!(result.code, Some(0), "{}", result.stderr);
    assert_eq!(bare(result.payments()), expected);
    assert_eq!(result.stderr, format!("4 payments up to block {tip}\n"));

    let result = scan(&arguments, &keys).await;
    assert_eq!(
        (result.code, bare(result.payments())),
        (Some(0), expected.clone()),
        "{}",
        result.stderr
    );

    // A descriptor has all that the flags say.
    let described = dir.path().join("descriptor");
    let descriptor = payee.descriptor(&format!("?bh={from}&ml=3"));
    std::fs::write(&described, &descriptor).unwrap();
    let described = described.display().to_string();
    for (flags, input) in [(&["--keys", &described][..], ""), (&[], descriptor.as_str())] {
        let result = scan(&[&["--relay", &url], flags].concat(), input).await;
        assert_eq!(
            (result.code, bare(result.payments())),
            (Some(0), expected.clone()),
            "{}",
            result.stderr
        );
    }

    // Since a date, for which the relay names the block.
    let since = ["--from", "2020-01-31", "--relay", &url, "--labels", "3"];
    let result = scan(&[&since[..], &["--keys", &file]].concat(), "").await;
    assert_eq!(
        (result.code, bare(result.payments())),
        (Some(0), expected.clone()),
        "{}",
        result.stderr
    );
    let (first, rest) = result.stderr.split_once('\n').unwrap();
    assert!(first.starts_with("scanning from block "), "{first}");
    assert_eq!(rest, format!("4 payments up to block {tip}\n"));

    // A part of it, and one label less.
    let to = expected[0].block_height.unwrap().to_string();
    let part = ["--from", &from, "--to", &to, "--relay", &url, "--keys", &file];
    let result = scan(&part, "").await;
    assert_eq!(
        (result.code, bare(result.payments())),
        (Some(0), expected[..1].to_vec())
    );
    assert_eq!(result.stderr, format!("1 payment up to block {to}\n"));

    let shown = on_a_terminal(&arguments, &payee).await;
    for payment in &expected {
        assert!(shown.contains(&payment.txid), "{shown}");
    }
    assert!(shown.contains("4 payments up to block"), "{shown}");
    assert!(!shown.contains(&payee.scan_hex()), "the key is not shown: {shown}");
}

/// The output of a terminal in which the keys are entered at the prompts. Uses `script` of Debian as the terminal.
async fn on_a_terminal(arguments: &[&str], payee: &Payee) -> String {
    let line = format!("{} scan {}", env!("CARGO_BIN_EXE_sdk_relay"), arguments.join(" "));
    let mut command = Command::new("script");
    command.args(["--quiet", "--return", "--command", &line, "/dev/null"]);
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).kill_on_drop(true);
    let mut child = command.spawn().unwrap();
    let (mut stdin, mut stdout) = (child.stdin.take().unwrap(), child.stdout.take().unwrap());
    let mut shown = Vec::new();
    let answers = [
        ("scan private key", payee.scan_hex()),
        ("Spend public key", payee.spend_public_key().to_string()),
    ];
    for (question, answer) in answers {
        let requested = async {
            while !String::from_utf8_lossy(&shown).contains(question) {
                let read = stdout.read_buf(&mut shown).await.unwrap();
                assert!(read > 0, "it prompts for the {question}");
            }
        };
        timeout(DEADLINE, requested).await.expect("a question");
        stdin.write_all(format!("{answer}\n").as_bytes()).await.unwrap();
    }
    let rest = timeout(DEADLINE, stdout.read_to_end(&mut shown)).await;
    rest.expect("an end").unwrap();
    let status = timeout(DEADLINE, child.wait()).await.expect("an end").unwrap();
    let shown = String::from_utf8_lossy(&shown).into_owned();
    assert!(status.success(), "{shown}");
    shown
}

#[tokio::test(flavor = "multi_thread")]
async fn reports_each_error_in_one_line() {
    let stage = Stage::new().await;
    let payee = Payee::new(&[]);
    let url = stage.relay.ws_url();
    let dir = tempfile::tempdir().unwrap();
    let with = async |keys: &str, arguments: &[&str]| {
        let file = key_file(dir.path(), keys);
        scan(&[&["--relay", &url, "--keys", &file][..], arguments].concat(), "").await
    };
    let good = keys_of(&payee);
    let one = payee.scan_hex();
    let not_a_key = format!("{} {}", "f".repeat(64), payee.spend_public_key());
    for (keys, arguments, why) in [
        (one.as_str(), &["--from", "0"][..], "or two keys in hex"),
        (&format!("{good} more"), &["--from", "0"], "or two keys in hex"),
        ("", &["--from", "0"], "or two keys in hex"),
        (
            &not_a_key,
            &["--from", "0"],
            "its first key is a number that is no private key",
        ),
        (&format!("{one} 02aa"), &["--from", "0"], "its second key has 4 digits"),
        (&good, &["--from", "9", "--to", "3"], "--to 3 is below the first block"),
        (&good, &["--from", "4000000"], "block 4000000 does not exist"),
    ] {
        let result = with(keys, arguments).await;
        let line = result.refused();
        assert!(line.contains(why), "{line}");
        assert!(!line.contains(&one) && !line.contains(&"f".repeat(64)), "{line}");
    }
    let missing = dir.path().join("nowhere").to_str().unwrap().to_owned();
    let result = scan(&["--from", "0", "--relay", &url, "--keys", &missing], "").await;
    assert!(result.refused().contains(&missing), "{}", result.stderr);
    let result = scan(&["--from", "0", "--relay", "ws://127.0.0.1:1"], &good).await;
    let line = result.refused();
    assert!(line.contains("ws://127.0.0.1:1") && line.contains("--relay"), "{line}");

    // A key is not accepted as an argument: the command line ends with 2 as for any unknown one.
    let payee = payee.scan_hex();
    for tried in [
        &["--from", "0", &payee][..],
        &["--from", "0", "--scan-private-key", &payee],
    ] {
        let result = scan(tried, "").await;
        assert_eq!(
            (result.code, result.stdout.as_str()),
            (Some(2), ""),
            "{}",
            result.stderr
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn without_an_address_it_uses_the_relay_of_the_configuration() {
    const TOKEN: &str = "a-token-for-reading";
    let mut stage = Stage::new().await;
    let payee = Payee::new(&[3]);
    let from = (stage.node.height().await + 1).to_string();
    let expected = paid(&mut stage, &payee).await;
    let options = RelayOptions::new(env!("CARGO_BIN_EXE_sdk_relay")).node(&stage.node);
    let relay = RelayProcess::start(options.set("AUTH__READ_TOKEN", TOKEN)).await;
    let mut command = command(&["--from", &from, "--labels", "3"]);
    command
        .env("SDK_RELAY_NETWORK", "regtest")
        .env("SDK_RELAY_DATA_DIR", relay.data_dir())
        .env("SDK_RELAY_WS_URL", relay.ws_url().trim_start_matches("ws://"))
        .env("SDK_RELAY_AUTH__READ_TOKEN", TOKEN);
    let result = run(command, &keys_of(&payee)).await;
    assert_eq!(
        (result.code, bare(result.payments())),
        (Some(0), expected),
        "{}",
        result.stderr
    );

    // The token is not sent to another relay.
    let result = scan(&["--from", "0", "--relay", &relay.ws_url()], &keys_of(&payee)).await;
    assert!(result.refused().contains("auth.read_token"), "{}", result.stderr);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_relay_without_an_index_has_no_history() {
    let stage = Stage::with(Options::default(), |options| options.set("INDEX__ENABLED", "false")).await;
    let result = scan(
        &["--from", "0", "--relay", &stage.relay.ws_url()],
        &keys_of(&Payee::new(&[])),
    )
    .await;
    assert!(result.refused().contains("index.enabled"), "{}", result.stderr);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_wait_for_a_relay_that_cannot_begin_is_bounded() {
    let options = RelayOptions::new(env!("CARGO_BIN_EXE_sdk_relay"))
        .set("BITCOIN_CORE__URL", "http://127.0.0.1:1")
        .set("BITCOIN_CORE__USER", "somebody")
        .set("BITCOIN_CORE__PASSWORD", "else");
    let relay = RelayProcess::start_listening(options).await;
    let arguments = ["--from", "0", "--wait", "1", "--relay", &relay.ws_url()];
    let result = scan(&arguments, &keys_of(&Payee::new(&[]))).await;
    let line = result.refused();
    assert!(
        line.contains("node is unavailable") && line.contains("--wait"),
        "{line}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn unscannable_blocks_are_reported_as_a_failure() {
    let node = Options {
        prune: Some(1),
        args: vec!["-fastprune".to_owned()],
        ..Options::default()
    };
    // Of its own: it is pruned.
    let node = testkit::Bitcoind::start(node).await;
    let mut payer = testkit::Payer::funded(&node).await;
    node.mine(800).await;
    let payee = Payee::new(&[]);
    let tx = payer.pay(&[InputKind::P2wpkh], &[silent(payee.address(), 20_000)]);
    node.mine_with(std::slice::from_ref(&tx)).await;
    let call = async |method: &str, params| node.rpc().call(method, params).await.unwrap();
    call("pruneblockchain", serde_json::json!([600])).await;
    let kept = call("getblockchaininfo", serde_json::json!([])).await["pruneheight"].clone();
    let relay = RelayProcess::start(RelayOptions::new(env!("CARGO_BIN_EXE_sdk_relay")).node(&node)).await;
    let (url, keys) = (relay.ws_url(), keys_of(&payee));
    let result = scan(&["--from", "10", "--relay", &url], &keys).await;
    // Found payments are printed; unscanned blocks are reported in the output and in the exit status.
    assert_eq!(
        (result.code, result.payments().len()),
        (Some(1), 1),
        "{}",
        result.stderr
    );
    let range = format!("blocks 10 to {} (pruned", kept.as_u64().unwrap() - 1);
    assert!(result.stderr.contains(&range), "{}", result.stderr);
    let result = scan(&["--from", &kept.to_string(), "--relay", &url], &keys).await;
    assert_eq!(
        (result.code, result.payments().len()),
        (Some(0), 1),
        "{}",
        result.stderr
    );
}

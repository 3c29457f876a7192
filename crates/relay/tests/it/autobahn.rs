//! The Autobahn suite, which covers RFC 6455, against an echo over the relay's own socket code.
//!
//! `AUTOBAHN` names the command that runs the suite (`COMMAND WS_URL REPORT_DIR CASES`); without it this test fails,
//! unless it is skipped. `AUTOBAHN_CASES` chooses other cases than those of CI, `AUTOBAHN_SUMMARY` names a file for the
//! result as a table: `just autobahn` runs everything and updates `docs/autobahn.md`.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::fmt::Write as _;
use std::process::Stdio;
use std::time::Duration;

use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use prometheus_client::metrics::counter::Counter;
use sdk_relay_transport::InputBudget;
use sdk_relay_ws as ws;
use sdk_relay_ws::socket::{Received, Socket};
use serde::Deserialize;
use tokio::net::{TcpListener, TcpStream};
use tokio::process::Command;
use tokio::time::timeout;

/// What CI runs: frames, pings, reserved bits, opcodes, fragments, UTF-8, closing, and mixed ones; half a minute.
/// Section 9 sends large messages for minutes; 12 and 13 are about compression, which the relay does not offer.
const CASES: &str = "1.*,2.*,3.*,4.*,5.*,6.*,7.*,10.*";
/// The largest message of section 9.
const LARGEST: usize = 16 << 20;
/// The suite sets itself up the first time, with downloads; section 9 takes minutes.
const DEADLINE: Duration = Duration::from_secs(20 * 60);

#[tokio::test(flavor = "multi_thread")]
async fn every_case_passes_strictly() {
    let Some(suite) = testkit::needed_file("AUTOBAHN", "autobahn") else {
        return;
    };
    let cases = std::env::var("AUTOBAHN_CASES").unwrap_or_else(|_| CASES.to_owned());

    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("ws://{}", listener.local_addr().unwrap());
    let server = tokio::spawn(serve(listener));
    let report = tempfile::tempdir().unwrap();
    let run = Command::new(&suite)
        .arg(url)
        .arg(report.path())
        .arg(&cases)
        .stdin(Stdio::null())
        .kill_on_drop(true)
        .output();
    let run = timeout(DEADLINE, run).await.expect("the suite ends in time").unwrap();
    server.abort();
    let output = format!(
        "{}{}",
        String::from_utf8_lossy(&run.stdout),
        String::from_utf8_lossy(&run.stderr)
    );

    let index = std::fs::read_to_string(report.path().join("index.json"))
        .unwrap_or_else(|error| panic!("the suite made no report ({error}):\n{output}"));
    let Index { server: results } = serde_json::from_str(&index).unwrap();
    eprintln!("{} cases of Autobahn ({cases})", results.len());
    assert!(results.len() > 200 || cases != CASES, "only {} cases", results.len());
    if let Some(file) = std::env::var_os("AUTOBAHN_SUMMARY") {
        std::fs::write(file, summary(&results)).unwrap();
    }
    let wrong: Vec<_> = results.iter().filter(|(_, result)| !result.is_strict()).collect();
    assert!(wrong.is_empty(), "{wrong:#?}\n{output}");
}

async fn serve(listener: TcpListener) {
    loop {
        let (stream, _) = listener.accept().await.unwrap();
        tokio::spawn(connection(stream));
    }
}

async fn connection(stream: TcpStream) {
    let service = service_fn(|mut request: Request<Incoming>| async move {
        let response: Response<String> = match ws::upgrade(&mut request) {
            Ok((response, upgraded)) => {
                tokio::spawn(async move {
                    if let Ok(stream) = upgraded.await {
                        let budget = InputBudget::new(4 * LARGEST, Counter::default());
                        echo(Socket::with_largest(TokioIo::new(stream), LARGEST, budget)).await;
                    }
                });
                response
            }
            Err(refused) => refused.response(),
        };
        Ok::<_, Infallible>(response)
    });
    // The suite aborts connections deliberately.
    let served = http1::Builder::new()
        .serve_connection(TokioIo::new(stream), service)
        .with_upgrades()
        .await;
    drop(served);
}

async fn echo(mut socket: Socket<TokioIo<hyper::upgrade::Upgraded>>) {
    loop {
        let fed = match socket.receive().await {
            Received::Text(text) => socket.feed_text(text.into()).await,
            Received::Binary(bytes) => socket.feed_binary(bytes).await,
            // The pong is queued.
            Received::Activity => Ok(()),
            Received::Unfinished(..) | Received::Gone => return,
        };
        if fed.is_err() || socket.flush().await.is_err() {
            return;
        }
    }
}

#[derive(Deserialize)]
struct Index {
    /// By the number of the case.
    server: BTreeMap<Case, Outcome>,
}

/// `7.1.6`, in the order of its numbers.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
#[serde(try_from = "String")]
struct Case(Vec<u32>);

impl TryFrom<String> for Case {
    type Error = std::num::ParseIntError;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        text.split('.').map(str::parse).collect::<Result<_, _>>().map(Self)
    }
}

#[derive(Debug, Deserialize)]
struct Outcome {
    behavior: String,
    #[serde(rename = "behaviorClose")]
    behavior_close: String,
}

impl Outcome {
    fn is_strict(&self) -> bool {
        [&self.behavior, &self.behavior_close]
            .iter()
            .all(|b| ["OK", "INFORMATIONAL"].contains(&b.as_str()))
    }
}

fn summary(results: &BTreeMap<Case, Outcome>) -> String {
    let mut sections: BTreeMap<u32, BTreeMap<&str, usize>> = BTreeMap::new();
    for (case, outcome) in results {
        let counts = sections.entry(case.0[0]).or_default();
        *counts.entry(&outcome.behavior).or_default() += 1;
        if outcome.behavior_close != "OK" && outcome.behavior_close != outcome.behavior {
            *counts.entry("another close").or_default() += 1;
        }
    }
    let mut text = String::from(
        "# WebSocket conformance\n\nResults of the Autobahn test suite (RFC 6455) against an echo server on the relay's WebSocket code. `just autobahn` \
         runs the suite\nand writes this page (`crates/relay/tests/it/autobahn.rs`).\n\n| Section | Cases | Result |\n|---|---|---|\n",
    );
    for (section, counts) in &sections {
        let name = match section {
            1 => "framing",
            2 => "pings and pongs",
            3 => "reserved bits",
            4 => "opcodes",
            5 => "fragments",
            6 => "UTF-8",
            7 => "closing",
            9 => "limits and speed",
            10 => "mixed",
            _ => "others",
        };
        let cases = results.keys().filter(|case| case.0[0] == *section).count();
        let outcome: Vec<_> = counts.iter().map(|(what, n)| format!("{n} {what}")).collect();
        writeln!(text, "| {section} {name} | {cases} | {} |", outcome.join(", ")).unwrap();
    }
    let informational: Vec<_> = results
        .iter()
        .filter(|(_, outcome)| outcome.behavior == "INFORMATIONAL")
        .map(|(case, _)| case.0.iter().map(ToString::to_string).collect::<Vec<_>>().join("."))
        .collect();
    writeln!(
        text,
        "\n{} cases. INFORMATIONAL marks cases in which the RFC leaves a choice: {}. Sections 12 and 13 test compression, which the relay does not\n\
         offer.",
        results.len(),
        informational.join(", ")
    )
    .unwrap();
    text
}

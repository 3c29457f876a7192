//! Which files a relay creates, and that only its user can read them, whatever the umask and the mode of the directory.
#![cfg(unix)]

use std::collections::BTreeMap;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use bytes::Bytes;
use http_body_util::Full;
use hyper::Request;
use serde_json::{Value, json};
use testkit::{Options, Payee, PooledNode, RelayOptions, RelayProcess, eventually, http_get, http_post, http_send};

use crate::support::DEADLINE;
use crate::webhooks::SECRET;

const EXE: &str = env!("CARGO_BIN_EXE_sdk_relay");

/// Everything that a relay creates in its data directory. `N` stands for a number. A new file needs a row here, and one
/// in the table of `docs/operating.md`.
const CREATED: [(&str, u32); 13] = [
    ("devchain.dat", 0o600),
    ("index", 0o700),
    ("index/N.rows", 0o600),
    ("index/index.redb", 0o600),
    ("mesh.key", 0o600),
    ("mesh.names", 0o600),
    ("relay.lock", 0o600),
    ("relay.redb", 0o600),
    ("settings.toml", 0o600),
    ("tls-self-signed.crt", 0o600),
    ("tls-self-signed.key", 0o600),
    ("wallet.key", 0o600),
    ("webhooks.json", 0o600),
];

/// A relay whose umask forbids nothing, in a directory that everybody may use.
fn careless(directory: &Path) -> RelayOptions {
    chmod(directory, 0o777);
    RelayOptions::new("/bin/sh")
        .arg("-c")
        .arg("umask 000 && exec \"$0\" \"$@\"")
        .arg(EXE)
        .data_dir(directory)
        .set("WALLET__MODE", "hot")
        .set("WEBHOOKS__SHOP__URL", "http://127.0.0.1:1/")
        .set("WEBHOOKS__SHOP__SECRET", SECRET)
}

fn chmod(path: &Path, mode: u32) {
    std::fs::set_permissions(path, PermissionsExt::from_mode(mode)).unwrap();
}

/// Adds the files below a directory, with their modes.
fn list(root: &Path, below: &str, found: &mut BTreeMap<String, u32>) {
    for entry in std::fs::read_dir(root.join(below)).unwrap() {
        let entry = entry.unwrap();
        let name = entry.file_name().into_string().unwrap();
        let path = [below, &name].into_iter().filter(|part| !part.is_empty());
        let path = path.collect::<Vec<_>>().join("/");
        let metadata = entry.metadata().unwrap();
        found.insert(path.clone(), metadata.permissions().mode() & 0o7777);
        if metadata.is_dir() {
            list(root, &path, found);
        }
    }
}

/// The files of a data directory, each of which has its mode of the table.
fn checked(directory: &Path) -> BTreeMap<String, u32> {
    let mut found = BTreeMap::new();
    list(directory, "", &mut found);
    // A temporary file is one that is being replaced.
    let numbered = |path: String| match path.strip_suffix(".new").unwrap_or(&path) {
        segment if segment.ends_with(".rows") => "index/N.rows".to_owned(),
        path => path.to_owned(),
    };
    let found: BTreeMap<_, _> = found.into_iter().map(|(path, mode)| (numbered(path), mode)).collect();
    for (path, mode) in &found {
        let row = CREATED.iter().find(|(name, _)| name == path);
        let (_, expected) = row.unwrap_or_else(|| panic!("{path} is not in the table of files"));
        assert_eq!(format!("{mode:o}"), format!("{expected:o}"), "{path}");
    }
    found
}

async fn post(relay: &RelayProcess, path: &str, body: Value) {
    let reply = http_post(&format!("{}{path}", relay.http_url()), &body).await;
    assert_eq!(reply.status, 200, "{path}: {}", reply.text());
}

#[tokio::test]
async fn every_file_is_private_whatever_the_umask_and_the_directory() {
    let standalone_dir = tempfile::tempdir().unwrap();
    let mut relay = RelayProcess::start(careless(standalone_dir.path()).set("STANDALONE", "true")).await;
    let payee = Payee::new(&[3]);
    post(
        &relay,
        "/dev/pay",
        json!({"address": payee.address().to_string(), "amount": "0.1"}),
    )
    .await;
    post(&relay, "/dev/mine", json!({})).await;
    let change = Bytes::from(json!({"sync": {"interval": 77}}).to_string());
    let put = Request::put(format!("{}/config", relay.http_url())).header("content-type", "application/json");
    let put = http_send(put.body(Full::new(change)).unwrap()).await;
    assert_eq!(put.status, 200, "{}", put.text());
    let segment = standalone_dir.path().join("index/000000.rows");
    eventually(DEADLINE, "a segment of the index", async || {
        segment.exists().then_some(())
    })
    .await;
    let mut all = checked(standalone_dir.path());
    relay.terminate().await;

    // Files of a version that left the mode to the umask.
    for (name, mode) in [
        ("relay.redb", 0o666),
        ("settings.toml", 0o644),
        ("devchain.dat", 0o640),
        ("index", 0o755),
        ("index/index.redb", 0o644),
        ("index/000000.rows", 0o664),
    ] {
        chmod(&standalone_dir.path().join(name), mode);
    }
    relay.start_again().await;
    checked(standalone_dir.path());
    let log = relay.stderr();
    for said in [
        "relay.redb mode=\"666\"",
        "settings.toml mode=\"644\"",
        "index mode=\"755\"",
        "files=2",
    ] {
        assert!(log.contains(said), "{said}: {log}");
    }
    relay.terminate().await;

    let meshed_dir = tempfile::tempdir().unwrap();
    let node = PooledNode::take(Options::default()).await;
    let other = RelayProcess::start(RelayOptions::new(EXE).node(&node).in_mesh()).await;
    let list = http_get(&format!("{}/relays", other.http_url())).await.json();
    let key = list["relays"][0]["public_key"].as_str().unwrap().to_owned();
    let options = careless(meshed_dir.path())
        .node(&node)
        .in_mesh()
        .set("TLS__SELF_SIGNED", "true")
        .set("MESH__PEERS", format!("{}#{key}", other.ws_url()));
    let _relay = RelayProcess::start(options).await;
    let names = meshed_dir.path().join("mesh.names");
    eventually(DEADLINE, "the name of the other relay", async || {
        names.exists().then_some(())
    })
    .await;
    all.extend(checked(meshed_dir.path()));

    let created: Vec<_> = CREATED.iter().map(|(name, _)| *name).collect();
    assert_eq!(
        all.into_keys().collect::<Vec<_>>(),
        created,
        "each row of the table is created"
    );
}

//! The end of a detached watch.

use serde_json::json;
use testkit::{Payee, RelayOptions, eventually, http_post};

use super::app::{App, paid, start};
use crate::wire::DEADLINE;

#[tokio::test]
async fn a_watch_ends_when_nobody_comes_back_in_time() {
    let relay = start(|options| options).await;
    let payee = Payee::new(&[]);
    let mut app = App::watch(&relay, &payee, json!({"detach": 1})).await;
    // Its time begins with the end of the connection.
    let mut other = App::watch(&relay, &payee, json!({"detach": 600})).await;
    app.leave(&relay).await;
    eventually(DEADLINE, "the end of the watch", async || {
        (app.http(&relay, "GET").await.status == 404).then_some(())
    })
    .await;
    other.leave(&relay).await;
    let mut wire = app.elsewhere(&relay).await;
    let refused = wire.request_attach(0).await;
    assert_eq!(refused["code"], "not_found", "{refused}");
    paid(&relay, &payee).await;
    other.until_found(&relay, 1).await;
}

#[tokio::test]
async fn an_orderly_stop_is_announced_and_a_restart_forgets_the_watch() {
    let mut relay = start(|options| options).await;
    let payee = Payee::new(&[]);
    let mut app = App::watch(&relay, &payee, json!({"detach": 600})).await;
    relay.terminate().await;
    let ended = app.wire.receive().await;
    assert_eq!(
        (&ended["type"], &ended["watch_id"], &ended["reason"]),
        (&json!("watch_ended"), &json!(app.id), &json!("relay_stopped"))
    );
    assert_eq!(app.wire.closed().await.0, 1001);
    relay.start_again().await;
    assert_eq!(app.http(&relay, "GET").await.status, 404);

    // After a crash nothing was said.
    let app = App::watch(&relay, &payee, json!({"detach": 600})).await;
    relay.kill9();
    relay.start_again().await;
    assert_eq!(app.http(&relay, "GET").await.status, 404);
    let mut again = app.elsewhere(&relay).await;
    assert_eq!(again.request_attach(0).await["code"], "not_found");
    // Nothing of it is on the disk.
    let files = contents_of(relay.data_dir());
    for secret in [&app.id, &app.token, &payee.scan_hex()] {
        let has = |bytes: &Vec<u8>| memchr::memmem::find(bytes, secret.as_bytes()).is_some();
        assert!(!files.iter().any(has));
        assert!(!relay.stderr().contains(secret.as_str()));
    }
}

#[tokio::test]
async fn a_restart_within_the_process_is_announced_too() {
    let relay = start(RelayOptions::fixed_ports).await;
    let mut app = App::watch(&relay, &Payee::new(&[]), json!({"detach": 600})).await;
    let restarting = http_post(&format!("{}/restart", relay.http_url()), &json!({})).await;
    assert_eq!(restarting.status, 200, "{}", restarting.text());
    let ended = app.wire.receive().await;
    assert_eq!(
        (&ended["type"], &ended["reason"]),
        (&json!("watch_ended"), &json!("relay_stopped"))
    );
    assert_eq!(app.wire.closed().await.0, 1012);
}

/// The contents of all files below a directory.
fn contents_of(dir: &std::path::Path) -> Vec<Vec<u8>> {
    let mut found = Vec::new();
    let mut dirs = vec![dir.to_owned()];
    while let Some(dir) = dirs.pop() {
        for entry in std::fs::read_dir(dir).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                dirs.push(path);
            } else if let Ok(bytes) = std::fs::read(&path) {
                found.push(bytes);
            }
        }
    }
    assert!(!found.is_empty());
    found
}

#[tokio::test]
async fn a_client_ends_its_watch_over_http() {
    let relay = start(|options| options).await;
    let mut app = App::watch(&relay, &Payee::new(&[]), json!({"detach": 600})).await;
    let deleted = app.http(&relay, "DELETE").await;
    assert_eq!(deleted.status, 200, "{}", deleted.text());
    assert_eq!(deleted.json()["status"], "unwatched");
    let ended = app.wire.receive().await;
    assert_eq!(
        (&ended["type"], &ended["reason"]),
        (&json!("watch_ended"), &json!("unwatched"))
    );
    for method in ["GET", "DELETE"] {
        assert_eq!(app.http(&relay, method).await.status, 404);
    }
    app.wire.assert_open().await;
}

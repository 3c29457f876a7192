//! Who may use a detached watch.

use serde_json::json;
use testkit::Payee;

use super::app::{App, paid, request, start};

#[tokio::test]
async fn a_wrong_token_is_answered_as_an_unknown_watch() {
    let relay = start(|options| options).await;
    let payee = Payee::new(&[]);
    let mut app = App::watch(&relay, &payee, json!({"detach": 600})).await;
    let txid = paid(&relay, &payee).await;
    app.next().await;
    let mut thief = app.elsewhere(&relay).await;
    let plain = {
        let mut wire = super::connection(&relay).await;
        let watching = wire.request(super::app::watch(&payee, json!({}))).await;
        assert!(watching.get("watch_token").is_none(), "{watching}");
        (wire, watching["watch_id"].as_str().unwrap().to_owned())
    };
    let mut answers = Vec::new();
    for (id, token) in [
        (app.id.clone(), "0".repeat(64)),
        (app.id.clone(), app.token.to_uppercase() + "0"),
        (app.id.clone(), String::new()),
        (app.id.clone(), "x".repeat(1000)),
        ("watch-0000000000000000".to_owned(), app.token.clone()),
        (plain.1.clone(), app.token.clone()),
        ("w".repeat(1000), app.token.clone()),
    ] {
        // More than the ten errors in a row that close a connection.
        for _ in 0..2 {
            let attach = json!({"type": "attach", "watch_id": id, "watch_token": token, "after": 0});
            let mut refused = thief.wire.request(attach).await;
            refused["timestamp"] = json!(0);
            answers.push(refused);
        }
        if id.len() < 100 {
            for method in ["GET", "DELETE"] {
                let refused = request(&relay, method, &id, Some(&token)).await;
                let expected = if token.is_empty() { [401, 404] } else { [404, 404] };
                assert!(expected.contains(&refused.status.as_u16()), "{}", refused.text());
                assert!(!refused.text().contains(&app.token));
            }
        }
    }
    assert_eq!(answers[0]["code"], "not_found", "{}", answers[0]);
    assert!(answers.iter().all(|answer| *answer == answers[0]), "{answers:#?}");
    assert_eq!(request(&relay, "GET", &app.id, None).await.status, 401);
    // An error quotes no token.
    let attach = json!({"type": "attach", "watch_id": 1, "watch_token": app.token});
    let refused = thief.wire.request(attach).await.to_string();
    assert!(
        refused.contains("invalid_field") && !refused.contains(&app.token),
        "{refused}"
    );
    // A match that was not sent.
    let refused = app.request_attach(2).await;
    assert_eq!(refused["code"], "invalid_field", "{refused}");
    // Nothing has changed for its client.
    app.leave(&relay).await;
    app.attach(&relay, 0).await;
    assert_eq!(app.next().await, (1, txid, 0));
}

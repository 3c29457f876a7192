use sdk_relay_platform::net::{Listener, listen};
use tokio::io::split;

use super::*;

const WITHIN: Duration = Duration::from_secs(20);
const SCRIPT: &str = "8b01df4e368ea28f8dc0423bcf7a4923e3a12d307c875e47a0cfbf90b5c39161";

fn call() -> BackendCall {
    BackendCall {
        method: "blockchain.scripthash.subscribe",
        params: vec![Value::from(SCRIPT)],
    }
}

/// A server, and the driver of a connection to it.
fn scene() -> (Listener, Backend, mpsc::Receiver<Changed>, tokio::task::JoinHandle<()>) {
    let listener = listen("127.0.0.1:0".parse().unwrap(), 8).unwrap().attach().unwrap();
    let target = listener.local_addr().unwrap().to_string();
    let address = ElectrumBackend {
        is_tls: false,
        host: "127.0.0.1".to_owned(),
        target,
    };
    let (backend, driver, changes) = Backend::new(address, WITHIN);
    (listener, backend, changes, tokio::spawn(driver.run()))
}

/// Answers the first requests with these lines, where ID is the id of the request; then closes.
async fn serve(listener: &Listener, answers: &[&str]) -> Vec<Value> {
    let (stream, _) = listener.accept().await.unwrap();
    let (reader, mut writer) = split(stream);
    let mut lines = BufReader::new(reader).lines();
    let mut requests = Vec::new();
    for answer in answers {
        let request: Value = serde_json::from_str(&lines.next_line().await.unwrap().unwrap()).unwrap();
        let line = answer.replace("ID", &request["id"].to_string()) + "\n";
        writer.write_all(line.as_bytes()).await.unwrap();
        requests.push(request);
    }
    requests
}

#[tokio::test]
async fn requests_are_passed_on_and_changes_come_back() {
    let (listener, backend, mut changes, running) = scene();
    let change =
        format!(r#"{{"jsonrpc":"2.0","method":"blockchain.scripthash.subscribe","params":["{SCRIPT}","ab"]}}"#);
    let answers = [
        r#"{"id":ID,"result":["ElectrumX 1.16","1.4.2"]}"#,
        &format!("{{\"id\":ID,\"result\":  null}}\n{change}"),
        r#"{"id":ID,"error":{"code":1,"message":"excessive \u0007 history"}}"#,
    ];
    let server = serve(&listener, &answers);
    let client = async {
        let first = backend.call(call(), WITHIN).await;
        (first, backend.call(call(), WITHIN).await)
    };
    let (requests, (first, second)) = tokio::join!(server, client);
    assert_eq!(first, Ok("null".to_owned()));
    let error = second.unwrap_err();
    assert_eq!((error.code, error.message.as_str()), (1, "excessive \\u{7} history"));
    assert_eq!(requests[0]["method"], "server.version");
    assert_eq!(requests[1]["params"], json!([SCRIPT]));
    let expected = Changed {
        script: SCRIPT.parse().unwrap(),
        status: Some("ab".to_owned()),
    };
    assert_eq!(changes.recv().await, Some(expected));
    // The server has closed the connection: the next request makes another one.
    let server = serve(&listener, &[r#"{"id":ID,"result":[]}"#, r#"{"id":ID,"result":true}"#]);
    let again = async {
        loop {
            // A request that was sent on the old connection fails with the reason.
            match backend.call(call(), WITHIN).await {
                Err(error) => assert!(error.message.contains("electrum.backend"), "{error:?}"),
                answer => return answer,
            }
        }
    };
    let (_, answer) = tokio::join!(server, again);
    assert_eq!(answer, Ok("true".to_owned()));
    drop(backend);
    running.await.unwrap();
}

#[tokio::test]
async fn a_server_that_is_away_or_speaks_something_else_is_named_as_the_cause() {
    let (listener, backend, _changes, _running) = scene();
    let server = serve(&listener, &["HTTP/1.1 400 Bad Request"]);
    let (_, answer) = tokio::join!(server, backend.call(call(), WITHIN));
    assert!(answer.unwrap_err().message.contains("does not speak JSON-RPC"));
    drop(listener);
    let error = backend.call(call(), WITHIN).await.unwrap_err();
    assert!(
        error.code == 2 && error.message.contains("electrum.backend"),
        "{error:?}"
    );
}

use sdk_relay_platform::net::{Listener, Stream, listen};
use serde_json::json;
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader, Lines, ReadHalf, WriteHalf, split};
use tokio::task::JoinHandle;

use super::*;
use crate::metrics::ElectrumMetrics;

const WITHIN: Duration = Duration::from_secs(20);
const SCRIPT: &str = "8b01df4e368ea28f8dc0423bcf7a4923e3a12d307c875e47a0cfbf90b5c39161";

fn call() -> BackendCall {
    BackendCall {
        method: SCRIPTS,
        params: vec![Value::from(SCRIPT)],
    }
}

/// A server, and the driver of a connection to it.
struct Scene {
    listener: Listener,
    backend: Backend,
    notices: mpsc::Receiver<Notice>,
    running: JoinHandle<()>,
    metrics: ElectrumMetrics,
}

impl Scene {
    fn new(timeouts: Timeouts) -> Self {
        let listener = listen("127.0.0.1:0".parse().unwrap(), 8).unwrap().attach().unwrap();
        let target = listener.local_addr().unwrap().to_string();
        let address = ElectrumBackend {
            is_tls: false,
            host: "127.0.0.1".to_owned(),
            target,
        };
        let metrics = ElectrumMetrics::default();
        let (backend, driver, notices) = Backend::new(address, timeouts, BackendState::new(metrics.clone()));
        Self {
            listener,
            backend,
            notices,
            running: tokio::spawn(driver.run()),
            metrics,
        }
    }

    async fn accept(&self) -> Server {
        let (stream, _) = self.listener.accept().await.unwrap();
        let (reader, writer) = split(stream);
        let mut server = Server {
            lines: BufReader::new(reader).lines(),
            writer,
        };
        let version = server.answers(r#"["ElectrumX 1.16","1.4.2"]"#).await;
        assert_eq!(version["method"], "server.version");
        server
    }

    async fn call(&self) -> Result<Text, RpcError> {
        self.backend
            .call(call(), WITHIN)
            .await
            .unwrap_or_else(|late| Err(late.into()))
    }
}

/// The other end of one connection.
struct Server {
    lines: Lines<BufReader<ReadHalf<Stream>>>,
    writer: WriteHalf<Stream>,
}

impl Server {
    async fn request(&mut self) -> Value {
        serde_json::from_str(&self.lines.next_line().await.unwrap().expect("a request")).unwrap()
    }

    async fn send(&mut self, line: &str) {
        self.writer.write_all(format!("{line}\n").as_bytes()).await.unwrap();
    }

    /// Answers a request.
    async fn answers(&mut self, result: &str) -> Value {
        let request = self.request().await;
        let id = &request["id"];
        self.send(&format!(r#"{{"id":{id},"result":{result}}}"#)).await;
        request
    }
}

impl Server {
    /// Refuses a request.
    async fn refuses(&mut self, reason: &str) {
        let request = self.request().await;
        let error = json!({"id": request["id"], "error": {"code": -101, "message": reason}});
        self.send(&error.to_string()).await;
    }
}

fn changed(status: Option<&str>) -> Option<Notice> {
    Some(Notice::Changed {
        script: SCRIPT.parse().unwrap(),
        status: status.map(str::to_owned),
    })
}

/// As a relay has them, but for the pause before the first attempt to connect again.
fn hasty() -> Timeouts {
    let retry = Duration::from_millis(1);
    Timeouts {
        backend_retry: (retry, retry),
        ..Timeouts::default()
    }
}

#[tokio::test]
async fn requests_are_passed_on_and_changes_come_back() {
    let mut scene = Scene::new(hasty());
    let server = async {
        let mut server = scene.accept().await;
        assert_eq!(server.answers("  null").await["params"], json!([SCRIPT]));
        let params = json!([SCRIPT, "ab"]);
        server
            .send(&json!({"jsonrpc": "2.0", "method": SCRIPTS, "params": params}).to_string())
            .await;
        // Of a script to which the client has not subscribed.
        let params = json!(["00".repeat(32), "ab"]);
        server
            .send(&json!({"method": SCRIPTS, "params": params}).to_string())
            .await;
        let id = &server.request().await["id"];
        server
            .send(&format!(
                r#"{{"id":{id},"error":{{"code":1,"message":"excessive \u0007 history"}}}}"#
            ))
            .await;
        server
    };
    let client = async { (scene.call().await, scene.call().await) };
    let (_server, (first, second)) = tokio::join!(server, client);
    assert_eq!(first, Ok("null".to_owned()));
    let error = second.unwrap_err();
    assert_eq!((error.code, error.message.as_str()), (1, "excessive \\u{7} history"));
    assert_eq!(scene.notices.recv().await, changed(Some("ab")));
    assert!(scene.notices.try_recv().is_err());
    drop(scene.backend);
    scene.running.await.unwrap();
}

#[tokio::test]
async fn a_lost_connection_is_made_again_and_what_has_changed_is_reported() {
    let mut scene = Scene::new(hasty());
    let (mut server, first) = tokio::join!(
        async {
            let mut server = scene.accept().await;
            server.answers(r#""aa""#).await;
            server
        },
        scene.call()
    );
    assert_eq!(first, Ok(r#""aa""#.to_owned()));
    assert_eq!(scene.metrics.backend_connections.get(), 1);
    // Nothing has changed meanwhile.
    drop(server);
    server = scene.accept().await;
    let again = server.answers(r#""aa""#).await;
    assert_eq!(
        (&again["method"], &again["params"]),
        (&json!(SCRIPTS), &json!([SCRIPT]))
    );
    // The script has.
    drop(server);
    server = scene.accept().await;
    server.answers(r#""bb""#).await;
    assert_eq!(scene.notices.recv().await, changed(Some("bb")));
    assert!(scene.notices.try_recv().is_err(), "once");
    assert!(scene.metrics.backend_failures.get() >= 2);
    // Ended: the next connection is made for the next request only.
    let end = BackendCall {
        method: END_SCRIPTS,
        params: vec![Value::from(SCRIPT)],
    };
    let (_, ended) = tokio::join!(server.answers("true"), scene.backend.call(end, WITHIN));
    assert_eq!(ended, Ok(Ok("true".to_owned())));
    drop(server);
    let (server, answer) = tokio::join!(
        async {
            let mut server = scene.accept().await;
            assert_eq!(server.answers("[]").await["method"], SCRIPTS, "that of the client");
            server
        },
        async {
            loop {
                // A request that was sent on the old connection fails with the reason.
                match scene.call().await {
                    Err(error) => assert!(error.message.contains("electrum.backend"), "{error:?}"),
                    answer => return answer,
                }
            }
        }
    );
    assert_eq!(answer, Ok("[]".to_owned()));
    drop(server);
}

/// A server that counts the subscriptions of all its clients, or one that is starting.
#[tokio::test]
async fn a_subscription_that_is_refused_after_a_lost_connection_ends_that_of_the_client() {
    let mut scene = Scene::new(hasty());
    let (server, _) = tokio::join!(
        async {
            let mut server = scene.accept().await;
            server.answers(r#""aa""#).await;
            server
        },
        scene.call()
    );
    drop(server);
    let mut server = scene.accept().await;
    for _ in 0..=REFUSALS {
        server.refuses("too many subscriptions").await;
    }
    let Some(Notice::Lost(error)) = scene.notices.recv().await else {
        panic!("the end")
    };
    assert!(
        error.code == 2
            && error
                .message
                .contains("(electrum.backend) refuses a subscription that it had before: too many"),
        "{error:?}"
    );
    assert_eq!(scene.metrics.backend_refused_subscriptions.get(), 1);
    assert!(scene.notices.try_recv().is_err(), "once");
}

/// A server that many clients connect to after its restart.
#[tokio::test]
async fn a_subscription_that_is_refused_for_a_moment_is_sent_again() {
    let mut scene = Scene::new(hasty());
    let (server, _) = tokio::join!(
        async {
            let mut server = scene.accept().await;
            server.answers(r#""aa""#).await;
            server
        },
        scene.call()
    );
    drop(server);
    let mut server = scene.accept().await;
    for _ in 0..REFUSALS {
        server.refuses("server busy").await;
    }
    let again = server.answers(r#""bb""#).await;
    assert_eq!(
        (&again["method"], &again["params"]),
        (&json!(SCRIPTS), &json!([SCRIPT]))
    );
    assert_eq!(scene.notices.recv().await, changed(Some("bb")));
    assert_eq!(scene.metrics.backend_refused_subscriptions.get(), 0);
}

/// Whatever the backend answers, the client has ended it.
#[tokio::test]
async fn a_subscription_whose_end_is_refused_is_not_made_again() {
    let scene = Scene::new(hasty());
    let (mut server, _) = tokio::join!(
        async {
            let mut server = scene.accept().await;
            server.answers(r#""aa""#).await;
            server
        },
        scene.call()
    );
    let end = BackendCall {
        method: END_SCRIPTS,
        params: vec![Value::from(SCRIPT)],
    };
    let ((), ended) = tokio::join!(server.refuses("server busy"), scene.backend.call(end, WITHIN));
    assert!(ended.unwrap().is_err());
    drop(server);
    // The next connection is made for this request only.
    let history = || BackendCall {
        method: "blockchain.scripthash.get_history",
        params: vec![Value::from(SCRIPT)],
    };
    let server = async {
        let mut server = scene.accept().await;
        let request = server.answers("[]").await;
        (server, request)
    };
    let client = async {
        loop {
            // One that was sent on the old connection fails.
            if let Ok(Ok(answer)) = scene.backend.call(history(), WITHIN).await {
                return answer;
            }
        }
    };
    let ((_server, request), answer) = tokio::join!(server, client);
    assert_eq!(
        (&request["method"], &*answer),
        (&json!("blockchain.scripthash.get_history"), "[]")
    );
}

#[tokio::test]
async fn a_silent_backend_is_pinged_and_one_that_does_not_answer_is_left() {
    let within = Duration::from_secs(1);
    let mut scene = Scene::new(Timeouts {
        backend: within,
        backend_ping: Duration::from_millis(20),
        ..hasty()
    });
    let (mut server, _) = tokio::join!(
        async {
            let mut server = scene.accept().await;
            server.answers("null").await;
            server
        },
        scene.call()
    );
    for _ in 0..3 {
        assert_eq!(server.answers("null").await["method"], "server.ping");
    }
    // It answers no more: the client is told after which time, and the connection is made again.
    let error = scene.backend.call(call(), within).await;
    let message = match error {
        Ok(answer) => answer.unwrap_err().message,
        Err(late) => RpcError::from(late).message,
    };
    assert!(
        message.contains("(electrum.backend): no answer within 1 s"),
        "{message}"
    );
    let mut next = scene.accept().await;
    assert_eq!(next.answers(r#""cc""#).await["method"], SCRIPTS);
    assert_eq!(scene.notices.recv().await, changed(Some("cc")));
}

#[tokio::test]
async fn a_server_that_is_away_or_speaks_something_else_is_named_as_the_cause() {
    let scene = Scene::new(hasty());
    let server = async {
        let (mut stream, _) = scene.listener.accept().await.unwrap();
        stream.write_all(b"HTTP/1.1 400 Bad Request\n").await.unwrap();
        stream
    };
    let (_, answer) = tokio::join!(server, scene.call());
    assert!(answer.unwrap_err().message.contains("does not speak JSON-RPC"));
    drop(scene.listener);
    let answer = scene.backend.call(call(), WITHIN).await;
    let error = answer.unwrap().unwrap_err();
    assert!(
        error.code == 2 && error.message.contains("electrum.backend"),
        "{error:?}"
    );
    assert!(scene.metrics.backend_failures.get() >= 1);
}

/// A client that does not wait for its answers makes no flood of connections.
#[tokio::test]
async fn requests_soon_after_a_failure_have_its_reason() {
    let hour = Duration::from_secs(3600);
    let scene = Scene::new(Timeouts {
        backend_retry: (hour, hour),
        ..Timeouts::default()
    });
    let server = async {
        drop(scene.listener.accept().await.unwrap());
    };
    let (first, ()) = tokio::join!(scene.call(), server);
    for _ in 0..100 {
        assert_eq!(scene.call().await, first, "without a connection, which nobody accepts");
    }
}

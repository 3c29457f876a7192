use sdk_relay_config::{Config, Loader, Overrides};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

use super::*;

const SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";

fn config(url: &str) -> Config {
    let dir = tempfile::tempdir().unwrap();
    let toml = format!("[webhooks.shop]\nurl = \"{url}\"\nsecret = \"{SECRET}\"\n");
    std::fs::write(dir.path().join("sdk_relay.toml"), toml).unwrap();
    Loader::new(Overrides::default().with_data_dir(dir.path()))
        .load()
        .unwrap()
}

fn poster(url: &str, attempt: Duration) -> HttpPost {
    let config = config(url);
    let webhook = &config.webhooks[0];
    let keys = Arc::new(Keys::new(&webhook.secrets).unwrap());
    let timeouts = Timeouts {
        attempt,
        ..Timeouts::default()
    };
    HttpPost::new(webhook, keys, &timeouts).unwrap()
}

fn message() -> Message {
    Message {
        id: "evt_1_2".to_owned(),
        body: Bytes::from_static(b"{\"a\":1}"),
    }
}

/// Reads a request up to its body, which ends with `}`.
async fn request(stream: &mut TcpStream) -> String {
    let mut text = Vec::new();
    while !text.ends_with(b"}") {
        assert_ne!(stream.read_buf(&mut text).await.unwrap(), 0, "the request ends early");
    }
    String::from_utf8(text).unwrap()
}

/// What comes of a message to a server that sends this answer, and the requests that it gets on one connection.
async fn outcome(answer: &str) -> (Result<StatusCode, Failure>, String) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let poster = poster(
        &format!("http://{}/hook?a=b", listener.local_addr().unwrap()),
        Duration::from_secs(20),
    );
    let served = async {
        let mut stream = listener.accept().await.unwrap().0;
        let request = request(&mut stream).await;
        // The relay may have seen enough of it.
        drop(stream.write_all(answer.as_bytes()).await);
        (request, stream)
    };
    let message = message();
    let (outcome, (request, _stream)) = tokio::join!(poster.post(&message), served);
    (outcome, request)
}

#[tokio::test]
async fn a_message_has_the_headers_of_the_standard() {
    let (outcome, request) = outcome("HTTP/1.1 204 No Content\r\n\r\n").await;
    assert_eq!(outcome, Ok(StatusCode::NO_CONTENT));
    assert!(request.starts_with("POST /hook?a=b HTTP/1.1\r\n"), "{request}");
    let header = |name: &str| {
        let line = request.lines().find_map(|line| line.strip_prefix(&format!("{name}: ")));
        line.unwrap_or_else(|| panic!("{name} in {request}")).to_owned()
    };
    let timestamp = header("webhook-timestamp").parse().unwrap();
    let keys = Keys::new(&[sdk_relay_config::Secret::new(SECRET.to_owned())]).unwrap();
    assert_eq!(
        header("webhook-signature"),
        keys.sign("evt_1_2", timestamp, b"{\"a\":1}")
    );
    assert_eq!(
        (header("webhook-id"), header("content-type")),
        ("evt_1_2".to_owned(), "application/json".to_owned())
    );
    assert!(timestamp.abs_diff(unix_now()) < 60);
}

#[tokio::test]
async fn only_a_status_of_success_is_a_delivery() {
    let status = |status: u16, asked: Option<u64>| Failure::Status {
        status: StatusCode::from_u16(status).unwrap(),
        asked: asked.map(Duration::from_secs),
    };
    for (answer, expected, said) in [
        ("500 Oops", status(500, None), "status 500"),
        ("429 Many\r\nRetry-After: 7", status(429, Some(7)), "status 429"),
        (
            "302 There\r\nLocation: http://127.0.0.1:9/",
            status(302, None),
            "redirects are not followed",
        ),
        ("410 Gone", status(410, None), "status 410"),
        ("401 Who", status(401, None), "compare the secret"),
    ] {
        let (outcome, _) = outcome(&format!("HTTP/1.1 {answer}\r\nContent-Length: 0\r\n\r\n")).await;
        let failure = outcome.unwrap_err();
        assert_eq!(failure, expected);
        assert!(failure.to_string().contains(said), "{failure}");
        assert_eq!(failure.is_final(), answer.starts_with("410"));
    }
}

/// Neither the size of a body nor its pace counts: the status is the answer.
#[tokio::test]
async fn the_body_of_an_answer_is_not_awaited() {
    let large = format!(
        "HTTP/1.1 200 OK\r\nContent-Length: 1000000000\r\n\r\n{}",
        "x".repeat(1 << 20)
    );
    let slow = "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nx";
    for answer in [large.as_str(), slow] {
        assert_eq!(outcome(answer).await.0, Ok(StatusCode::OK));
    }
}

#[tokio::test]
async fn an_endpoint_that_does_not_answer_is_late_and_one_that_is_absent_is_unreachable() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/s3cret", listener.local_addr().unwrap());
    let limit = Duration::from_millis(50);
    assert_eq!(poster(&url, limit).post(&message()).await, Err(Failure::Late(limit)));
    drop(listener);
    let failure = poster(&url, Duration::from_secs(20))
        .post(&message())
        .await
        .unwrap_err()
        .to_string();
    assert!(
        failure.starts_with("the endpoint cannot be reached: ") && !failure.contains("s3cret"),
        "{failure}"
    );
}

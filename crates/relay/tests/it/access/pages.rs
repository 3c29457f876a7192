//! Web pages, as browsers send their requests.

use testkit::RelayProcess;

use crate::access::talk::{PRIVILEGED, address, header, request, say, standalone, status_of};

const CLOSE: &str = "Connection: close\r\n";

/// Status and `Access-Control-Allow-Origin` of the answer to a page's request.
async fn requested(relay: &RelayProcess, method: &str, path: &str, lines: &str) -> (u16, Option<String>) {
    let url = relay.http_url();
    let host = address(&url);
    let answer = say(host, request(method, path, &format!("Host: {host}\r\n{CLOSE}{lines}"))).await;
    let allowed = header(&answer, "access-control-allow-origin").map(str::to_owned);
    (status_of(&answer), allowed)
}

#[tokio::test]
async fn a_foreign_page_can_neither_administer_nor_read_the_log() {
    let relay = RelayProcess::start(standalone()).await;
    let own = relay.http_url();
    let other_port = "http://127.0.0.1:1";
    let twice = format!("{own}\r\nOrigin: https://evil.example");
    for (method, path) in PRIVILEGED {
        for origin in ["https://evil.example", "null", other_port, twice.as_str()] {
            let refused = requested(&relay, method, path, &format!("Origin: {origin}\r\n")).await;
            assert_eq!(refused, (403, None), "{method} {path} {origin}");
            let request_text = format!("Origin: {origin}\r\nAccess-Control-Request-Method: {method}\r\n");
            assert_eq!(
                requested(&relay, "OPTIONS", path, &request_text).await,
                (403, None),
                "{method} {path} {origin}"
            );
        }
        // An image or a form of a page, sent without Origin.
        for site in ["cross-site", "same-site"] {
            let refused = requested(&relay, method, path, &format!("Sec-Fetch-Site: {site}\r\n")).await;
            assert_eq!(refused, (403, None), "{method} {path} {site}");
        }
    }
    assert_eq!(
        requested(&relay, "POST", "/dev/mine", "Origin: https://evil.example\r\n").await,
        (403, None)
    );
    // Other spellings of the path do not reach the log.
    for path in ["/logs/", "//logs", "/%6cogs", "/LOGS", "/logs%2f", "/./logs"] {
        let (status, _) = requested(&relay, "GET", path, "Origin: https://evil.example\r\n").await;
        assert_eq!(status, 404, "{path}");
    }
    // Any page may read public data.
    let read = requested(
        &relay,
        "GET",
        "/config",
        "Origin: https://evil.example\r\nSec-Fetch-Site: cross-site\r\n",
    )
    .await;
    assert_eq!(read, (200, Some("*".to_owned())));
    assert_eq!(
        requested(&relay, "GET", "/config", "Sec-Fetch-Site: cross-site\r\n").await,
        (200, None)
    );
}

#[tokio::test]
async fn own_pages_and_those_of_cors_origins_can_administer() {
    let app = "https://app.example.com";
    let relay = RelayProcess::start(standalone().set("HTTP__CORS_ORIGINS", app)).await;
    let own = relay.http_url();
    for origin in [&own, app] {
        for (method, path) in [
            ("GET", "/logs"),
            ("GET", "/webhooks"),
            ("PUT", "/config"),
            ("POST", "/sync/force"),
            ("POST", "/dev/mine"),
        ] {
            let lines = format!("Origin: {origin}\r\nSec-Fetch-Site: same-origin\r\n");
            let answer = requested(&relay, method, path, &lines).await;
            assert_eq!(answer, (200, Some(origin.to_owned())), "{method} {path} {origin}");
            let request_text = format!("Origin: {origin}\r\nAccess-Control-Request-Method: {method}\r\n");
            assert_eq!(
                requested(&relay, "OPTIONS", path, &request_text).await.0,
                204,
                "{method} {path} {origin}"
            );
        }
    }
    // Entered in the address bar.
    assert_eq!(
        requested(&relay, "GET", "/logs", "Sec-Fetch-Site: none\r\n").await.0,
        200
    );
}

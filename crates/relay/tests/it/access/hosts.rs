//! `Host`: which a hostile page cannot choose.

use testkit::RelayProcess;

use crate::access::talk::{PRIVILEGED, TOKEN, UPGRADE, address, opened, request, say, standalone, status, status_of};

const CLOSE: &str = "Connection: close\r\n";
/// Requests of a visitor's browser for a page whose name resolves to the address of the relay.
const REBOUND: [&str; 6] = [
    "evil.example",
    "evil.example:8091",
    "localhost.evil.example",
    "127.0.0.1.evil.example",
    "127.1",
    "evil.localhost",
];

#[tokio::test]
async fn a_local_program_needs_no_token_and_a_rebound_page_does() {
    let relay = RelayProcess::start(standalone().set("HTTP__HOSTS", "relay.example.com")).await;
    let http = relay.http_url();
    let http = address(&http);
    for (method, path) in PRIVILEGED {
        for host in REBOUND {
            let lines = format!("Host: {host}\r\n{CLOSE}");
            assert_eq!(
                status(http, request(method, path, &lines)).await,
                401,
                "{method} {path} {host}"
            );
            // For the browser the page and the relay are one site.
            let lines = format!("{lines}Origin: http://{host}\r\nSec-Fetch-Site: same-origin\r\n");
            assert_eq!(
                status(http, request(method, path, &lines)).await,
                403,
                "{method} {path} {host}"
            );
        }
        // HTTP/1.0 may omit it, and then has no privilege.
        let old = request(method, path, CLOSE).replace("HTTP/1.1", "HTTP/1.0");
        assert_eq!(status(http, old).await, 401, "{method} {path}");
        assert_eq!(
            status(http, request(method, path, &format!("Host:\r\n{CLOSE}"))).await,
            401,
            "{method} {path}"
        );
    }
    for (method, path) in PRIVILEGED.into_iter().filter(|(_, path)| *path != "/restart") {
        for host in [
            http,
            "localhost",
            "LOCALHOST.:8091",
            "[::1]:8091",
            "192.0.2.1",
            "relay.example.com",
            "Relay.Example.com.:443",
        ] {
            let lines = format!("Host: {host}\r\n{CLOSE}");
            assert_eq!(
                status(http, request(method, path, &lines)).await,
                200,
                "{method} {path} {host}"
            );
        }
    }
}

#[tokio::test]
async fn a_rebound_page_opens_no_websocket_and_mines_no_block() {
    let relay = RelayProcess::start(standalone().set("HTTP__HOSTS", "relay.example.com")).await;
    let (ws, http) = (relay.ws_url(), relay.http_url());
    let (ws, http) = (address(&ws), address(&http));
    for host in REBOUND {
        let lines = format!("Host: {host}\r\n{UPGRADE}");
        for (port, path) in [(ws, "/"), (http, "/ws")] {
            let (status, _) = opened(port, request("GET", path, &lines)).await;
            assert_eq!(status, 403, "{host} {path}");
        }
        for path in ["/dev/mine", "/dev/pay"] {
            let lines = format!("Host: {host}\r\n{CLOSE}");
            assert_eq!(status(http, request("POST", path, &lines)).await, 403, "{host} {path}");
        }
    }
    for host in [http, "localhost:1", "[::1]", "relay.example.com"] {
        let lines = format!("Host: {host}\r\n{UPGRADE}");
        for (port, path) in [(ws, "/"), (http, "/ws")] {
            let (status, _) = opened(port, request("GET", path, &lines)).await;
            assert_eq!(status, 101, "{host} {path}");
        }
        let mine = request("POST", "/dev/mine", &format!("Host: {host}\r\n{CLOSE}"));
        assert_eq!(status(http, mine).await, 200, "{host}");
    }
    // Public reads are allowed under any name.
    let read = request("GET", "/health/live", &format!("Host: evil.example\r\n{CLOSE}"));
    assert_eq!(status(http, read).await, 200);
}

#[tokio::test]
async fn a_request_has_one_well_formed_host() {
    let relay = RelayProcess::start(standalone()).await;
    let (ws, http) = (relay.ws_url(), relay.http_url());
    let (ws, http) = (address(&ws), address(&http));
    for lines in [
        "",
        "Host: localhost\r\nHost: localhost\r\n",
        "Host: localhost\r\nhost: evil.example\r\n",
        "Host: evil@localhost\r\n",
        "Host: localhost@evil.example\r\n",
        "Host: localhost/evil\r\n",
        "Host: local host\r\n",
        "Host: localhost:80:80\r\n",
        "Host: localhost:http\r\n",
        "Host: localhost:65536\r\n",
        "Host: [::1\r\n",
        "Host: ::1\r\n",
        "Host: localhost\\evil\r\n",
    ] {
        let answer = say(http, request("GET", "/health/live", &format!("{lines}{CLOSE}"))).await;
        assert_eq!(status_of(&answer), 400, "{lines:?}: {answer}");
        assert!(answer.contains("application/problem+json"), "{lines:?}: {answer}");
        assert_eq!(
            status(http, request("GET", "/logs", &format!("{lines}{CLOSE}"))).await,
            400,
            "{lines:?}"
        );
        for (port, path) in [(ws, "/"), (http, "/ws")] {
            let (status, _) = opened(port, request("GET", path, &format!("{lines}{UPGRADE}"))).await;
            assert_eq!(status, 400, "{lines:?} {path}");
        }
    }
    // A target in absolute form names the host too.
    for (target, host, expected) in [
        ("http://evil.example/logs", "localhost", 400),
        ("http://localhost/logs", "evil.example", 400),
        ("http://evil.example/logs", "evil.example", 401),
        ("http://localhost/logs", "localhost", 200),
    ] {
        let answer = status(http, request("GET", target, &format!("Host: {host}\r\n{CLOSE}"))).await;
        assert_eq!(answer, expected, "{target} {host}");
    }
    let old = "GET /health/live HTTP/1.0\r\n\r\n".to_owned();
    assert_eq!(status(http, old).await, 200, "HTTP/1.0 knows requests without");
}

#[tokio::test]
async fn a_proxied_request_has_no_privilege() {
    let relay = RelayProcess::start(standalone()).await;
    let http = relay.http_url();
    let http = address(&http);
    for (method, path) in PRIVILEGED {
        for proxied in [
            "Forwarded: for=127.0.0.1",
            "X-Forwarded-For: 127.0.0.1",
            "x-forwarded-for:",
            "X-Forwarded-Proto: https",
            "X-FORWARDED-HOST: localhost",
            "X-Forwarded-Something: 1",
            "X-Real-IP: 127.0.0.1",
            "CF-Connecting-IP: ::1",
            "Via: 1.1 localhost",
        ] {
            let lines = format!("Host: localhost\r\n{proxied}\r\n{CLOSE}");
            let answer = say(http, request(method, path, &lines)).await;
            assert_eq!(status_of(&answer), 401, "{method} {path} {proxied}: {answer}");
        }
    }
}

#[tokio::test]
async fn the_privilege_can_be_disabled_and_a_token_restores_access() {
    let closed = standalone().set("HTTP__LOCAL_ADMIN", "false");
    let behind = standalone().set("HTTP__TRUSTED_PROXIES", "10.0.0.0/8");
    for options in [closed, behind] {
        let relay = RelayProcess::start(options.clone()).await;
        let http = relay.http_url();
        let http = address(&http);
        let local = format!("Host: localhost\r\n{CLOSE}");
        for (method, path) in PRIVILEGED {
            let answer = say(http, request(method, path, &local)).await;
            assert_eq!(status_of(&answer), 401, "{method} {path}");
        }
        let answer = say(http, request("GET", "/logs", &local)).await;
        assert!(
            answer.contains("auth.admin_token") && answer.contains("http.local_admin"),
            "{answer}"
        );

        // It holds the data directory.
        drop(relay);
        let relay = RelayProcess::start(options.set("AUTH__ADMIN_TOKEN", TOKEN)).await;
        let http = relay.http_url();
        let http = address(&http);
        for (token, expected) in [(TOKEN, 200), (&TOKEN[1..], 401)] {
            // A token is valid from any address.
            let lines =
                format!("Host: relay.example.com\r\nVia: 1.1 proxy\r\nAuthorization: Bearer {token}\r\n{CLOSE}");
            for (method, path) in PRIVILEGED.into_iter().filter(|(_, path)| *path != "/restart") {
                assert_eq!(
                    status(http, request(method, path, &lines)).await,
                    expected,
                    "{method} {path}"
                );
            }
        }
    }
}

use std::net::SocketAddr;

use proptest::prelude::*;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

use super::*;

fn parsed(text: &str) -> (String, Option<(String, String)>) {
    let Proxy { address, credentials } = text.parse().unwrap_or_else(|error| panic!("{text}: {error}"));
    let credentials = credentials.map(|(user, password)| (user.to_string(), password.to_string()));
    (address, credentials)
}

#[test]
fn addresses_of_proxies() {
    let me = |user: &str, password: &str| Some((user.to_owned(), password.to_owned()));
    for (text, address, credentials) in [
        ("socks5://127.0.0.1:9050", "127.0.0.1:9050", None),
        ("socks5h://127.0.0.1:9050/", "127.0.0.1:9050", None),
        ("SOCKS5://tor:9050", "tor:9050", None),
        ("socks5://[::1]:9050", "[::1]:9050", None),
        ("socks5://me:pw@proxy.example:1", "proxy.example:1", me("me", "pw")),
        ("socks5://a%40b:p%3aw%25@h:1", "h:1", me("a@b", "p:w%")),
    ] {
        assert_eq!(parsed(text), (address.to_owned(), credentials), "{text}");
    }
    for wrong in [
        "",
        "127.0.0.1:9050",
        "socks5:127.0.0.1:9050",
        "socks5://",
        "socks5://127.0.0.1",
        "socks5://127.0.0.1:0",
        "socks5://127.0.0.1:65536",
        "socks5://:9050",
        "socks5://::1:9050",
        "socks5://[::g]:9050",
        "socks5://a b:1",
        "socks5://h:1/path",
        "socks5://h:1?x",
        "socks5://@h:1",
        "socks5://me@h:1",
        "socks5://me:@h:1",
        "socks5://:pw@h:1",
        "socks5://me:p%4@h:1",
        "socks5://me:%ff@h:1",
        "socks5://me:a@b@h:1",
    ] {
        assert!(wrong.parse::<Proxy>().is_err(), "{wrong}");
    }
    for other in ["http://h:1", "socks4://h:1", "socks://h:1", "https://h:1"] {
        let error = other.parse::<Proxy>().unwrap_err().to_string();
        assert!(error.contains("no other proxy protocol"), "{other}: {error}");
    }
    let long = format!("socks5://{}:p@h:1", "x".repeat(256));
    assert!(long.parse::<Proxy>().is_err());
}

proptest! {
    #[test]
    fn a_proxy_that_is_written_is_read(
        host in "[a-z0-9]([a-z0-9.-]{0,20}[a-z0-9])?",
        port in 1..=u16::MAX,
        user in "\\PC{1,20}",
        password in "\\PC{1,20}",
    ) {
        let encoded = |text: &str| text.bytes().map(|b| format!("%{b:02X}")).collect::<String>();
        let text = format!("socks5://{}:{}@{host}:{port}", encoded(&user), encoded(&password));
        prop_assert_eq!(parsed(&text), (format!("{host}:{port}"), Some((user.clone(), password.clone()))));
        let shown = format!("{:?}", text.parse::<Proxy>());
        prop_assert!(user.len() < 8 || !shown.contains(&user));
    }

    #[test]
    fn any_text_is_read_or_refused(text in "(socks5h?://)?\\PC{0,40}") {
        if let Ok(proxy) = text.parse::<Proxy>() {
            prop_assert!(host_and_port(proxy.address()).is_some());
        }
    }
}

#[test]
fn user_and_password_are_not_shown() {
    let proxy: Proxy = "socks5://isolated:hunter2@127.0.0.1:9050".parse().unwrap();
    let shown = format!("{proxy:?} {}", proxy.address());
    assert!(shown.contains("127.0.0.1:9050") && !shown.contains("hunter2") && !shown.contains("isolated"));
}

fn proxy_at(address: SocketAddr) -> Proxy {
    format!("socks5://{address}").parse().unwrap()
}

#[tokio::test]
async fn the_error_says_whether_the_proxy_or_its_target_is_down() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let proxy = proxy_at(listener.local_addr().unwrap());
    let at = proxy.address().to_owned();
    let replies: [&[u8]; 5] = [
        &[5, 0, 5, 4, 0, 1, 0, 0, 0, 0, 0, 0],
        &[5, 0],
        &[5, 0xff],
        b"HTTP/1.0 400\r\n",
        &[],
    ];
    let served = async {
        for reply in replies {
            let (mut stream, _) = listener.accept().await.unwrap();
            stream.read_u8().await.unwrap();
            stream.write_all(reply).await.unwrap();
            stream.shutdown().await.unwrap();
            drop(stream.read_to_end(&mut Vec::new()).await);
        }
    };
    let asked = async {
        let mut errors = Vec::new();
        for _ in replies {
            errors.push(proxy.connect("node.example:8332").await.unwrap_err());
        }
        errors
    };
    let (errors, ()) = tokio::join!(asked, served);
    drop(listener);
    let found: Vec<_> = errors.iter().map(|e| (e.is_of_proxy(), e.to_string())).collect();
    let away = proxy.connect("node.example:8332").await.unwrap_err();
    assert!(
        away.is_of_proxy()
            && away
                .to_string()
                .starts_with(&format!("the SOCKS proxy {at} does not answer: "))
    );
    let closed = "it closed the connection without a reply";
    let target = format!("the SOCKS proxy {at} cannot connect to node.example:8332");
    let rejected = format!("the SOCKS proxy {at} cannot be used");
    assert_eq!(
        found,
        [
            (false, format!("{target}: host unreachable")),
            (false, format!("{target}: {closed}")),
            (
                true,
                format!("{rejected}: it requires a user and a password: socks5://USER:PASSWORD@HOST:PORT")
            ),
            (true, format!("{rejected}: it does not speak SOCKS 5")),
            (true, format!("the SOCKS proxy {at} does not answer: {closed}")),
        ]
    );
}

#[tokio::test(start_paused = true)]
async fn a_proxy_that_hangs_is_given_up() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let proxy = proxy_at(listener.local_addr().unwrap());
    let error = proxy.connect("node.example:1").await.unwrap_err();
    assert!(
        error.is_of_proxy() && error.to_string().ends_with("does not answer: no reply within 5 s"),
        "{error}"
    );
}

#[tokio::test]
async fn a_proxy_that_does_not_say_whether_it_connects_is_given_up() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let proxy = proxy_at(listener.local_addr().unwrap());
    let served = async {
        let (mut stream, _) = listener.accept().await.unwrap();
        stream.write_all(&[5, 0]).await.unwrap();
        stream.read_to_end(&mut Vec::new()).await.unwrap();
    };
    let limit = Duration::from_millis(50);
    let (connected, ()) = tokio::join!(proxy.connect_within("node.example:1", limit), served);
    let error = connected.unwrap_err();
    let expected = "cannot connect to node.example:1: no reply within 0.05 s";
    assert!(!error.is_of_proxy() && error.to_string().ends_with(expected), "{error}");
}

#[tokio::test]
async fn onion_services_are_not_looked_up() {
    let error = lookup("abc.onion:80").await.unwrap_err();
    assert!(error.to_string().contains("only a SOCKS proxy of Tor"), "{error}");
}

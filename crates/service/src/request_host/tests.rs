use hyper::header::HeaderName;
use sdk_relay_config::{Loader, Overrides};

use super::*;

fn request(version: Version, target: &str, hosts: &[&'static [u8]]) -> Request<()> {
    let mut request = Request::builder().version(version).uri(target).body(()).unwrap();
    for host in hosts {
        let value = HeaderValue::from_bytes(host).unwrap();
        request.headers_mut().append(HeaderName::from_static("host"), value);
    }
    request
}

fn host_of(value: &'static str) -> Result<Option<RequestHost>, HostError> {
    RequestHost::of(&request(Version::HTTP_11, "/logs", &[value.as_bytes()]))
}

fn config(dir: &tempfile::TempDir) -> Config {
    let toml = "[http]\nhosts = [\"Relay.Example.com\"]\n[mesh]\nadvertise = \"wss://Mesh.example.com:8090\"\n";
    std::fs::write(dir.path().join("sdk_relay.toml"), toml).unwrap();
    let loader = Loader::new(Overrides::default().with_data_dir(dir.path()));
    loader.load().unwrap()
}

#[test]
fn addresses_localhost_and_configured_names_are_checked_hosts() {
    let dir = tempfile::tempdir().unwrap();
    let config = config(&dir);
    let checked = |value| host_of(value).unwrap().is_some_and(|host| host.is_checked(&config));
    for host in [
        "127.0.0.1",
        "127.0.0.1:8091",
        "192.0.2.1:1",
        "[::1]",
        "[::1]:8091",
        "[::ffff:127.0.0.1]:8091",
        "localhost",
        "LocalHost:8091",
        "localhost.",
        "localhost.:8091",
        "localhost:",
        "relay.example.com",
        "RELAY.example.com.:443",
        "mesh.example.com",
    ] {
        assert!(checked(host), "{host}");
    }
    for host in [
        "",
        "evil.example",
        "evil.example:8091",
        "localhost.evil.example",
        "127.0.0.1.evil.example",
        "evil.localhost",
        "xlocalhost",
        "relay.example.com.evil.example",
        "sub.relay.example.com",
        "0x7f.0.0.1",
        "127.1",
        "2130706433",
        "localhost..",
        "localhost%00",
        "127.0.0.1,evil.example",
        "local%68ost",
    ] {
        assert!(!checked(host), "{host}");
    }
}

#[test]
fn one_well_formed_host() {
    for malformed in [
        "evil@localhost",
        "localhost@evil.example",
        "localhost:80:80",
        "localhost:8a",
        "localhost:99999",
        "local host",
        "localhost/x",
        "[::1",
        "[::1]x",
        "[::1%25eth0]",
        "[evil]",
        "::1",
        "localhost\\evil",
        ":8091",
        "http://localhost",
        "localhost?",
        "localhost#",
    ] {
        assert_eq!(host_of(malformed), Err(HostError::Malformed), "{malformed}");
    }
    let of = |version, target, hosts| RequestHost::of(&request(version, target, hosts));
    assert_eq!(of(Version::HTTP_11, "/", &[b"local\xe9"]), Err(HostError::Malformed));
    assert_eq!(of(Version::HTTP_11, "/", &[]), Err(HostError::Missing));
    assert_eq!(of(Version::HTTP_10, "/", &[]), Ok(None));
    for version in [Version::HTTP_10, Version::HTTP_11] {
        assert_eq!(of(version, "/", &[b"localhost", b"localhost"]), Err(HostError::Several));
    }
}

#[test]
fn the_request_target_counts_where_it_names_a_host() {
    let of = |target, hosts| RequestHost::of(&request(Version::HTTP_11, target, hosts));
    assert_eq!(
        of("http://evil.example/logs", &[b"localhost"]),
        Err(HostError::Different)
    );
    assert_eq!(
        of("http://localhost/logs", &[b"evil.example"]),
        Err(HostError::Different)
    );
    assert_eq!(
        of("http://a@localhost/logs", &[b"localhost"]),
        Err(HostError::Malformed)
    );
    assert_eq!(
        of("http://LOCALHOST:80/logs", &[b"localhost:80"]),
        host_of("localhost:80")
    );
    let old = request(Version::HTTP_10, "http://evil.example/logs", &[]);
    assert_eq!(RequestHost::of(&old), host_of("evil.example"));
}

#[test]
fn an_origin_is_the_host_s_own_when_scheme_name_and_port_agree() {
    let same = |host, origin, tls| host_of(host).unwrap().unwrap().is_origin(origin, tls);
    for (host, origin) in [
        ("localhost:8091", "http://localhost:8091"),
        ("relay.example.com", "http://relay.example.com"),
        ("relay.example.com", "https://relay.example.com"),
        ("relay.example.com:443", "https://relay.example.com"),
        ("[::1]:8091", "http://[::1]:8091"),
    ] {
        assert!(same(host, origin, false), "{host} {origin}");
    }
    assert!(same("localhost:8091", "https://localhost:8091", true));
    for (host, origin, tls) in [
        ("localhost:8091", "http://localhost:8091", true),
        ("localhost:8091", "http://localhost", false),
        ("localhost:8091", "http://localhost:3000", false),
        ("localhost:8091", "http://127.0.0.1:8091", false),
        ("localhost:8091", "https://evil.example", false),
        ("localhost:8091", "null", false),
        ("localhost:8091", "ftp://localhost:8091", false),
        ("localhost:8091", "localhost:8091", false),
        ("localhost:8091", "http://evil@localhost:8091", false),
        ("localhost:8091", "http://localhost:8091/", false),
    ] {
        assert!(!same(host, origin, tls), "{host} {origin}");
    }
}

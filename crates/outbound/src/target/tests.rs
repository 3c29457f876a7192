use proptest::prelude::*;

use super::*;

fn parse(url: &str) -> Result<Target, WrongTarget> {
    Target::parse(url, false)
}

#[test]
fn urls_of_push_services() {
    for (url, origin, path) in [
        (
            "https://fcm.googleapis.com/fcm/send/dA8:APA91b",
            "https://fcm.googleapis.com",
            "/fcm/send/dA8:APA91b",
        ),
        (
            "HTTPS://Updates.Push.Services.Mozilla.com/wpush/v2/gAA%3D?x=1@2",
            "https://updates.push.services.mozilla.com",
            "/wpush/v2/gAA%3D?x=1@2",
        ),
        ("https://ntfy.example:8443", "https://ntfy.example:8443", "/"),
        ("https://ntfy.example:443?up=1", "https://ntfy.example", "/?up=1"),
        ("https://xn--mnchen-3ya.example/", "https://xn--mnchen-3ya.example", "/"),
        ("https://9.9.9.9/", "https://9.9.9.9", "/"),
        ("https://[2620:FE::9]:4443/", "https://[2620:fe::9]:4443", "/"),
        ("https://1.example_a.com", "https://1.example_a.com", "/"),
    ] {
        let target = parse(url).unwrap_or_else(|wrong| panic!("{url}: {wrong}"));
        assert_eq!((target.origin().as_str(), target.path().as_str()), (origin, path));
        assert!(target.is_tls());
    }
    let plain = Target::parse("http://ntfy.example/up", true).unwrap();
    assert_eq!((plain.origin().as_str(), plain.port()), ("http://ntfy.example", 80));
    assert!(Target::parse("http://ntfy.example:80/", true).is_ok());
}

#[test]
fn each_wrong_url_has_its_reason() {
    let long = format!("https://a.example/{}", "x".repeat(MAX_URL));
    let name = format!("https://{}.example/", "a.".repeat(130));
    for (url, expected) in [
        (long.as_str(), WrongTarget::Long),
        ("https://ｅxample.com/", WrongTarget::Characters),
        ("https://127。0。0。1/", WrongTarget::Characters),
        ("https://a.example\\@127.0.0.1/", WrongTarget::Characters),
        ("https://a.example/ x", WrongTarget::Characters),
        ("https://a.exa\tmple/", WrongTarget::Characters),
        (" https://a.example/", WrongTarget::Characters),
        ("https://a.example/\r\nHost: b", WrongTarget::Characters),
        ("https://a.example/#x", WrongTarget::Fragment),
        ("https://a.example#@127.0.0.1/", WrongTarget::Fragment),
        ("http://a.example/", WrongTarget::Scheme),
        ("ftp://a.example/", WrongTarget::Scheme),
        ("file:///etc/passwd", WrongTarget::Scheme),
        ("gopher://a.example/", WrongTarget::Scheme),
        ("https:/a.example/", WrongTarget::Scheme),
        ("https:a.example", WrongTarget::Scheme),
        ("//a.example/", WrongTarget::Scheme),
        ("a.example", WrongTarget::Scheme),
        ("", WrongTarget::Scheme),
        ("https://user@a.example/", WrongTarget::User),
        ("https://user:password@a.example/", WrongTarget::User),
        ("https://@a.example/", WrongTarget::User),
        ("https://a.example:443@127.0.0.1/", WrongTarget::User),
        ("https:///path", WrongTarget::Host),
        ("https:////a.example/", WrongTarget::Host),
        ("https://:443/", WrongTarget::Host),
        ("https://localhost/", WrongTarget::Host),
        ("https://a.example./", WrongTarget::Host),
        ("https://127.0.0.1./", WrongTarget::Host),
        ("https://a..example/", WrongTarget::Host),
        ("https://.example/", WrongTarget::Host),
        ("https://-a.example/", WrongTarget::Host),
        ("https://a%2eexample/", WrongTarget::Host),
        ("https://127%2e0.0.1/", WrongTarget::Host),
        ("https://a.example*/", WrongTarget::Host),
        (name.as_str(), WrongTarget::Host),
        ("https://2130706433/", WrongTarget::Host),
        ("https://0x7f000001/", WrongTarget::Host),
        ("https://0x7f.0x0.0x0.0x1/", WrongTarget::Host),
        ("https://0x7f.1/", WrongTarget::Host),
        ("https://127.1/", WrongTarget::Host),
        ("https://127.0.1/", WrongTarget::Host),
        ("https://0177.0.0.1/", WrongTarget::Host),
        ("https://127.0.0.01/", WrongTarget::Host),
        ("https://127.0.0.0x1/", WrongTarget::Host),
        ("https://127.0.0.256/", WrongTarget::Host),
        ("https://1.2.3.4.5/", WrongTarget::Host),
        ("https://a.example.0x/", WrongTarget::Host),
        ("https://[::1/", WrongTarget::Host),
        ("https://::1/", WrongTarget::Host),
        ("https://[fe80::1%25eth0]/", WrongTarget::Host),
        ("https://[fe80::1%eth0]/", WrongTarget::Host),
        ("https://[v1.x]/", WrongTarget::Host),
        ("https://[127.0.0.1]/", WrongTarget::Host),
        ("https://[::1]x/", WrongTarget::Host),
        ("https://x[::1]/", WrongTarget::Host),
        ("https://expyuzz4wqqyqhjn.onion/", WrongTarget::Onion),
        ("https://a.example:0/", WrongTarget::Port),
        ("https://a.example:/", WrongTarget::Port),
        ("https://a.example:22/", WrongTarget::Port),
        ("https://a.example:25/", WrongTarget::Port),
        ("https://a.example:80/", WrongTarget::Port),
        ("https://a.example:65536/", WrongTarget::Port),
        ("https://a.example:+443/", WrongTarget::Port),
        ("https://a.example:443:443/", WrongTarget::Port),
        ("https://a.example:0x1bb/", WrongTarget::Port),
        ("https://a.example/<x>", WrongTarget::Path),
    ] {
        let found = parse(url);
        assert_eq!(found, Err(expected), "{url}");
        assert!(!expected.to_string().contains("a.example"));
    }
}

#[test]
fn the_path_of_an_endpoint_is_not_shown() {
    let target = parse("https://push.example/secret?token=secret").unwrap();
    assert_eq!(format!("{target:?}"), "Target(https://push.example/…)");
}

/// What `inet_aton`, and with it most resolvers, reads as an IPv4 address: one to four numbers, each decimal, octal or
/// hexadecimal.
fn reads_as_number(text: &str) -> bool {
    let is_one = |part: &str| {
        let lower = part.to_ascii_lowercase();
        let (digits, radix) = match lower.strip_prefix("0x") {
            Some(rest) => (rest, 16),
            None => (lower.as_str(), 10),
        };
        digits.chars().all(|c| c.is_digit(radix)) && (radix == 16 || !digits.is_empty())
    };
    let text = text.strip_suffix('.').unwrap_or(text);
    text.split('.').count() <= 4 && text.split('.').all(is_one)
}

proptest! {
    /// No host is taken for a name that a resolver would read as a number, and no address has two forms.
    #[test]
    fn no_name_is_a_number(host in "[0-9a-fxX.]{1,20}") {
        match parse(&format!("https://{host}/")).map(|target| target.host) {
            Ok(Host::Name(name)) => prop_assert!(!reads_as_number(&name), "{}", name),
            Ok(Host::Address(ip)) => prop_assert_eq!(ip.to_string(), host),
            Err(_) => {}
        }
    }

    #[test]
    fn any_text_is_parsed_or_refused_and_what_is_parsed_is_parsed_again(url in "(https://)?[ -~]{0,40}|\\PC{0,30}") {
        if let Ok(target) = parse(&url) {
            prop_assert!(url.is_ascii() && !url.contains(['#', '\\']), "{}", url);
            let again = parse(&format!("{}{}", target.origin(), target.path()));
            prop_assert_eq!(again, Ok(target));
        }
    }
}

use super::*;

const PROXY: &str = "10.0.0.2:4000";

fn proxies(header: ForwardingHeader) -> TrustedProxies {
    let networks = ["10.0.0.0/8", "127.0.0.1", "2001:db8:f::/48"].map(|text| text.parse().unwrap());
    TrustedProxies::new(networks.to_vec(), header)
}

fn headers(lines: &[(&'static str, &str)]) -> HeaderMap {
    let mut headers = HeaderMap::new();
    for (name, value) in lines {
        headers.append(*name, value.parse().unwrap());
    }
    headers
}

fn client_from(peer: &str, lines: &[(&'static str, &str)]) -> String {
    let client = ClientAddress::of(&proxies(ForwardingHeader::Auto), peer.parse().unwrap(), &headers(lines));
    client.ip().to_string()
}

#[test]
fn only_the_header_of_a_trusted_proxy_is_used() {
    let named = &[("x-forwarded-for", "203.0.113.7")];
    assert_eq!(client_from(PROXY, named), "203.0.113.7");
    assert_eq!(client_from("[::ffff:10.0.0.2]:4000", named), "203.0.113.7", "mapped");
    assert_eq!(client_from("192.0.2.1:4000", named), "192.0.2.1");
    let untrusted = TrustedProxies::default();
    let client = ClientAddress::of(&untrusted, "127.0.0.1:4000".parse().unwrap(), &headers(named));
    assert_eq!(
        (client.to_string().as_str(), client.ip().is_loopback()),
        ("127.0.0.1:4000", true)
    );
}

#[test]
fn the_rightmost_untrusted_address_is_the_client() {
    for (lines, client) in [
        // The forged addresses of the client are to the left of the one that the proxy appended.
        (&["127.0.0.1, 203.0.113.7"][..], "203.0.113.7"),
        (&["198.51.100.1, 203.0.113.7, 10.1.1.1"], "203.0.113.7"),
        (&["198.51.100.1", "203.0.113.7"], "203.0.113.7"),
        (&["203.0.113.7:65535"], "203.0.113.7"),
        (&["[2001:db8::7]:443"], "2001:db8::7"),
        (&["2001:db8::7 "], "2001:db8::7"),
        (&["::ffff:203.0.113.7"], "203.0.113.7"),
        (&["198.51.100.1, 2001:db8:f::1"], "198.51.100.1"),
        // Everything left of an unparsable element is ignored: the last known proxy is the client.
        (&["203.0.113.7, garbage"], "10.0.0.2"),
        (&["203.0.113.7, "], "10.0.0.2"),
        (&["203.0.113.7, unknown, 10.9.9.9"], "10.9.9.9"),
        (&["203.0.113.7, 0x7f.1"], "10.0.0.2"),
        (&["10.7.7.7, 10.8.8.8"], "10.7.7.7"),
        (&[], "10.0.0.2"),
    ] {
        let lines: Vec<_> = lines.iter().map(|line| ("x-forwarded-for", *line)).collect();
        assert_eq!(client_from(PROXY, &lines), client, "{lines:?}");
    }
    let long = vec!["10.1.1.1"; 5000].join(",");
    assert_eq!(client_from(PROXY, &[("x-forwarded-for", &long)]), "10.1.1.1");
    let mut binary = HeaderMap::new();
    binary.append("x-forwarded-for", "203.0.113.7".parse().unwrap());
    binary.append(
        "x-forwarded-for",
        hyper::header::HeaderValue::from_bytes(b"\xff").unwrap(),
    );
    let client = ClientAddress::of(&proxies(ForwardingHeader::Auto), PROXY.parse().unwrap(), &binary);
    assert_eq!(client.ip().to_string(), "10.0.0.2");
}

#[test]
fn the_standardised_header() {
    for (line, client) in [
        ("for=203.0.113.7", "203.0.113.7"),
        ("For=\"[2001:db8::7]:4711\";proto=https;by=10.0.0.2", "2001:db8::7"),
        (
            "for=198.51.100.1, for=203.0.113.7;host=\"a,b;for=1.1.1.1\"",
            "203.0.113.7",
        ),
        ("proto=http; for=\"203.0.113.7:80\"", "203.0.113.7"),
        ("for=203.0.113.7, for=_hidden", "10.0.0.2"),
        ("for=203.0.113.7, for=unknown", "10.0.0.2"),
        ("for=203.0.113.7;for=198.51.100.1", "10.0.0.2"),
        ("for=\"203.0.113.7", "10.0.0.2"),
        ("proto=https", "10.0.0.2"),
    ] {
        assert_eq!(client_from(PROXY, &[("forwarded", line)]), client, "{line}");
    }
}

#[test]
fn a_header_that_the_proxy_does_not_write_is_the_client_s_own() {
    let both = headers(&[("forwarded", "for=198.51.100.1"), ("x-forwarded-for", "203.0.113.7")]);
    let only_forwarded = headers(&[("forwarded", "for=198.51.100.1")]);
    let ip = |header, headers: &HeaderMap| {
        ClientAddress::of(&proxies(header), PROXY.parse().unwrap(), headers)
            .ip()
            .to_string()
    };
    assert_eq!(ip(ForwardingHeader::Auto, &both), "203.0.113.7");
    assert_eq!(ip(ForwardingHeader::XForwardedFor, &both), "203.0.113.7");
    assert_eq!(ip(ForwardingHeader::Forwarded, &both), "198.51.100.1");
    assert_eq!(ip(ForwardingHeader::XForwardedFor, &only_forwarded), "10.0.0.2");
}

#[test]
fn a_log_line_shows_the_client() {
    let proxies = proxies(ForwardingHeader::Auto);
    let client = ClientAddress::of(
        &proxies,
        PROXY.parse().unwrap(),
        &headers(&[("x-forwarded-for", "203.0.113.7")]),
    );
    assert_eq!(
        (client.to_string().as_str(), client.peer()),
        ("203.0.113.7", PROXY.parse().unwrap())
    );
    assert_eq!(ClientAddress::direct(PROXY.parse().unwrap()).to_string(), PROXY);
}

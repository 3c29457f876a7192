//! URLs that lead to private addresses, in the forms that programs have been fooled with.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// Addresses that must not be called.
const V4: [&str; 24] = [
    "127.0.0.1",
    "127.0.0.2",
    "127.127.127.127",
    "127.255.255.254",
    "0.0.0.0",
    "0.1.2.3",
    "10.0.0.1",
    "10.255.255.255",
    "100.64.0.1",
    "100.100.100.200",
    "169.254.0.1",
    "169.254.169.254",
    "168.63.129.16",
    "172.16.0.1",
    "172.31.255.255",
    "192.0.0.192",
    "192.0.2.1",
    "192.88.99.1",
    "192.168.0.1",
    "192.168.255.255",
    "198.18.0.1",
    "224.0.0.251",
    "240.0.0.1",
    "255.255.255.255",
];
const V6: [&str; 20] = [
    "::",
    "::1",
    "::7f00:1",
    "::ffff:7f00:1",
    "::ffff:a00:1",
    "::ffff:a9fe:a9fe",
    "::ffff:0:7f00:1",
    "64:ff9b::7f00:1",
    "64:ff9b:1::7f00:1",
    "100::1",
    "2001::1",
    "2001:0:7f00:1::80ff:fffe",
    "2001:db8::1",
    "2002:7f00:1::1",
    "2002:a00:1::1",
    "3fff::1",
    "fc00::1",
    "fd00:ec2::254",
    "fe80::1",
    "ff02::1",
];

/// A host of a URL, and what a resolver of the attacker says if it is a name.
pub(crate) struct Hostile {
    pub(crate) host: String,
    pub(crate) leads_to: Vec<Vec<IpAddr>>,
}

/// All hosts. `public`: an address that may be called, for answers that have both kinds.
pub(crate) fn hosts(public: IpAddr) -> Vec<Hostile> {
    let v4 = V4.iter().map(|text| text.parse::<Ipv4Addr>().unwrap());
    let v6 = V6.iter().map(|text| text.parse::<Ipv6Addr>().unwrap());
    let literal = |host| Hostile {
        host,
        leads_to: Vec::new(),
    };
    let mut hosts: Vec<_> = v4.clone().flat_map(forms_of_v4).map(literal).collect();
    hosts.extend(v6.clone().flat_map(forms_of_v6).map(literal));
    for (n, ip) in v4.map(IpAddr::from).chain(v6.map(IpAddr::from)).enumerate() {
        let answers = [
            ("plain", vec![vec![ip]]),
            ("mixed", vec![vec![public, ip]]),
            ("mixed-first", vec![vec![ip, public]]),
            // Public at the first resolution, private at the next.
            ("rebinding", vec![vec![public], vec![ip]]),
            ("rebinding-late", vec![vec![public], vec![public], vec![ip], vec![ip]]),
            ("many", vec![[vec![public; 40], vec![ip]].concat()]),
        ];
        for (kind, leads_to) in answers {
            let host = format!("{kind}-{n}.attacker.example");
            hosts.push(Hostile { host, leads_to });
        }
    }
    hosts
}

/// URLs with this host, some of which hide it behind a public one.
pub(crate) fn urls(host: &str, port: u16) -> Vec<String> {
    let mut urls = Vec::new();
    for scheme in ["http", "https"] {
        for url in [
            format!("{host}:{port}/"),
            format!("{host}/latest/meta-data?x=1"),
            format!("{host}:22/"),
            format!("{host}:+{port}/"),
            format!("user:password@{host}:{port}/"),
            format!("public.example@{host}:{port}/"),
            format!("public.example\\@{host}:{port}/"),
            format!("public.example#@{host}:{port}/"),
            format!("public.example:443\t@{host}:{port}/"),
            format!("{host}:{port}\\.public.example/"),
            format!("public.example/?url=http://{host}:{port}/"),
            format!("/{host}:{port}/"),
        ] {
            urls.push(format!("{scheme}://{url}"));
        }
    }
    urls
}

fn forms_of_v4(ip: Ipv4Addr) -> Vec<String> {
    let bits = ip.to_bits();
    let [a, b, c, d] = ip.octets();
    let (high, low) = (bits >> 16, bits & 0xffff);
    let dotted = ip.to_string();
    let wide = |text: &str, zero: u32| -> String {
        let digit = |c: char| c.to_digit(10).and_then(|n| char::from_u32(zero + n));
        text.chars().map(|c| digit(c).unwrap_or(c)).collect()
    };
    let encoded: String = dotted.bytes().map(|b| format!("%{b:02x}")).collect();
    vec![
        dotted.clone(),
        format!("{dotted}."),
        format!("{dotted}.."),
        format!(".{dotted}"),
        bits.to_string(),
        format!("{}", u64::from(bits) + (1 << 32)),
        format!("0x{bits:x}"),
        format!("0X{bits:08X}"),
        format!("0x0000000000{bits:x}"),
        format!("0{bits:o}"),
        format!("000000{bits:o}"),
        format!("{a}.{}", bits & 0x00ff_ffff),
        format!("{a}.{b}.{low}"),
        format!("0x{a:x}.0x{b:x}.0x{c:x}.0x{d:x}"),
        format!("0x{a:x}.{b}.0{c:o}.{d}"),
        format!("0{a:o}.0{b:o}.0{c:o}.0{d:o}"),
        format!("{a:03}.{b:03}.{c:03}.{d:03}"),
        format!("{a:010}.{b}.{c}.{d}"),
        format!("{}.{b}.{c}.{d}", u32::from(a) + 256),
        format!("{a}.{b}.{c}.{d}.0"),
        format!("{a}.{b}.{c}.0x{d:x}"),
        encoded,
        dotted.replace('.', "%2e"),
        dotted.replace('.', "%252e"),
        dotted.replace('.', "。"),
        dotted.replace('.', "．"),
        dotted.replace('.', "｡"),
        wide(&dotted, 0xff10),
        wide(&dotted, 0x1d7ce),
        wide(&dotted, 0x0660),
        format!("{a}.{b}.{c}.{}", wide(&d.to_string(), 0x2080)),
        format!("{dotted}%00.public.example"),
        format!("{dotted}\u{ad}"),
        format!("[{dotted}]"),
        format!("[::ffff:{dotted}]"),
        format!("[::FFFF:{high:x}:{low:x}]"),
        format!("[0:0:0:0:0:ffff:{high:x}:{low:x}]"),
        format!("[::{dotted}]"),
        format!("[::ffff:0:{dotted}]"),
        format!("[64:ff9b::{dotted}]"),
        format!("[64:ff9b:1::{high:x}:{low:x}]"),
        format!("[2002:{high:x}:{low:x}::1]"),
        format!("[2001:0:{high:x}:{low:x}::]"),
        format!("[::ffff:{dotted}%25lo]"),
    ]
}

fn forms_of_v6(ip: Ipv6Addr) -> Vec<String> {
    let full: Vec<_> = ip.segments().iter().map(|s| format!("{s:04x}")).collect();
    let full = full.join(":");
    vec![
        format!("[{ip}]"),
        format!("[{full}]"),
        format!("[{}]", full.to_uppercase()),
        format!("[{ip}%25eth0]"),
        format!("[{ip}%eth0]"),
        format!("[{ip}%251]"),
        format!("[{ip}%1]"),
        format!("[{ip}]."),
        format!("[{ip}].public.example"),
        format!("[[{ip}]]"),
        format!("[{full}:0]"),
        format!("%5B{ip}%5D"),
        ip.to_string(),
    ]
}

//! Names of onion services of Tor (version 3).

/// Characters of the label before `.onion`: a public key, a checksum and the version, in base32.
const LABEL: usize = 56;

/// Whether a host name is below `.onion`, valid or not. Such a name has no address, and a look-up would tell the name
/// server which service is used (RFC 7686).
pub fn is_onion(host: &str) -> bool {
    let host = host.strip_suffix('.').unwrap_or(host);
    host.rsplit_once('.')
        .is_some_and(|(_, last)| last.eq_ignore_ascii_case("onion"))
}

/// Whether a host name is that of an onion service of version 3, which may have labels before it. Those of version 2,
/// with 16 characters, no longer exist.
pub fn is_onion_v3(host: &str) -> bool {
    let host = host.strip_suffix('.').unwrap_or(host);
    if !is_onion(host) {
        return false;
    }
    let label = host.rsplit('.').nth(1).unwrap_or_default();
    let fits = |b: u8| b.is_ascii_alphabetic() || (b'2'..=b'7').contains(&b);
    // The last character has the version: 3.
    label.len() == LABEL && label.bytes().all(fits) && label.ends_with(['d', 'D'])
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The onion service of the Tor Project.
    const V3: &str = "2gzyxa5ihm7nsggfxnu52rck2vv4rvmdlkiu3zzui5du4xyclen53wid";

    #[test]
    fn names_of_onion_services() {
        for valid in [
            format!("{V3}.onion"),
            format!("{V3}.onion."),
            format!("relay.{V3}.onion"),
            format!("{}.ONION", V3.to_uppercase()),
        ] {
            assert!(is_onion(&valid) && is_onion_v3(&valid), "{valid}");
        }
        for invalid in [
            "expyuzz4wqqyqhjn.onion".to_owned(),
            format!("{}.onion", &V3[1..]),
            format!("{}1.onion", &V3[1..]),
            format!("{}e.onion", &V3[..55]),
            "a..onion".to_owned(),
        ] {
            assert!(is_onion(&invalid) && !is_onion_v3(&invalid), "{invalid}");
        }
        for other in ["onion", "onion.example", "127.0.0.1", "", ".", "relay.onions"] {
            assert!(!is_onion(other) && !is_onion_v3(other), "{other}");
        }
    }
}

use super::self_signed::is_private;
use super::*;

fn pair(dir: &Path, name: &str) -> (PathBuf, PathBuf) {
    let made = rcgen::generate_simple_self_signed(vec!["localhost".to_owned()]).unwrap();
    let (cert, key) = (dir.join(format!("{name}.crt")), dir.join(format!("{name}.key")));
    std::fs::write(&cert, made.cert.pem()).unwrap();
    std::fs::write(&key, made.signing_key.serialize_pem()).unwrap();
    (cert, key)
}

fn refused(cert: &Path, key: &Path) -> String {
    files::load(cert, key, &ring::default_provider())
        .unwrap_err()
        .to_string()
}

#[test]
fn a_pair_is_loaded_and_a_wrong_file_is_reported() {
    let dir = tempfile::tempdir().unwrap();
    let (cert, key) = pair(dir.path(), "a");
    let (other_cert, other_key) = pair(dir.path(), "b");
    files::load(&cert, &key, &ring::default_provider()).unwrap();

    let mismatch = refused(&cert, &other_key);
    assert!(
        mismatch.contains("b.key") && mismatch.contains("a.crt") && mismatch.contains("does not match"),
        "{mismatch}"
    );
    let missing = refused(&dir.path().join("none.crt"), &key);
    assert!(
        missing.contains("tls.cert") && missing.contains("none.crt") && missing.contains("expected"),
        "{missing}"
    );
    let missing = refused(&cert, &dir.path().join("none.key"));
    assert!(missing.contains("tls.key") && missing.contains("none.key"), "{missing}");
    // The files swapped.
    assert!(refused(&key, &cert).contains("contains no certificate"));
    assert!(refused(&cert, &other_cert).contains("contains no private key"));
}

#[test]
fn no_error_quotes_a_file() {
    let dir = tempfile::tempdir().unwrap();
    let (cert, _) = pair(dir.path(), "a");
    let key = dir.path().join("odd.key");
    for text in [
        "-----BEGIN PRIVATE KEY-----\nSECRETSECRET\n",
        "-----BEGIN PRIVATE KEY SECRET\n",
        "-----BEGIN PRIVATE KEY-----\n!SECRET!\n-----END PRIVATE KEY-----\n",
        "-----BEGIN PRIVATE KEY-----\nU0VDUkVU\n-----END PRIVATE KEY-----\n",
        "SECRET",
    ] {
        std::fs::write(&key, text).unwrap();
        let message = refused(&cert, &key);
        assert!(message.contains("odd.key") && !message.contains("SECRET"), "{message}");
    }
}

#[test]
fn the_development_certificate_is_kept_while_it_covers_all_addresses() {
    let dir = tempfile::tempdir().unwrap();
    let ensure = |listen: &[&str]| {
        let listen: Vec<IpAddr> = listen.iter().map(|a| a.parse().unwrap()).collect();
        let (cert, key) = self_signed::ensure(dir.path(), &listen).unwrap();
        assert!(is_private(&key).unwrap());
        fingerprint(&files::load(&cert, &key, &ring::default_provider()).unwrap())
    };
    let first = ensure(&["0.0.0.0", "127.0.0.1"]);
    assert_eq!(first.len(), 32 * 3 - 1, "{first}");
    assert_eq!(ensure(&["127.0.0.1", "::1"]), first);
    let second = ensure(&["192.0.2.7"]);
    assert_ne!(second, first);
    assert_eq!(ensure(&["127.0.0.1"]), second);
    // A kill between the two files, or a lost one.
    std::fs::remove_file(dir.path().join("tls-self-signed.key")).unwrap();
    assert_ne!(ensure(&["127.0.0.1"]), second);
}

#[cfg(unix)]
#[test]
fn a_key_that_others_may_read_is_refused() {
    use std::os::unix::fs::PermissionsExt;
    let dir = tempfile::tempdir().unwrap();
    let (_, key) = self_signed::ensure(dir.path(), &[]).unwrap();
    std::fs::set_permissions(&key, std::fs::Permissions::from_mode(0o644)).unwrap();
    let message = self_signed::ensure(dir.path(), &[]).unwrap_err().to_string();
    assert!(
        message.contains("tls-self-signed.key") && message.contains("delete"),
        "{message}"
    );
}

/// As editors and tools of Windows write it: a byte order mark, and CRLF.
#[test]
fn files_with_a_byte_order_mark_are_loaded() {
    let dir = tempfile::tempdir().unwrap();
    let (cert, key) = pair(dir.path(), "own");
    for path in [&cert, &key] {
        let text = std::fs::read_to_string(path).unwrap().replace('\n', "\r\n");
        std::fs::write(path, format!("\u{feff}{text}")).unwrap();
    }
    files::load(&cert, &key, &ring::default_provider()).unwrap();
}

#[test]
fn a_file_of_something_else_is_named_for_what_it_is() {
    let dir = tempfile::tempdir().unwrap();
    let (cert, key) = pair(dir.path(), "own");
    let swapped = refused(&key, &cert);
    assert!(
        swapped.contains("tls.cert = ") && swapped.contains("it contains no certificate: it contains a private key"),
        "{swapped}"
    );
    let other = dir.path().join("other.pem");
    for (label, found) in [
        ("ENCRYPTED PRIVATE KEY", "its private key has a password"),
        ("PUBLIC KEY", "it contains a public key"),
        ("CERTIFICATE", "it contains a certificate"),
        ("CERTIFICATE REQUEST", "it contains a certificate request"),
        ("OPENSSH PRIVATE KEY", "it contains a key of OpenSSH"),
        ("PGP MESSAGE", "it is a PEM file of something else"),
    ] {
        std::fs::write(
            &other,
            format!("-----BEGIN {label}-----\nU0VDUkVU\n-----END {label}-----\n"),
        )
        .unwrap();
        let error = refused(&cert, &other);
        assert!(
            error.contains("tls.key = ") && error.contains(found),
            "{label}: {error}"
        );
        assert!(!error.contains("U0VDUkVU"), "{error}");
    }
    std::fs::write(&other, "5ec2e75ec2e7").unwrap();
    let error = refused(&cert, &other);
    assert!(
        error.contains("it is not a PEM file") && !error.contains("5ec2e7"),
        "{error}"
    );
}

//! The keys of the wallet, and the token: from files, typed in, or from a pipe. Other users can read the arguments of
//! a process.

use std::io::{BufRead, IsTerminal, Read};
use std::path::Path;
use std::str::FromStr;

use anyhow::{Context, bail};
use bitcoin::secp256k1::{PublicKey, SecretKey};
use sdk_relay_files::read_text;
use zeroize::Zeroizing;

/// Maximum size of a file: two keys and some whitespace, or a token.
const MAX_FILE: u64 = 4096;
/// Hex digits of a private key (32 bytes).
const PRIVATE: usize = 64;
/// Hex digits of a compressed public key (33 bytes).
const PUBLIC: usize = 66;

/// The two keys, in hex, and where they come from.
pub(crate) struct Keys {
    text: Zeroizing<String>,
    /// For errors: "the key file /x/keys".
    pub(crate) origin: String,
}

impl Keys {
    /// From the file, or else from the terminal or the pipe.
    pub(crate) fn read(file: Option<&Path>) -> anyhow::Result<Self> {
        let (text, origin) = match file {
            Some(file) => (from_file("key", file)?, format!("the key file {}", file.display())),
            None => (typed()?, "the input".to_owned()),
        };
        Ok(Self { text, origin })
    }

    /// The scan private key and the spend public key. Errors never contain a part of the input.
    pub(crate) fn parse(&self) -> anyhow::Result<(&str, &str)> {
        let wrong = |found: &str| {
            anyhow::anyhow!(
                "{} is wrong: {found}; expected two keys in hex, the scan private key (64 digits) and then the spend public key (66 digits)",
                self.origin
            )
        };
        if self.text.contains("-----BEGIN ") {
            return Err(wrong("it is a PEM file"));
        }
        if self.text.contains("_private_key") {
            return Err(wrong(
                "it has the form of a wallet.key of a relay, whose second key is private",
            ));
        }
        let words: Vec<&str> = self.text.split_whitespace().collect();
        let &[scan, spend] = words.as_slice() else {
            return Err(wrong(&match words.len() {
                0 => "it is empty".to_owned(),
                1 => "it has one word".to_owned(),
                count => format!("it has {count} words"),
            }));
        };
        let is_hex = |word: &str| word.bytes().all(|byte| byte.is_ascii_hexdigit());
        match (scan.len(), spend.len()) {
            _ if !is_hex(scan) => Err(wrong("its first word is not hex")),
            _ if !is_hex(spend) => Err(wrong("its second word is not hex")),
            (PRIVATE, PUBLIC) if SecretKey::from_str(scan).is_err() => {
                Err(wrong("its first key is a number that is no private key"))
            }
            (PRIVATE, PUBLIC) if PublicKey::from_str(spend).is_err() => {
                Err(wrong("its second key is a number that is no public key"))
            }
            (PRIVATE, PUBLIC) => Ok((scan, spend)),
            (PUBLIC, PRIVATE) => Err(wrong("the two keys are swapped")),
            (PUBLIC, _) => Err(wrong("its first key is a public key where a private key is needed")),
            (_, PRIVATE) => Err(wrong("its second key is a private key where a public key is needed")),
            (PRIVATE, digits) => Err(wrong(&format!("its second key has {digits} digits"))),
            (digits, _) => Err(wrong(&format!("its first key has {digits} digits"))),
        }
    }
}

/// Reads a file with an access token: one word.
pub fn token_from_file(path: &Path) -> anyhow::Result<Zeroizing<String>> {
    let text = from_file("token", path)?;
    let token = text.trim();
    let found = if token.is_empty() {
        "it is empty"
    } else if token.contains("-----BEGIN ") {
        "it is a PEM file"
    } else if token.contains(char::is_whitespace) {
        "it has more than one word"
    } else {
        return Ok(Zeroizing::new(token.to_owned()));
    };
    bail!(
        "the token file {} is wrong: {found}; expected one word, the auth.read_token of the relay",
        path.display()
    );
}

fn from_file(kind: &str, path: &Path) -> anyhow::Result<Zeroizing<String>> {
    let text = read_text(path, MAX_FILE);
    text.map(Zeroizing::new).map_err(|error| {
        let reason = sdk_relay_files::reason(&error);
        anyhow::anyhow!("cannot read the {kind} file {}: {reason}", path.display())
    })
}

/// Turns off echo before the prompt, because a key may be pasted before the prompt is read.
#[cfg(unix)]
struct Unseen(rustix::termios::Termios);

#[cfg(unix)]
impl Unseen {
    fn now() -> Option<Self> {
        use rustix::termios::{LocalModes, OptionalActions, tcgetattr, tcsetattr};
        let before = tcgetattr(std::io::stdin()).ok()?;
        let mut unseen = before.clone();
        unseen.local_modes.remove(LocalModes::ECHO);
        tcsetattr(std::io::stdin(), OptionalActions::Now, &unseen).ok()?;
        Some(Self(before))
    }
}

#[cfg(unix)]
impl Drop for Unseen {
    fn drop(&mut self) {
        #[expect(clippy::let_underscore_must_use, reason = "it fails only when the terminal is gone")]
        let _ = rustix::termios::tcsetattr(std::io::stdin(), rustix::termios::OptionalActions::Now, &self.0);
    }
}

/// Prompts without echo; reads two lines from a pipe.
fn typed() -> anyhow::Result<Zeroizing<String>> {
    let mut text = Zeroizing::new(String::with_capacity(usize::try_from(MAX_FILE)?));
    if std::io::stdin().is_terminal() {
        #[cfg(unix)]
        let _unseen = Unseen::now();
        let scan = Zeroizing::new(
            rpassword::prompt_password("Scan private key (not shown): ").context("cannot read the key")?,
        );
        let spend = rpassword::prompt_password("Spend public key: ").context("cannot read the key")?;
        text.push_str(&scan);
        text.push(' ');
        text.push_str(&spend);
    } else {
        let mut stdin = std::io::stdin().lock().take(MAX_FILE);
        while text.split_whitespace().count() < 2 && stdin.read_line(&mut text).context("cannot read the key")? > 0 {}
    }
    Ok(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECRET: &str = "5ec2e75ec2e75ec2e75ec2e75ec2e75ec2e75ec2e75ec2e75ec2e75ec2e75ec2";
    const SPEND: &str = "02c6047f9441ed7d6d3045406e95c07cd85c778e4b8cef3ca7abac09b95c709ee5";

    #[test]
    fn a_wrong_file_is_named_with_what_it_is_and_without_its_content() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("keys");
        let public_first = format!("{SPEND} {SECRET}");
        let both_public = format!("{SPEND} {SPEND}");
        let both_private = format!("{SECRET} {SECRET}");
        let wallet = format!("scan_private_key = \"{SECRET}\"\nspend_private_key = \"{SECRET}\"\n");
        for (content, found) in [
            ("", "it is empty"),
            (SECRET, "it has one word"),
            (&format!("{SECRET} {SPEND} {SECRET}"), "it has 3 words"),
            (&public_first, "the two keys are swapped"),
            (
                &both_public,
                "its first key is a public key where a private key is needed",
            ),
            (
                &both_private,
                "its second key is a private key where a public key is needed",
            ),
            (&format!("{} {SPEND}", &SECRET[2..]), "its first key has 62 digits"),
            (&format!("{SECRET} {SPEND}00"), "its second key has 68 digits"),
            (&format!("x{SECRET} {SPEND}"), "its first word is not hex"),
            (
                &format!("{} {SPEND}", "f".repeat(64)),
                "its first key is a number that is no private key",
            ),
            (
                &format!("{SECRET} 05{}", &SPEND[2..]),
                "its second key is a number that is no public key",
            ),
            (&wallet, "it has the form of a wallet.key"),
            ("-----BEGIN PRIVATE KEY-----\n5ec2e75ec2e75ec2\n", "it is a PEM file"),
        ] {
            std::fs::write(&path, content).unwrap();
            let keys = Keys::read(Some(&path)).unwrap();
            let error = keys.parse().unwrap_err().to_string();
            let start = format!("the key file {} is wrong: {found}", path.display());
            assert!(error.starts_with(&start) && error.contains("; expected "), "{error}");
            assert!(!error.contains("5ec2e7") && !error.contains("c6047f"), "{error}");
        }
        // As an editor of Windows writes it.
        std::fs::write(&path, format!("\u{feff}{SECRET}\r\n{SPEND}\r\n")).unwrap();
        assert_eq!(Keys::read(Some(&path)).unwrap().parse().unwrap(), (SECRET, SPEND));
    }

    #[test]
    fn a_wrong_token_file_is_named() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("token");
        for (content, found) in [
            (" \n", "is wrong: it is empty"),
            ("a 5ec2e7", "is wrong: it has more than one word"),
            ("-----BEGIN X-----", "is wrong: it is a PEM file"),
        ] {
            std::fs::write(&path, content).unwrap();
            let error = token_from_file(&path).unwrap_err().to_string();
            let start = format!("the token file {} {found}", path.display());
            assert!(error.starts_with(&start) && !error.contains("5ec2e7"), "{error}");
        }
        std::fs::write(&path, "\u{feff}token\r\n").unwrap();
        assert_eq!(token_from_file(&path).unwrap().as_str(), "token");
        let missing = token_from_file(&dir.path().join("x")).unwrap_err().to_string();
        assert!(
            missing.starts_with("cannot read the token file ") && missing.contains("No such file"),
            "{missing}"
        );
    }
}

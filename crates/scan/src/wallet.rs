//! The wallet to scan: its descriptor or its keys, from a file, typed in, or from a pipe. Other users can read the
//! arguments of a process.

use std::io::{BufRead, IsTerminal, Read};
use std::path::Path;
use std::str::FromStr;

use anyhow::{Context, bail};
use bitcoin::PrivateKey;
use bitcoin::secp256k1::{PublicKey, SecretKey};
use sdk_relay_client::protocol::{SecretDescriptor, SecretHex, Watch};
use sdk_relay_descriptor::ScanDescriptor;
use sdk_relay_files::exists;
use zeroize::Zeroizing;

use crate::token::{MAX_FILE, from_file};

/// Hex digits of a private key (32 bytes).
const PRIVATE: usize = 64;
/// Hex digits of a compressed public key (33 bytes).
const PUBLIC: usize = 66;
/// How a descriptor begins.
const DESCRIPTOR: &str = "sp(";

/// The text with the keys, and where it comes from.
pub(crate) struct WalletInput {
    text: Zeroizing<String>,
    /// For errors: "the key file /x/keys".
    pub(crate) origin: String,
}

/// A wallet that only scans.
#[derive(Debug, PartialEq)]
pub(crate) struct Wallet {
    /// The request, with the keys or the descriptor only.
    pub(crate) watch: Watch,
    /// Birthday of the descriptor.
    pub(crate) birthday: Option<u32>,
}

impl WalletInput {
    /// From the file, or else from the terminal or the pipe.
    pub(crate) fn read(file: Option<&Path>) -> anyhow::Result<Self> {
        if file.is_some_and(|file| is_key(&file.to_string_lossy()) && !exists(file).unwrap_or(false)) {
            bail!(
                "--keys is a key itself, and expects a file with the key: other users of this machine can read the arguments of a process. \
                 Write it to a file that only you can read, or leave --keys out and type it in"
            );
        }
        let (text, origin) = match file {
            Some(file) => (from_file("key", file)?, format!("the key file {}", file.display())),
            None => (typed()?, "the input".to_owned()),
        };
        Ok(Self { text, origin })
    }

    /// What can be done about a missing birthday.
    pub(crate) fn hint(&self) -> &'static str {
        if self.text.trim_start().starts_with(DESCRIPTOR) {
            "; the descriptor has none (?bh=)"
        } else {
            ""
        }
    }

    /// The wallet. Errors never contain a part of the input.
    pub(crate) fn parse(&self) -> anyhow::Result<Wallet> {
        let wrong = |found: &str| {
            anyhow::anyhow!(
                "{} is wrong: {found}; expected a descriptor sp(spscan1…), or two keys in hex, the scan private key (64 digits) and then the spend public key (66 digits)",
                self.origin
            )
        };
        let text = self.text.trim();
        if text.starts_with(DESCRIPTOR) {
            let descriptor = ScanDescriptor::from_str(text)
                .map_err(|error| anyhow::anyhow!("{} is wrong: descriptor: {error}", self.origin))?;
            return Ok(Wallet {
                watch: Watch {
                    descriptor: Some(SecretDescriptor::new(text.to_owned())),
                    ..Watch::default()
                },
                birthday: descriptor.birthday,
            });
        }
        if text.contains("-----BEGIN ") {
            return Err(wrong("it is a PEM file"));
        }
        if text.contains("_private_key") {
            return Err(wrong(
                "it has the form of a wallet.key of a relay, whose second key is private",
            ));
        }
        let words: Vec<&str> = text.split_whitespace().collect();
        let &[scan, spend] = words.as_slice() else {
            return Err(wrong(&match words.len() {
                0 => "it is empty".to_owned(),
                1 if text.contains("spscan1") => {
                    "it has the key of a descriptor: write sp( before and ) after it".to_owned()
                }
                1 => "it has one word".to_owned(),
                count => format!("it has {count} words"),
            }));
        };
        check(scan, spend).map_err(|found| wrong(&found))?;
        Ok(Wallet {
            watch: Watch::of_keys(SecretHex::new(scan.to_owned()), spend.to_owned()),
            birthday: None,
        })
    }
}

/// Whether this text, which should be something else, such as the name of a file, has a descriptor or a key.
pub fn is_key(text: &str) -> bool {
    let lower = text.to_ascii_lowercase();
    let mut runs = lower.split(|char: char| !char.is_ascii_hexdigit());
    let mut words = text.split(|char: char| !char.is_ascii_alphanumeric());
    lower.trim_start().starts_with(DESCRIPTOR)
        || lower.contains("spscan1")
        || lower.contains("spspend1")
        || runs.any(|run| run.len() >= PRIVATE)
        || words.any(|word| PrivateKey::from_wif(word).is_ok())
}

/// Whether these are the two keys in hex; otherwise what they are.
fn check(scan: &str, spend: &str) -> Result<(), String> {
    let is_hex = |word: &str| word.bytes().all(|byte| byte.is_ascii_hexdigit());
    let found = match (scan.len(), spend.len()) {
        _ if !is_hex(scan) => "its first word is not hex",
        _ if !is_hex(spend) => "its second word is not hex",
        (PRIVATE, PUBLIC) if SecretKey::from_str(scan).is_err() => "its first key is a number that is no private key",
        (PRIVATE, PUBLIC) if PublicKey::from_str(spend).is_err() => "its second key is a number that is no public key",
        (PRIVATE, PUBLIC) => return Ok(()),
        (PUBLIC, PRIVATE) => "the two keys are swapped",
        (PUBLIC, _) => "its first key is a public key where a private key is needed",
        (_, PRIVATE) => "its second key is a private key where a public key is needed",
        (PRIVATE, digits) => return Err(format!("its second key has {digits} digits")),
        (digits, _) => return Err(format!("its first key has {digits} digits")),
    };
    Err(found.to_owned())
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

/// Prompts without echo; reads a descriptor or two keys from a pipe.
fn typed() -> anyhow::Result<Zeroizing<String>> {
    let mut text = Zeroizing::new(String::with_capacity(usize::try_from(MAX_FILE)?));
    if std::io::stdin().is_terminal() {
        #[cfg(unix)]
        let _unseen = Unseen::now();
        let first = Zeroizing::new(
            rpassword::prompt_password("Descriptor or scan private key (not shown): ")
                .context("cannot read the key")?,
        );
        text.push_str(&first);
        if !first.trim_start().starts_with(DESCRIPTOR) {
            text.push(' ');
            text.push_str(&rpassword::prompt_password("Spend public key: ").context("cannot read the key")?);
        }
    } else {
        let mut stdin = std::io::stdin().lock().take(MAX_FILE);
        let is_whole = |text: &str| text.trim_start().starts_with(DESCRIPTOR) || text.split_whitespace().count() >= 2;
        while !is_whole(&text) && stdin.read_line(&mut text).context("cannot read the key")? > 0 {}
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
            ("tspscan1qqqq", "it has the key of a descriptor: write sp("),
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
            let keys = WalletInput::read(Some(&path)).unwrap();
            let error = keys.parse().unwrap_err().to_string();
            let start = format!("the key file {} is wrong: {found}", path.display());
            assert!(error.starts_with(&start) && error.contains("; expected "), "{error}");
            assert!(!error.contains("5ec2e7") && !error.contains("c6047f"), "{error}");
        }
        // As an editor of Windows writes it.
        std::fs::write(&path, format!("\u{feff}{SECRET}\r\n{SPEND}\r\n")).unwrap();
        let wallet = WalletInput::read(Some(&path)).unwrap().parse().unwrap();
        let watch = Watch::of_keys(SecretHex::new(SECRET.to_owned()), SPEND.to_owned());
        assert_eq!(wallet, Wallet { watch, birthday: None });
    }

    #[test]
    fn a_key_in_place_of_a_file_is_refused_and_not_repeated() {
        for key in [
            SECRET.to_owned(),
            format!("{SECRET} {SPEND}"),
            format!("sp({SECRET},{SPEND})"),
            "SPSCAN1QQQQQ".to_owned(),
            format!("SP({SECRET},{SPEND})").to_uppercase(),
            format!("{SECRET},{SPEND}"),
            format!("0x{SECRET}"),
            format!("['{SECRET}']"),
            "cMahea7zqjxrtgAbB7LSGbcQUr1uX1ojuat9jZodMN87JcbXMTcA".to_owned(),
        ] {
            let error = WalletInput::read(Some(Path::new(&key))).err().unwrap().to_string();
            assert!(error.starts_with("--keys is a key itself"), "{error}");
            assert!(
                !error.to_lowercase().contains("5ec2e7") && !error.contains("cMahea"),
                "{error}"
            );
        }
        // A file may have any name.
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join(SECRET);
        std::fs::write(&path, format!("{SECRET} {SPEND}")).unwrap();
        WalletInput::read(Some(&path)).unwrap().parse().unwrap();
    }

    #[test]
    fn a_descriptor_has_the_keys_and_may_have_a_birthday() {
        // The WIF of the private key 1.
        const WIF: &str = "cMahea7zqjxrtgAbB7LSGbcQUr1uX1ojuat9jZodMN87JcbXMTcA";
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("keys");
        let descriptor = format!("sp({WIF},{SPEND})?bh=120&ml=2");
        std::fs::write(&path, format!("\u{feff}{descriptor}\r\n")).unwrap();
        let input = WalletInput::read(Some(&path)).unwrap();
        let wallet = input.parse().unwrap();
        assert_eq!(wallet.birthday, Some(120));
        assert_eq!(wallet.watch.descriptor, Some(SecretDescriptor::new(descriptor)));
        assert_eq!(
            (&wallet.watch.scan_private_key, &wallet.watch.spend_public_key),
            (&None, &None)
        );
        for (content, found) in [
            (
                format!("sp({WIF},{WIF})"),
                "descriptor: has the private key for spending",
            ),
            (
                format!("sp({WIF},{SPEND})#aaaaaaaa"),
                "descriptor: the checksum after #",
            ),
            (format!("sp({WIF},"), "descriptor: is not a silent-payment descriptor"),
        ] {
            std::fs::write(&path, content).unwrap();
            let error = WalletInput::read(Some(&path)).unwrap().parse().unwrap_err().to_string();
            let start = format!("the key file {} is wrong: {found}", path.display());
            assert!(error.starts_with(&start) && !error.contains(WIF), "{error}");
        }
    }
}

//! The access token, from a file. Other users can read the arguments of a process.

use std::path::Path;

use anyhow::bail;
use sdk_relay_files::read_text;
use zeroize::Zeroizing;

/// Maximum size of a file: a descriptor or two keys and some whitespace, or a token.
pub(crate) const MAX_FILE: u64 = 4096;

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

/// Reads a private file of this kind.
pub(crate) fn from_file(kind: &str, path: &Path) -> anyhow::Result<Zeroizing<String>> {
    let text = read_text(path, MAX_FILE);
    text.map(Zeroizing::new).map_err(|error| {
        let reason = sdk_relay_files::reason(&error);
        anyhow::anyhow!("cannot read the {kind} file {}: {reason}", path.display())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

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

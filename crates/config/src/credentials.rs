//! Credentials of the service manager as a layer of the configuration: files in `$CREDENTIALS_DIRECTORY` (systemd's
//! `LoadCredential=`). A file with the name of a secret setting has its value.

use std::path::{Path, PathBuf};

use sdk_relay_files::{is_absent, read_text, reason};

use crate::error::ConfigError;
use crate::names;
use crate::settings::TABLE;
use crate::values::Values;

/// The variable in which systemd gives the directory.
pub(super) const DIRECTORY_VARIABLE: &str = "CREDENTIALS_DIRECTORY";
/// Largest credential in bytes. The longest values are passwords that people choose; a larger file is another one.
const LARGEST: u64 = 4096;

/// The directory of the credentials; without one there are none.
#[derive(Clone, Debug, Default)]
pub(super) struct CredentialFiles(Option<PathBuf>);

impl CredentialFiles {
    pub(super) fn new(directory: Option<PathBuf>) -> Self {
        Self(directory.filter(|directory| !directory.as_os_str().is_empty()))
    }

    /// Merges the credentials over the lower layers. Returns the errors of those that cannot be used.
    pub(super) fn merge(&self, values: &mut Values) -> Vec<ConfigError> {
        let Some(directory) = &self.0 else {
            return Vec::new();
        };
        let (names, mut wrong) = match names_in(directory) {
            Ok(names) => names,
            Err(error) => return vec![error],
        };
        let mut read = |name: &str, set: &mut dyn FnMut(String)| match value(&directory.join(name)) {
            Ok(Some(text)) => set(text),
            Ok(None) => {}
            Err(error) => wrong.push(ConfigError::Syntax {
                origin: origin(name),
                reason: format!("cannot be read: {}", reason(&error)),
            }),
        };
        for setting in TABLE.iter().copied().filter(|setting| setting.is_secret) {
            read(setting.key, &mut |text| {
                values.set(setting, setting.read_text(&text), origin(setting.key));
            });
        }
        for name in &names {
            let Some((webhook, setting)) = names::webhook_key(name).filter(|(_, setting)| setting.is_secret) else {
                continue;
            };
            read(name, &mut |text| {
                values
                    .webhook(webhook)
                    .set(setting, setting.read_text(&text), origin(name));
            });
        }
        wrong
    }
}

fn origin(name: &str) -> String {
    format!("credential {}", sdk_relay_echo::short(name))
}

/// The text of a credential without the line end that editors and `echo` write.
fn value(path: &Path) -> std::io::Result<Option<String>> {
    if is_absent(path)? {
        return Ok(None);
    }
    let mut text = read_text(path, LARGEST)?;
    text.truncate(text.trim_end_matches(['\r', '\n']).len());
    Ok(Some(text))
}

/// The names of the files, and errors for those that are close to that of a secret setting: ignoring such a file would
/// drop a token. A file with another name is one that a setting such as `tls.key` names.
fn names_in(directory: &Path) -> Result<(Vec<String>, Vec<ConfigError>), ConfigError> {
    let entries = sdk_relay_files::entries(directory).map_err(|source| ConfigError::Syntax {
        origin: format!("environment variable {DIRECTORY_VARIABLE}"),
        reason: source.to_string(),
    })?;
    let names = entries.iter().filter_map(|path| path.file_name());
    let names: Vec<_> = names.map(|name| name.to_string_lossy().into_owned()).collect();
    let misspelt = |name: &String| {
        if names::setting(name).is_some() || names::webhook_key(name).is_some() {
            return None;
        }
        let meant = names::nearest(name).filter(|setting| setting.is_secret)?;
        Some(ConfigError::Syntax {
            origin: origin(name),
            reason: format!("there is no such setting; did you mean {}?", meant.key),
        })
    };
    let wrong = names.iter().filter_map(misspelt).collect();
    Ok((names, wrong))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::layers::tests::from;
    use crate::{Config, Credentials};

    const TOKEN: &str = "a-token-of-the-service-manager";

    fn with(files: &[(&str, &[u8])], toml: &str, env: &[(&str, &str)]) -> Result<Config, ConfigError> {
        let dir = tempfile::tempdir().unwrap();
        for (name, content) in files {
            std::fs::write(dir.path().join(name), content).unwrap();
        }
        let path = dir.path().to_str().unwrap();
        from(toml, &[&[(DIRECTORY_VARIABLE, path)], env].concat())
    }

    fn message(files: &[(&str, &[u8])]) -> String {
        with(files, "", &[]).unwrap_err().to_string()
    }

    #[test]
    fn a_credential_overrides_the_file_and_the_environment_overrides_it() {
        let files: &[(&str, &[u8])] = &[
            ("bitcoin_core.password", b"of the credential\r\n"),
            ("auth.admin_token", TOKEN.as_bytes()),
        ];
        let toml = "[bitcoin_core]\nuser = \"me\"\npassword = \"of the file\"\n";
        let password = |config: Config| match config.bitcoin_core.credentials {
            Credentials::UserPassword(_, password) => password.expose().to_owned(),
            other => panic!("{other:?}"),
        };
        let config = with(files, toml, &[]).unwrap();
        assert!(
            config
                .auth
                .admin_token
                .as_ref()
                .is_some_and(|token| token.expose() == TOKEN)
        );
        assert_eq!(password(config), "of the credential");
        let env = [("SDK_RELAY_BITCOIN_CORE__PASSWORD", "of the environment")];
        assert_eq!(password(with(files, toml, &env).unwrap()), "of the environment");
    }

    #[test]
    fn what_cannot_be_used_is_an_error_without_the_value() {
        let short = message(&[("auth.read_token", b"tooshort")]);
        assert!(
            short.starts_with("credential auth.read_token: auth.read_token = …: expected 16 or more"),
            "{short}"
        );
        let misspelt = message(&[("auth.admin_tokn", TOKEN.as_bytes())]);
        assert_eq!(
            misspelt,
            "credential auth.admin_tokn: there is no such setting; did you mean auth.admin_token?"
        );
        let large = message(&[("mesh.secret", &[b'x'; 4097])]);
        assert_eq!(
            large,
            "credential mesh.secret: cannot be read: it is larger than 4096 bytes"
        );
        let binary = message(&[("mesh.secret", &[0xff; 32])]);
        assert!(
            binary.starts_with("credential mesh.secret: cannot be read: "),
            "{binary}"
        );
        let nowhere = from("", &[(DIRECTORY_VARIABLE, "/nowhere")]).unwrap_err().to_string();
        assert!(
            nowhere.starts_with("environment variable CREDENTIALS_DIRECTORY: cannot list /nowhere: "),
            "{nowhere}"
        );
    }

    /// A file for each webhook, named like the key.
    #[test]
    fn the_secret_of_a_webhook_is_a_credential_too() {
        let toml = "[webhooks.shop]\nurl = \"https://shop.example/hook\"\n";
        let secret = "whsec_MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3";
        let config = with(&[("webhooks.shop.secret", secret.as_bytes())], toml, &[]).unwrap();
        assert_eq!(config.webhooks[0].secrets[0].expose(), secret);
        let wrong = with(&[("webhooks.shop.secret", b"whsec_short")], toml, &[])
            .unwrap_err()
            .to_string();
        let start = "credential webhooks.shop.secret: webhooks.shop.secret = …: expected whsec_";
        assert!(wrong.starts_with(start), "{wrong}");
        // Without the rest of its settings.
        let alone = with(&[("webhooks.shop.secret", secret.as_bytes())], "", &[])
            .unwrap_err()
            .to_string();
        assert!(
            alone.contains("webhooks.shop.url") && !alone.contains("MDEy"),
            "{alone}"
        );
    }

    /// A setting may name a credential by its path.
    #[test]
    fn files_with_other_names_are_left_alone() {
        with(&[("tls.key", b"a key"), ("other", b"a file")], "", &[]).unwrap();
        from("", &[(DIRECTORY_VARIABLE, "")]).unwrap();
    }

    /// The unit of the packages loads a credential for each secret setting, of a name that the administrator's
    /// directory of credentials shares with other services.
    #[test]
    fn the_unit_loads_each_secret_setting() {
        let unit = include_str!("../../../deploy/systemd/sdk_relay.service");
        let loaded: Vec<_> = unit
            .lines()
            .filter_map(|line| line.strip_prefix("LoadCredential="))
            .collect();
        let secret = TABLE.iter().filter(|setting| setting.is_secret);
        let expected: Vec<_> = secret.map(|s| format!("{}:sdk_relay.{}", s.key, s.key)).collect();
        assert_eq!(loaded, expected);
    }
}

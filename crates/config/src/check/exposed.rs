//! Configuration files with passwords or tokens that every user of the machine can read.

use std::collections::BTreeMap;
use std::path::Path;

use sdk_relay_files::exposed;
use sdk_relay_platform::net::Proxy;

use crate::config::{Config, TlsFiles};
use crate::settings::TABLE;

/// Access of users that are neither the owner nor in the group: a group that may read is usually that of the relay.
const OTHERS: u32 = 0o004;

/// A warning for each file with a secret that others can read. The relay leaves its mode to the operator.
pub(super) fn warnings(config: &Config) -> Vec<String> {
    let origins = &config.origins;
    let mut files: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    let has_password = |key: &str| {
        let proxy = match key {
            "bitcoin_core.proxy" => &config.bitcoin_core.proxy,
            "blindbit.proxy" => &config.blindbit_proxy,
            "mesh.proxy" => &config.mesh.proxy,
            _ => return false,
        };
        proxy.as_ref().is_some_and(Proxy::has_password)
    };
    for setting in TABLE
        .iter()
        .filter(|setting| setting.is_secret || has_password(setting.key))
    {
        let place = origins.of.get(setting.key).and_then(|origin| origin.rsplit_once(':'));
        // Variables and flags have no line.
        if let Some((file, line)) = place
            && line.parse::<usize>().is_ok()
        {
            files.entry(file).or_default().push(setting.key);
        }
    }
    let of_settings = files
        .into_iter()
        .filter_map(|(file, keys)| warning(Path::new(file), &keys.join(", ")));
    let of_tls = match &config.tls {
        Some(TlsFiles::Given { key, .. }) => warning(key, "the private key of the certificate"),
        _ => None,
    };
    of_settings.chain(of_tls).collect()
}

fn warning(file: &Path, secret: &str) -> Option<String> {
    // A file that has gone since it was read is exposed no more.
    let mode = exposed(file).ok()??;
    let file = file.display();
    (mode & OTHERS != 0)
        .then(|| format!("{file}: every user of this machine can read {secret} (mode {mode:o}): chmod 600 {file}"))
}

#[cfg(all(test, unix))]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use crate::{Loader, Overrides};

    #[test]
    fn a_file_with_a_token_that_everybody_can_read_is_a_warning() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("sdk_relay.toml");
        let warnings = |text: &str, mode| {
            std::fs::write(&file, text).unwrap();
            std::fs::set_permissions(&file, std::fs::Permissions::from_mode(mode)).unwrap();
            let loader = Loader::new(Overrides::default().with_data_dir(dir.path()));
            loader.load().unwrap().warnings()
        };
        let secret = "auth.admin_token = \"0123456789abcdef\"\nmesh.secret = \"0123456789abcdef\"\n";
        let path = file.display();
        let expected = format!(
            "{path}: every user of this machine can read mesh.secret, auth.admin_token (mode 644): chmod 600 {path}"
        );
        assert_eq!(warnings(secret, 0o644), [expected]);
        let with_proxy = warnings("mesh.proxy = \"socks5://u:p@127.0.0.1:9050\"\n", 0o644);
        assert!(
            with_proxy.len() == 1 && with_proxy[0].contains("can read mesh.proxy (mode 644)"),
            "{with_proxy:?}"
        );
        assert_eq!(warnings("mesh.proxy = \"socks5://127.0.0.1:9050\"\n", 0o644), [""; 0]);
        assert_eq!(warnings(secret, 0o640), [""; 0]);
        assert_eq!(warnings(secret, 0o600), [""; 0]);
        assert_eq!(warnings("sync.interval = 7\n", 0o644), [""; 0]);
    }

    #[test]
    fn a_private_key_of_tls_that_everybody_can_read_is_a_warning() {
        let dir = tempfile::tempdir().unwrap();
        let [file, key] = ["sdk_relay.toml", "relay.key"].map(|name| dir.path().join(name));
        let text = format!("tls.cert = \"relay.crt\"\ntls.key = {:?}\n", key.display().to_string());
        std::fs::write(&file, text).unwrap();
        std::fs::write(&key, "").unwrap();
        let path = key.display();
        let expected = format!(
            "{path}: every user of this machine can read the private key of the certificate (mode 644): chmod 600 {path}"
        );
        for (mode, warnings) in [(0o644, vec![expected]), (0o640, vec![]), (0o600, vec![])] {
            std::fs::set_permissions(&key, std::fs::Permissions::from_mode(mode)).unwrap();
            let loader = Loader::new(Overrides::default().with_data_dir(dir.path()));
            assert_eq!(loader.load().unwrap().warnings(), warnings);
        }
    }
}

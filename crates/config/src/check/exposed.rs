//! Configuration files with passwords or tokens that every user of the machine can read.

use std::collections::BTreeMap;
use std::path::Path;

use sdk_relay_files::exposed;

use crate::origins::Origins;
use crate::settings::TABLE;

/// Access of users that are neither the owner nor in the group: a group that may read is usually that of the relay.
const OTHERS: u32 = 0o004;

/// A warning for each file with a secret that others can read. The relay leaves its mode to the operator.
pub(super) fn warnings(origins: &Origins) -> Vec<String> {
    let mut files: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for setting in TABLE.iter().filter(|setting| setting.is_secret) {
        let place = origins.of.get(setting.key).and_then(|origin| origin.rsplit_once(':'));
        // Variables and flags have no line.
        if let Some((file, line)) = place
            && line.parse::<usize>().is_ok()
        {
            files.entry(file).or_default().push(setting.key);
        }
    }
    let warning = |(file, keys): (&str, Vec<&str>)| {
        // A file that has gone since it was read is exposed no more.
        let mode = exposed(Path::new(file)).ok()??;
        (mode & OTHERS != 0).then(|| {
            format!(
                "{file}: every user of this machine can read {} (mode {mode:o}): chmod 600 {file}",
                keys.join(", ")
            )
        })
    };
    files.into_iter().filter_map(warning).collect()
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
        assert_eq!(warnings(secret, 0o640), [""; 0]);
        assert_eq!(warnings(secret, 0o600), [""; 0]);
        assert_eq!(warnings("sync.interval = 7\n", 0o644), [""; 0]);
    }
}

//! `sdk_relay init`.

use std::io::{ErrorKind, Write};

use anyhow::anyhow;
use sdk_relay_config::{Loader, Overrides, template};
use sdk_relay_console::say;
use sdk_relay_files::{create_private, make_directory};

/// Writes the commented configuration file. Does not overwrite an existing one.
pub(super) fn init(overrides: Overrides) -> anyhow::Result<()> {
    let how = match (&overrides.config, overrides.data_dir()) {
        (Some(file), _) => format!(" --config {}", file.display()),
        (None, Some(dir)) => format!(" --data-dir {dir}"),
        (None, None) => String::new(),
    };
    let path = Loader::new(overrides).file();
    if let Some(dir) = path.parent().filter(|d| !d.as_os_str().is_empty()) {
        // Usually the data directory, which no other user may read.
        make_directory(dir)?;
    }
    // Passwords and tokens are added to it.
    let mut file = create_private(&path).map_err(|error| match error.kind() {
        ErrorKind::AlreadyExists => anyhow!("{} exists: edit it, or remove it first", path.display()),
        _ => anyhow!(error),
    })?;
    file.write_all(template().as_bytes())?;
    say(&format!(
        "Wrote {} with every setting and its default. Change what you need, then run sdk_relay{how}.",
        path.display()
    ));
    Ok(())
}

//! `sdk_relay init`.

use std::fs::File;
use std::io::Write;

use anyhow::Context;
use sdk_relay_config::{Loader, Overrides, template};
use sdk_relay_console::say;

/// Writes the commented configuration file. Does not overwrite an existing one.
pub(super) fn init(overrides: Overrides) -> anyhow::Result<()> {
    let path = Loader::new(overrides).file();
    if let Some(dir) = path.parent().filter(|d| !d.as_os_str().is_empty()) {
        std::fs::create_dir_all(dir).with_context(|| format!("cannot create {}", dir.display()))?;
    }
    let mut file = File::create_new(&path).with_context(|| format!("cannot write {}", path.display()))?;
    file.write_all(template().as_bytes())
        .with_context(|| format!("cannot write {}", path.display()))?;
    say(&format!(
        "Wrote {} with every setting and its default. Change what you need, then run sdk_relay.",
        path.display()
    ));
    Ok(())
}

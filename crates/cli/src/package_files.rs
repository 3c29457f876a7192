//! `sdk_relay package-files`: the manual pages and completions that packages contain (`scripts/release`).

use std::fs::create_dir_all;
use std::path::Path;

use anyhow::Context;
use clap::Command;
use clap_complete::{Shell, generate_to};

/// Writes those of the program to `man` and `completions` below this directory.
pub(super) fn write(directory: &Path, program: Command) -> anyhow::Result<()> {
    let write = move || {
        // `sdk_relay help COMMAND` shows what the pages say.
        let mut command = program.disable_help_subcommand(true);
        let man = directory.join("man");
        create_dir_all(&man)?;
        clap_mangen::generate_to(command.clone(), &man)?;
        let completions = directory.join("completions");
        create_dir_all(&completions)?;
        for shell in [Shell::Bash, Shell::Fish, Shell::Zsh] {
            generate_to(shell, &mut command, "sdk_relay", &completions)?;
        }
        std::io::Result::Ok(())
    };
    write().with_context(|| format!("cannot write to {}", directory.display()))
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;
    use crate::Cli;

    #[test]
    fn every_command_has_a_page_and_a_completion() {
        let directory = tempfile::tempdir().unwrap();
        write(directory.path(), Cli::command()).unwrap();
        let text = |path: &str| std::fs::read_to_string(directory.path().join(path)).unwrap();
        let completions =
            ["sdk_relay.bash", "sdk_relay.fish", "_sdk_relay"].map(|name| text(&format!("completions/{name}")));
        let page = text("man/sdk_relay.1");
        assert!(
            page.contains("silent\\-payment") && page.contains("SDK_RELAY_NETWORK=signet"),
            "{page}"
        );
        let command = Cli::command();
        for command in command.get_subcommands().filter(|command| !command.is_hide_set()) {
            let name = command.get_name();
            let about = command.get_about().unwrap().to_string();
            let about = about.replace('-', "\\-").replace('\'', "\\*(Aq");
            let page = text(&format!("man/sdk_relay-{name}.1"));
            assert!(page.contains(&about), "{name}: {page}");
            for completion in &completions {
                assert!(completion.contains(name), "{name}: {completion}");
            }
        }
        let pages = std::fs::read_dir(directory.path().join("man")).unwrap();
        let hidden = pages.filter(|page| page.as_ref().unwrap().file_name().to_string_lossy().contains("package"));
        assert_eq!(hidden.count(), 0);
    }
}

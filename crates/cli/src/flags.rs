//! Flags of settings, made from the table of settings.

use clap::{Arg, ArgAction, ArgMatches, Args, Command, Error, FromArgMatches};
use sdk_relay_config::{Kind, Overrides, Setting, TABLE};

/// The flags that are given, with their values.
#[derive(Clone, Debug, Default)]
pub(super) struct Given(Vec<(&'static Setting, String)>);

impl Given {
    /// Puts them over `overrides`.
    pub(super) fn over(self, overrides: Overrides) -> Overrides {
        let set = |overrides: Overrides, (setting, text)| overrides.with(setting, text);
        self.0.into_iter().fold(overrides, set)
    }
}

/// Makes a group of flags: those of the settings for which `$is_in` is true.
macro_rules! group {
    ($(#[doc = $line:literal])+ $name:ident: $is_in:expr) => {
        $(#[doc = $line])+
        #[derive(Clone, Debug, Default)]
        pub(super) struct $name(pub(super) Given);

        impl Args for $name {
            fn augment_args(command: Command) -> Command {
                augment(command, $is_in)
            }

            fn augment_args_for_update(command: Command) -> Command {
                augment(command, $is_in)
            }
        }

        impl FromArgMatches for $name {
            fn from_arg_matches(matches: &ArgMatches) -> Result<Self, Error> {
                Ok(Self(given(matches, $is_in)))
            }

            fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> Result<(), Error> {
                self.0 = given(matches, $is_in);
                Ok(())
            }
        }
    };
}

group! {
    /// The flag of every setting that has one.
    AllFlags: |_| true
}

group! {
    /// The flag of the data directory alone.
    DataDirFlag: |setting| setting.key == "data_dir"
}

type IsIn = fn(&Setting) -> bool;

fn with_flags(is_in: IsIn) -> impl Iterator<Item = (&'static Setting, &'static str)> {
    let settings = TABLE.iter().filter(move |setting| is_in(setting));
    settings.filter_map(|setting| Some((*setting, setting.flag?.trim_start_matches("--"))))
}

fn augment(command: Command, is_in: IsIn) -> Command {
    with_flags(is_in).fold(command, |command, (setting, name)| {
        let arg = Arg::new(setting.key).long(name);
        command.arg(match setting.kind {
            Kind::Bool { .. } => arg.help(setting.summary()).action(ArgAction::SetTrue),
            _ => arg.help(help(setting)).value_name(setting.flag_value),
        })
    })
}

/// With the default, where the table has one.
fn help(setting: &Setting) -> String {
    let summary = setting.summary();
    match setting.without_value() {
        Some(default) => format!("{summary} [default: {default}]"),
        None => summary,
    }
}

fn given(matches: &ArgMatches, is_in: IsIn) -> Given {
    let value = |(setting, _): (&'static Setting, &str)| match setting.kind {
        Kind::Bool { .. } => matches.get_flag(setting.key).then(|| (setting, "true".to_owned())),
        _ => matches
            .get_one::<String>(setting.key)
            .map(|text| (setting, text.clone())),
    };
    Given(with_flags(is_in).filter_map(value).collect())
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use clap::CommandFactory;

    use super::*;
    use crate::Cli;

    #[test]
    fn every_flag_of_the_table_is_there_with_its_help() {
        let mut command = Cli::command();
        for setting in TABLE {
            let Some(flag) = setting.flag else { continue };
            let mut arguments = command.get_arguments();
            let argument = arguments.find(|a| a.get_long().map(|long| format!("--{long}")).as_deref() == Some(flag));
            let help = argument
                .unwrap_or_else(|| panic!("no {flag}"))
                .get_help()
                .unwrap()
                .to_string();
            assert!(
                !help.is_empty() && help.starts_with(&setting.summary()),
                "{flag}: {help}"
            );
        }
        // Lines are as wide as the terminal.
        let help = command.render_help().to_string();
        let help = help.split_whitespace().collect::<Vec<_>>().join(" ");
        assert!(
            help.contains("--data-dir <DIR>") && help.contains("[default: ~/.sdk_relay]"),
            "{help}"
        );
    }

    #[test]
    fn a_group_has_its_flags_alone() {
        let longs = |command: Command| -> BTreeSet<String> {
            let arguments = command.get_arguments();
            arguments.filter_map(|a| a.get_long().map(str::to_owned)).collect()
        };
        let with = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect();
        let all: BTreeSet<String> = with(&["data-dir", "log-level", "network", "standalone", "tls-self-signed"]);
        assert_eq!(longs(AllFlags::augment_args(Command::new("x"))), all);
        assert_eq!(longs(DataDirFlag::augment_args(Command::new("x"))), with(&["data-dir"]));
    }

    #[test]
    fn a_flag_sets_its_setting() {
        let command = AllFlags::augment_args(Command::new("x"));
        let matches = command.get_matches_from(["x", "--data-dir", "/there", "--standalone"]);
        let AllFlags(given) = AllFlags::from_arg_matches(&matches).unwrap();
        let given: Vec<_> = given
            .0
            .iter()
            .map(|(setting, text)| (setting.key, text.as_str()))
            .collect();
        assert_eq!(given, [("data_dir", "/there"), ("standalone", "true")]);
    }
}

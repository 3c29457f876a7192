//! What follows `?` (BIP393).

use std::collections::BTreeSet;

use crate::error::DescriptorError;

/// Longest name that an error shows.
const SHOWN: usize = 20;

/// The annotations that concern scanning.
#[derive(Debug, Default)]
pub(crate) struct Annotations {
    /// `bh`.
    pub(crate) birthday: Option<u32>,
    /// `ml`.
    pub(crate) highest_label: Option<u32>,
}

impl Annotations {
    /// Unknown names are ignored, as BIP393 requires.
    pub(crate) fn parse(text: &str) -> Result<Self, DescriptorError> {
        let (mut found, mut names) = (Self::default(), BTreeSet::new());
        for pair in text.split('&') {
            let (name, value) = pair.split_once('=').ok_or(DescriptorError::Annotation)?;
            let is_name = !name.is_empty() && name.bytes().all(|b| b.is_ascii_lowercase());
            let is_number = !value.is_empty() && value.bytes().all(|b| b.is_ascii_digit());
            if !is_name || !is_number || (value.len() > 1 && value.starts_with('0')) {
                return Err(DescriptorError::Annotation);
            }
            if !names.insert(name) {
                return Err(DescriptorError::Twice(name.chars().take(SHOWN).collect()));
            }
            let field = match name {
                "bh" => &mut found.birthday,
                "ml" => &mut found.highest_label,
                _ => continue,
            };
            *field = Some(value.parse().map_err(|_| DescriptorError::TooLarge(name.to_owned()))?);
        }
        Ok(found)
    }
}

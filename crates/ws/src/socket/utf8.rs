//! Incremental UTF-8 validation: a piece of a message may end in the middle of a character, and an invalid byte is
//! refused at once.

/// The state of the validation.
#[derive(Debug, Default)]
pub(super) struct Utf8 {
    /// The bytes of an incomplete character.
    begun: [u8; 4],
    length: usize,
}

impl Utf8 {
    /// Validates the next piece. `false`: the text is not valid UTF-8.
    pub(super) fn push(&mut self, mut bytes: &[u8]) -> bool {
        while self.length > 0
            && let [next, rest @ ..] = bytes
        {
            let Some(place) = self.begun.get_mut(self.length) else {
                return false;
            };
            *place = *next;
            self.length += 1;
            bytes = rest;
            match std::str::from_utf8(&self.begun[..self.length]) {
                Ok(_) => self.length = 0,
                Err(error) if error.error_len().is_some() => return false,
                Err(_) => {}
            }
        }
        let Err(error) = std::str::from_utf8(bytes) else {
            return true;
        };
        let begun = &bytes[error.valid_up_to()..];
        if error.error_len().is_some() || begun.len() > self.begun.len() {
            return false;
        }
        self.begun[..begun.len()].copy_from_slice(begun);
        self.length = begun.len();
        true
    }

    /// Whether the last character is complete.
    pub(super) fn is_whole(&self) -> bool {
        self.length == 0
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn check(bytes: &[u8], cuts: &[usize]) -> bool {
        let mut utf8 = Utf8::default();
        let mut rest = bytes;
        for cut in cuts {
            let (piece, after) = rest.split_at(cut % (rest.len() + 1));
            if !utf8.push(piece) {
                return false;
            }
            rest = after;
        }
        utf8.push(rest) && utf8.is_whole()
    }

    proptest! {
        #[test]
        fn pieces_are_judged_as_the_whole(text in ".{0,20}", noise in prop::collection::vec(any::<u8>(), 0..4), cuts in prop::collection::vec(any::<usize>(), 0..8)) {
            prop_assert!(check(text.as_bytes(), &cuts));
            let mut bytes = text.into_bytes();
            bytes.extend(noise);
            prop_assert_eq!(check(&bytes, &cuts), std::str::from_utf8(&bytes).is_ok());
        }
    }

    #[test]
    fn an_invalid_character_is_refused_before_it_is_complete() {
        let mut utf8 = Utf8::default();
        assert!(utf8.push(b"\xf4"));
        assert!(!utf8.push(b"\x90"), "above the last code point");
    }
}

//! The cause of an error.

use std::error::Error;
use std::io;

/// The error itself, or the first of its causes, that has this type. Looks into each [`io::Error`] too, which has the
/// error that it was made of not as its source, but in its place.
pub fn find_cause<'a, E: Error + 'static>(error: &'a (dyn Error + 'static)) -> Option<&'a E> {
    let mut cause = Some(error);
    while let Some(error) = cause {
        if let Some(found) = error.downcast_ref() {
            return Some(found);
        }
        cause = match error.downcast_ref::<io::Error>().and_then(io::Error::get_ref) {
            Some(inner) => Some(inner),
            None => error.source(),
        };
    }
    None
}

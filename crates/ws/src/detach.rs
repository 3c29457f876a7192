//! The fields of `watch` and `attach` about detached watches, and the errors of `attach`.

use std::time::Duration;

use sdk_relay_detect::AttachRefused;
use sdk_relay_protocol::{Attach, ErrorCode, Refusal, Watch};

use super::session::refusal;

/// Longest `watch_id` and `watch_token` that are looked for, in bytes: those of this relay have 22 and 64. A longer one
/// is not kept in the queue of commands.
const LONGEST: usize = 128;

/// How long this watch is to go on without its connection, in seconds; `None` without `detach`. `longest` is
/// `limits.detached_seconds`.
pub(super) fn detached_seconds(watch: &Watch, longest: Duration) -> Result<Option<u32>, Refusal> {
    let Some(seconds) = watch.detach else {
        return Ok(None);
    };
    let longest = longest.as_secs();
    if longest == 0 {
        let message = "detach: this relay offers no detached watches (limits.detached_seconds = 0)";
        return Err(refusal(ErrorCode::Unavailable, message, watch.message_id.clone()));
    }
    if seconds == 0 || u64::from(seconds) > longest {
        let message = format!("detach: expected 1 to {longest} seconds (limits.detached_seconds)");
        return Err(refusal(ErrorCode::InvalidField, &message, watch.message_id.clone()));
    }
    Ok(Some(seconds))
}

/// Refuses an `attach` whose fields are too long to be those of a watch, as if there were no such watch.
pub(super) fn check_attach(attach: &Attach) -> Result<(), Refusal> {
    if attach.watch_id.len() <= LONGEST && attach.watch_token.expose().len() <= LONGEST {
        return Ok(());
    }
    Err(attach_refusal(&AttachRefused::NotFound, attach.message_id.clone()))
}

/// The error for a refused `attach`.
pub(super) fn attach_refusal(refused: &AttachRefused, in_reply_to: Option<String>) -> Refusal {
    let code = match refused {
        AttachRefused::NotFound => ErrorCode::NotFound,
        AttachRefused::After { .. } => ErrorCode::InvalidField,
        AttachRefused::TooManyFailures { .. } => ErrorCode::RateLimited,
        AttachRefused::Stalled | AttachRefused::Ending => ErrorCode::Unavailable,
    };
    refusal(code, &refused.to_string(), in_reply_to)
}

#[cfg(test)]
mod tests {
    use sdk_relay_protocol::SecretHex;

    use super::*;

    fn watch(detach: Option<u32>) -> Watch {
        Watch {
            detach,
            message_id: Some("w".to_owned()),
            ..Watch::default()
        }
    }

    #[test]
    fn a_watch_goes_on_for_as_long_as_the_relay_allows() {
        let week = Duration::from_secs(604_800);
        for (detach, expected) in [(None, None), (Some(1), Some(1)), (Some(604_800), Some(604_800))] {
            assert_eq!(detached_seconds(&watch(detach), week), Ok(expected));
        }
        for detach in [0, 604_801] {
            let refused = detached_seconds(&watch(Some(detach)), week).unwrap_err();
            assert_eq!(
                (refused.code, refused.in_reply_to.as_deref()),
                (ErrorCode::InvalidField, Some("w"))
            );
            assert!(
                refused
                    .message
                    .contains("1 to 604800 seconds (limits.detached_seconds)"),
                "{refused:?}"
            );
        }
        let off = detached_seconds(&watch(Some(1)), Duration::ZERO).unwrap_err();
        assert_eq!(off.code, ErrorCode::Unavailable);
        assert_eq!(detached_seconds(&watch(None), Duration::ZERO), Ok(None));
    }

    #[test]
    fn what_cannot_be_a_watch_is_refused_as_an_unknown_one() {
        let attach = |watch_id: usize, watch_token: usize| Attach {
            watch_id: "w".repeat(watch_id),
            watch_token: SecretHex::new("0".repeat(watch_token)),
            after: 0,
            message_id: None,
        };
        assert_eq!(check_attach(&attach(22, 64)), Ok(()));
        for long in [attach(129, 64), attach(22, 129)] {
            let refused = check_attach(&long).unwrap_err();
            assert_eq!(refused, attach_refusal(&AttachRefused::NotFound, None));
            assert_eq!(refused.code, ErrorCode::NotFound);
        }
    }
}

//! Conformance suite of [`EventLog`]. [`event_log_tests`](crate::event_log_tests) generates a test from each function.
//!
//! Each function takes a constructor of an empty log. [`durable`] is for logs that are persistent.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a failure in here is a failed test")]

pub mod durable;
mod fixtures;
mod reads;
mod retention;
mod writes;

pub use fixtures::*;
pub use reads::*;
pub use retention::*;
pub use writes::*;

/// Generates a test for each property. `$new` is a [`NewLog`] without the `&`.
#[macro_export]
macro_rules! event_log_tests {
    ($new:expr) => {
        $crate::event_log_tests! { $new;
            an_empty_log_has_nothing,
            a_log_may_begin_at_any_id,
            events_are_read_in_order_with_all_their_columns,
            reads_are_bounded_in_events_and_bytes,
            an_event_above_the_limit_of_bytes_is_read,
            no_id_is_too_large_to_read_after,
            the_newest_event_about_a_block_is_found,
            a_reader_sees_whole_commits_in_order,
            a_batch_out_of_sequence_changes_nothing,
            a_batch_that_is_committed_again_is_there_once,
            payments_are_written_and_deleted_with_their_events,
            the_tip_follows_its_changes,
            a_jump_is_a_hole_unless_it_is_the_first_block,
            the_oldest_events_are_removed_above_the_number,
            the_oldest_events_are_removed_above_the_bytes,
            the_newest_event_stays_whatever_its_size,
            the_last_commit_is_kept_as_a_whole,
            recent_blocks_are_bounded
        }
    };
    ($new:expr; $($property:ident),*) => {
        $(
            #[test]
            fn $property() {
                $crate::testing::conformance::$property(&$new);
            }
        )*
    };
}

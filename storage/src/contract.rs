//! What every engine behind the ports must do, as tests. A crate with such an engine expands [`store_contract!`] and
//! [`blob_contract!`] in its tests, with a function that opens a new, empty store.
//!
//! [`store_contract!`]: crate::store_contract
//! [`blob_contract!`]: crate::blob_contract

pub mod accounts;
pub mod audit;
pub mod batches;
pub mod blobs;
pub mod callbacks;
pub mod claims;
pub mod conversations;
pub mod credentials;
pub mod deletions;
pub mod events;
pub mod files;
pub mod jobs;
pub mod ledger;
pub mod links;
pub mod live;
pub mod mail;
pub mod plugins;
pub mod provider_keys;
pub mod renditions;
pub mod responses;
pub mod sample;
pub mod search;
pub mod templates;
pub mod webhooks;

/// Expands to one test per scenario. The argument is a function without parameters; what it returns dereferences to
/// a store with all ports of the database, empty and kept alive by it.
#[macro_export]
macro_rules! store_contract {
    ($open:ident) => {
        $crate::contract_tests!($open, accounts:
            a_user_is_found_by_id_and_by_name
            a_second_user_of_the_same_name_is_refused
            of_many_who_want_one_name_at_once_one_gets_it
            an_updated_user_keeps_the_name
            users_are_listed_in_pages_in_the_order_of_their_making
            a_key_is_found_by_its_digest_together_with_its_user
            a_key_of_nobody_or_with_a_known_digest_is_refused
            another_users_key_is_none
            a_revoked_key_stays_revoked_since_the_first_time
            the_last_use_of_a_key_never_moves_back
        );
        $crate::contract_tests!($open, credentials:
            a_password_is_one_users_and_kept_for_a_user_alone
            a_password_that_was_changed_meanwhile_stays
            another_password_ends_all_sessions
            a_hash_is_replaced_only_as_long_as_it_is_the_one_that_was_checked
            a_session_is_found_by_its_digest_together_with_its_user
            a_session_that_was_begun_before_all_were_ended_never_comes_about
            another_users_session_is_none
            a_user_has_so_many_sessions_and_the_oldest_goes
            sessions_whose_time_is_over_are_swept_so_many_at_a_time
        );
        $crate::contract_tests!($open, deletions:
            a_deleted_user_is_an_id_and_their_name_is_free_at_once
            nothing_new_is_a_deleted_users
            an_erasure_leaves_nothing_that_can_be_found_and_touches_no_other
            the_books_balance_and_what_was_left_goes_back_where_credits_come_from
        );
        $crate::contract_tests!($open, mail:
            mail_is_due_in_its_order_and_again_after_a_failure
            so_much_mail_waits_and_no_more
            a_newer_token_takes_the_place_of_an_older
            a_token_makes_its_user_once
            a_token_sets_its_users_password_once_and_ends_their_sessions
            tokens_that_are_over_are_swept_so_many_at_a_time
        );
        $crate::contract_tests!($open, provider_keys:
            own_keys_are_one_for_each_instance_and_their_owners_alone
            an_owner_keeps_no_more_own_keys_than_they_may
        );
        $crate::contract_tests!($open, plugins:
            a_plugin_is_put_replaced_and_removed
            plugins_are_listed_by_id
        );
        $crate::contract_tests!($open, jobs:
            a_job_is_read_as_it_was_created
            a_second_job_of_the_same_id_is_refused
            another_owners_job_is_none
            jobs_are_listed_newest_first_in_pages
            a_listing_is_stable_while_jobs_are_added
            a_change_is_given_back_and_kept
            a_change_that_declines_writes_nothing
            a_job_cannot_change_its_owner
            concurrent_changes_lose_no_update
            open_jobs_come_in_the_order_of_their_wake_times
            a_final_job_is_open_no_more
            a_large_job_is_kept_whole
            failed_jobs_are_listed_by_their_code_newest_first
            trainings_are_listed_apart_from_other_jobs
            videos_are_listed_either_way_in_pages
            a_job_is_deleted_by_its_owner_once_it_is_final
        );
        $crate::contract_tests!($open, claims:
            a_claim_is_read_as_it_was_put_and_replaced
            a_freed_key_leaves_nothing_behind
            an_owner_keeps_so_many_bytes_and_then_answers_without_a_body
            expired_claims_are_swept_in_their_order_so_many_at_a_time
            a_job_and_its_claim_are_created_together_or_not_at_all
            a_request_that_was_begun_becomes_its_job
            of_many_who_claim_a_key_at_once_one_gets_a_job
        );
        $crate::contract_tests!($open, files:
            a_file_is_read_as_it_was_created
            a_second_file_of_the_same_id_is_refused
            another_owners_file_is_none
            files_are_listed_either_way_in_pages
            files_are_listed_by_their_purpose
            a_quota_is_never_exceeded
            what_is_removed_counts_until_it_is_gone
            many_who_share_a_quota_never_exceed_it
            a_removed_file_gives_its_bytes_back_once
            expired_files_come_in_the_order_of_their_end
            a_blob_is_named_as_long_as_a_row_names_it
            a_refused_file_names_nothing
        );
        $crate::contract_tests!($open, audit:
            an_action_is_written_before_it_is_done_and_given_its_end_once
            records_are_listed_newest_first_by_kind_and_user_in_pages
            old_records_are_swept_and_no_others
        );
        $crate::contract_tests!($open, batches:
            a_batch_is_read_as_it_was_created_by_its_owner_alone
            a_batch_that_has_ended_is_open_no_more_and_lets_its_input_go
            a_line_ends_once_and_is_counted_once
            lines_that_end_at_once_are_all_counted
        );
        $crate::contract_tests!($open, responses:
            a_response_is_its_owners_alone_and_counts_to_their_bytes
            expired_responses_come_in_the_order_of_their_end
        );
        $crate::contract_tests!($open, renditions:
            a_rendition_is_kept_and_named_until_it_is_forgotten
            a_rendition_that_is_made_again_names_its_blob_alone
        );
        $crate::contract_tests!($open, links:
            a_link_is_read_as_it_was_created
            links_are_listed_newest_first_in_pages
            another_owners_link_cannot_be_removed
            expired_links_come_in_the_order_of_their_end
        );
        $crate::contract_tests!($open, conversations:
            a_conversation_is_read_as_it_was_created
            an_owner_has_so_many_conversations_and_no_more
            conversations_are_listed_by_their_last_activity_in_pages
            another_owners_conversation_is_none_whatever_is_done_with_it
            an_exchange_is_stored_whole_and_its_answer_ended_once
            an_exchange_that_does_not_fit_leaves_nothing
            edits_and_regenerations_are_branches
            an_answer_that_failed_without_a_word_is_not_the_leaf
            answers_of_a_process_that_ended_are_interrupted
            many_who_share_their_bytes_never_exceed_them
            a_removed_conversation_is_gone_at_once_and_the_sweep_leaves_nothing
        );
        $crate::contract_tests!($open, search:
            what_is_said_is_found_by_its_words
            the_rarer_and_the_newer_text_comes_first
            what_is_found_is_what_a_reading_of_all_texts_finds
        );
        $crate::contract_tests!($open, templates:
            a_template_is_read_as_it_was_put_and_so_are_its_earlier_versions
            a_name_is_one_templates_until_it_is_archived
            of_several_templates_all_are_put_or_none
            templates_are_listed_newest_first_in_pages_by_scene_and_tag
            an_archived_template_stays_and_takes_no_version
            there_are_so_many_templates_and_no_more
            of_many_who_write_the_next_version_at_once_one_does
        );
        $crate::contract_tests!($open, events:
            every_change_that_tells_something_is_an_event_and_no_other_is
            a_job_that_is_created_final_has_its_end_alone
            numbers_have_no_gap_and_no_double_however_many_write
            progress_is_told_once_for_each_whole_percent_and_only_as_it_grows
            a_job_that_never_settles_fills_no_disk_and_its_end_is_told_still
            events_are_read_in_pages_after_a_number
            a_jobs_events_are_its_own_and_its_owners_alone
            a_sweep_leaves_the_newest_and_says_what_is_gone
            who_watches_is_told_of_each_event_once_it_can_be_read
            an_event_is_read_as_it_was_made
        );
        $crate::contract_tests!($open, webhooks:
            endpoints_are_their_owners_alone
            an_owner_has_so_many_endpoints_and_no_more
            a_changed_endpoint_keeps_its_id_and_owner
            each_endpoint_that_wants_an_event_gets_a_delivery_with_it
            deliveries_are_listed_newest_first_in_pages
            a_failed_delivery_is_due_again_when_it_is_to_be_and_a_taken_one_never
            a_delivery_that_was_given_up_is_sent_again_by_its_owner_alone
            no_endpoint_hides_what_is_due_for_others
            no_more_than_so_much_waits_for_one_endpoint_and_the_rest_is_counted
            an_endpoint_that_fails_for_days_is_disabled_with_the_attempt_that_shows_it
            what_waits_for_a_removed_endpoint_can_be_given_up
            old_deliveries_are_swept_the_oldest_first_and_leave_nothing
        );
        $crate::contract_tests!($open, callbacks:
            a_callback_is_fresh_once_in_this_period_and_the_next
            of_many_who_bring_one_callback_at_once_one_is_first
            a_callback_wakes_the_open_jobs_that_it_is_about_and_is_then_taken
            old_marks_are_swept
        );
        $crate::contract_tests!($open, ledger:
            a_grant_is_made_once_and_raises_the_balance
            a_grant_beyond_all_money_or_to_nobody_is_refused
            a_job_is_let_in_with_its_hold_or_not_at_all
            a_job_that_succeeds_is_charged_what_it_used_and_gets_the_rest_back
            a_job_that_ends_otherwise_gets_everything_back
            a_job_is_never_charged_more_than_was_set_aside
            a_job_that_many_end_at_once_is_settled_once
            concurrent_spenders_never_overspend_a_balance
            concurrent_spenders_never_overspend_a_budget
            a_budget_of_a_key_binds_that_key_alone
            a_hold_without_credits_counts_against_budgets_alone
            a_refund_is_made_once_and_never_more_than_was_charged
            entries_and_records_are_listed_newest_first_in_pages
            sums_are_kept_by_day_model_provider_and_key
        );
        $crate::contract_tests!($open, live:
            an_allowance_is_as_much_as_there_is_and_the_least_at_least
            recorded_calls_are_charged_to_their_allowance_once
            what_is_left_of_an_allowance_comes_back_once
            concurrent_allowances_never_overspend
            a_call_that_costs_nothing_needs_no_allowance
            a_probe_is_nobodys_call
            old_usage_is_forgotten_so_much_at_a_time_and_its_sums_stay
            a_live_call_is_given_back_once_and_never_more_than_was_charged
        );
    };
}

/// Expands to one test per scenario. The argument is a function without parameters; what it returns dereferences to
/// an empty blob store and keeps it alive.
#[macro_export]
macro_rules! blob_contract {
    ($open:ident) => {
        $crate::contract_tests!($open, blobs:
            small_content_is_read_back_from_memory
            large_content_is_read_in_ranges
            equal_content_has_one_id
            an_unfinished_blob_never_existed
            a_removed_blob_is_gone
            many_writers_of_one_content_agree
            a_used_or_young_blob_is_not_removed
            a_claimed_blob_is_young_again
            ids_are_listed_in_pages
            a_blob_wanted_while_it_is_collected_is_there
        );
    };
}

#[doc(hidden)]
#[macro_export]
macro_rules! contract_tests {
    ($open:ident, $port:ident: $($scenario:ident)+) => {
        mod $port {
            $(
                #[test]
                fn $scenario() {
                    let opened = super::$open();
                    $crate::contract::$port::$scenario(&*opened);
                }
            )+
        }
    };
}

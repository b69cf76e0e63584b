use super::*;

const ID: &str = "ufawqhfynnddngldkgtslldrkq";

fn stepped(kind: Kind, json: &str, webhook: bool) -> Result<Step, Failure> {
    let prediction: Prediction<'_> = json::parse_text(json)?;
    step(kind, prediction, State { id: ID.to_owned(), webhook, polls: 2 })
}

fn document(status: &str, rest: &str) -> String {
    format!(r#"{{"id":"{ID}","version":"5c7d","input":{{"prompt":"x"}},"status":"{status}"{rest}}}"#)
}

#[test]
fn one_in_the_making_is_a_ticket_with_its_progress() {
    let body = document("processing", r#","logs":" 20%|██","output":null,"error":null,"metrics":{}"#);
    let Step::Pending(ticket) = stepped(Kind::Prediction, &body, false).unwrap() else {
        panic!("it is not done")
    };
    assert_eq!((ticket.provider_id.as_deref(), ticket.progress), (Some(ID), Some(0.2)));
    assert_eq!((ticket.accepts_webhook, ticket.poll_after_ms), (false, 2_000));
    assert_eq!(decoded(&ticket.state).unwrap().id, ID);
    let body = document("starting", r#","logs":null"#);
    let Step::Pending(ticket) = stepped(Kind::Prediction, &body, true).unwrap() else {
        panic!("it is not done")
    };
    assert_eq!((ticket.accepts_webhook, ticket.poll_after_ms), (true, POLL_MS_WITH_CALLBACK));
}

#[test]
fn a_success_has_its_files_and_the_time_it_took() {
    let body = document(
        "succeeded",
        r#","output":["https://replicate.delivery/x/out-0.png"],"metrics":{"predict_time":1.5004,"total_time":9,"image_count":1}"#,
    );
    let Step::Done(outcome) = stepped(Kind::Prediction, &body, false).unwrap() else { panic!("it is done") };
    assert_eq!(outcome.outputs.len(), 1);
    let used: Vec<_> = outcome.usage.iter().map(|line| (line.meter.as_str(), line.quantity)).collect();
    assert_eq!(used, [("compute-ms", 1_501), ("images", 1)]);
}

#[test]
fn a_training_s_result_is_the_version_it_made() {
    let body = document(
        "succeeded",
        r#","output":{"version":"me/mine:abc","weights":"https://replicate.delivery/w.tar"},"metrics":{"total_time":2}"#,
    );
    let Step::Done(outcome) = stepped(Kind::Training, &body, false).unwrap() else { panic!("it is done") };
    let [Output::Model(model)] = outcome.outputs.as_slice() else { panic!("{:?}", outcome.outputs.len()) };
    assert_eq!((model.as_str(), outcome.usage[0].quantity), ("me/mine:abc", 2_000));
}

#[test]
fn every_other_end_is_a_failure_with_its_reason() {
    for (status, rest, expected) in [
        ("failed", r#","error":"NSFW content detected""#, "content-refused"),
        // It is over: nobody is to ask again.
        ("failed", r#","error":null"#, "internal"),
        ("failed", r#","error":"KeyError""#, "internal"),
        ("canceled", "", "canceled"),
        ("aborted", "", "internal"),
        ("paused", "", "bad-response"),
        ("succeeded", r#","output":null"#, "bad-response"),
        ("succeeded", r#","output":"x","data_removed":true"#, "bad-response"),
    ] {
        let failure = stepped(Kind::Prediction, &document(status, rest), false).err().unwrap();
        assert_eq!(failure.code, expected, "{status} {rest}");
    }
}

#[test]
fn a_callback_counts_for_its_own_job_only() {
    let state = State { id: ID.to_owned(), webhook: true, polls: 0 };
    assert!(told(&document("succeeded", ""), &state).is_some());
    let other = document("succeeded", "").replace(ID, "someone-elses");
    assert!(told(&other, &state).is_none());
    assert!(told("{", &state).is_none());
}

#[test]
fn polling_slows_down_to_a_bound() {
    let body = document("processing", "");
    let prediction: Prediction<'_> = json::parse_text(&body).unwrap();
    let ticket = ticket(&prediction, State { id: ID.to_owned(), webhook: false, polls: u32::MAX }).unwrap();
    assert_eq!(ticket.poll_after_ms, POLL_MS_MAX);
}

#[test]
fn what_finished_before_it_was_canceled_is_not_lost() {
    let canceled = |body: &str| canceled(Kind::Prediction, json::parse_text(body).unwrap(), true).unwrap();
    let done = document("succeeded", r#","output":"https://replicate.delivery/x.png""#);
    assert!(matches!(canceled(&done), Cancellation::Finished(outcome) if outcome.outputs.len() == 1));
    for status in ["canceled", "aborted", "failed", "processing"] {
        let body = document(status, r#","metrics":{"predict_time":0.5}"#);
        assert!(
            matches!(canceled(&body), Cancellation::Canceled(used) if used[0].quantity == 500),
            "{status}"
        );
    }
}

#[test]
fn a_foreign_state_is_refused() {
    assert_eq!(decoded(b"{}").unwrap_err().code, "internal");
    assert_eq!(decoded(b"\xff").unwrap_err().code, "internal");
}

#[test]
fn what_the_provider_would_not_stop_is_not_called_canceled() {
    let refused = |status: &str| {
        let body = document(status, "");
        canceled(Kind::Prediction, json::parse_text(&body).unwrap(), false).unwrap()
    };
    assert!(matches!(refused("processing"), Cancellation::Unsupported));
    assert!(matches!(refused("aborted"), Cancellation::Canceled(_)));
}

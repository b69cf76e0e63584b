use super::*;
use crate::api::tests::context;
use atelier_plugin_sdk::Media;

fn request() -> Request {
    Request {
        model: "gpt-4.1-mini-2025-04-14".to_owned(),
        datasets: Vec::new(),
        suffix: Some("acme".to_owned()),
        seed: Some(7),
        hyperparameters: "{}".to_owned(),
        options: "{}".to_owned(),
    }
}

fn dataset(role: &str) -> Dataset {
    let media = Media::new(MediaSource::Url("https://x.example/d".into()), None);
    Dataset { role: role.to_owned(), media }
}

fn stepped(body: &str) -> Result<Step, Failure> {
    let context = context("https://api.openai.com/v1", "{}");
    step(&Api::new(&context)?, body.as_bytes(), Vec::new())
}

#[test]
fn a_job_names_its_files_and_parameters() {
    let files = [("training", "file-1".to_owned()), ("validation", "file-2".to_owned())];
    let mut request = request();
    assert_eq!(
        job(&request, &files).unwrap().into_string().unwrap(),
        r#"{"model":"gpt-4.1-mini-2025-04-14","training_file":"file-1","validation_file":"file-2","suffix":"acme","seed":7}"#
    );
    request.hyperparameters = r#"{"n_epochs":3}"#.to_owned();
    let body = job(&request, &files[..1]).unwrap().into_string().unwrap();
    assert!(
        body.contains(r#""method":{"type":"supervised","supervised":{"hyperparameters":{"n_epochs":3}}}"#),
        "{body}"
    );
    request.options = r#"{"method":{"type":"dpo"}}"#.to_owned();
    assert_eq!(job(&request, &files).unwrap_err().param.as_deref(), Some("options.method"));
}

#[test]
fn data_sets_that_cannot_work_are_refused_before_any_upload() {
    for roles in [
        &[][..],
        &["validation"],
        &["training", "training"],
        &["training", "test"],
        &["training", "validation", "validation"],
    ] {
        let datasets = roles.iter().map(|role| dataset(role)).collect();
        let failure = check(&Request { datasets, ..request() }).unwrap_err();
        assert_eq!(
            (failure.code.as_str(), failure.param.as_deref()),
            ("invalid-request", Some("datasets")),
            "{roles:?}"
        );
    }
    let failure = check(&Request { datasets: vec![dataset("training")], ..request() }).unwrap_err();
    assert_eq!(failure.code, "unsupported");
}

#[test]
fn a_finished_job_names_its_model_and_what_it_used() {
    let body = r#"{"object":"fine_tuning.job","id":"ftjob-1","model":"m","created_at":1,"fine_tuned_model":"ft:m:acme::1","status":"succeeded","trained_tokens":5768,"error":{}}"#;
    let Step::Done(outcome) = stepped(body).unwrap() else { panic!("it is done") };
    assert!(matches!(&outcome.outputs[..], [Output::Model(model)] if model == "ft:m:acme::1"));
    assert_eq!((outcome.usage[0].meter.as_str(), outcome.usage[0].quantity), ("training-tokens", 5768));
}

#[test]
fn a_running_job_is_a_ticket_and_a_failed_one_says_why() {
    let Step::Pending(ticket) = stepped(r#"{"id":"ftjob-1","status":"queued"}"#).unwrap() else {
        panic!("it is not done")
    };
    assert_eq!(decoded(&ticket.state).unwrap().job, "ftjob-1");
    let body = r#"{"id":"f","status":"failed","error":{"code":"invalid_training_file","message":"line 3 is no JSON","param":"training_file"}}"#;
    let failure = stepped(body).err().unwrap();
    assert_eq!(failure.code, "invalid-request");
    assert_eq!(
        (failure.message.as_str(), failure.param.as_deref()),
        ("line 3 is no JSON", Some("training_file"))
    );
    assert_eq!(stepped(r#"{"id":"f","status":"cancelled"}"#).err().unwrap().code, "canceled");
    assert_eq!(stepped(r#"{"id":"f","status":"odd"}"#).err().unwrap().code, "bad-response");
}

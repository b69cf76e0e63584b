//! Batches whose content is gone behind the host's back.

use atelier_domain::account::{Role, Scope, User};
use atelier_domain::batch::{
    AnswerBody, Batch, BatchEndpoint, BatchState, Counts, EndedLine, LineEnd, Moments,
};
use atelier_domain::blob::BlobId;
use atelier_domain::id::{BatchId, FileId, KeyId, UserId};
use atelier_domain::store::{AccountStore as _, BatchStore as _};
use atelier_domain::time::Timestamp;
use atelier_server::app::Running;
use atelier_storage::Store;
use serde_json::{Value, json};

use crate::host::{config, json as body};

/// Content that nobody has.
const GONE: BlobId = BlobId([7; 32]);

fn batch(owner: UserId, state: BatchState) -> Batch {
    Batch {
        id: BatchId::new(),
        owner,
        key: KeyId::new(),
        endpoint: BatchEndpoint::ChatCompletions,
        input_file: FileId::new(),
        input: GONE,
        input_size: 100,
        metadata: Vec::new(),
        output_expires_after: None,
        state,
        created: Timestamp(1),
        expires: Timestamp(u64::MAX),
        moments: Moments::default(),
        mistakes: Vec::new(),
        model: None,
        counts: Counts { total: 3, completed: 0, failed: 0 },
        output_file: None,
        error_file: None,
    }
}

fn answered(number: u32, body: AnswerBody) -> EndedLine {
    let end = LineEnd::Answered { status: 200, request_id: format!("req_{number}"), body };
    EndedLine { number, custom_id: format!("line-{number}"), end }
}

#[tokio::test]
async fn what_was_answered_is_kept_although_the_input_or_an_answer_is_gone() {
    let folder = tempfile::tempdir().expect("a folder");
    let config = || config(folder.path(), |text| text);
    let owner = UserId::new();
    let (running, writing) = (batch(owner, BatchState::InProgress), batch(owner, BatchState::Finalizing));
    {
        // What a process leaves that is killed at this moment.
        let store = Store::open(config().storage.database()).expect("opened");
        let (name, role) = ("ada".to_owned(), Role::User);
        store
            .create_user(&User {
                id: owner,
                name,
                role,
                created: Timestamp(1),
                disabled: false,
                verified: None,
            })
            .expect("a user");
        for batch in [&running, &writing] {
            store.create_batch(batch).expect("begun");
            let one = answered(1, AnswerBody::Inline("{\"said\":\"one\"}".to_owned()));
            store.end_line(batch.id, &one).expect("ended");
        }
        let gone = answered(2, AnswerBody::Blob { id: GONE, size: 40_000 });
        store.end_line(writing.id, &gone).expect("ended");
    }
    let host = Running::start(config()).await.expect("it starts");
    let key = host.app.accounts.create_key(owner, "test", Scope::ALL.to_vec(), None).await.expect("a key");
    let client = reqwest::Client::builder().no_proxy().build().expect("a client");
    let get = async |path: String| {
        let request = client.get(format!("http://{}{path}", host.address)).bearer_auth(key.secret.reveal());
        request.send().await.expect("answered")
    };
    let ended = async |id: BatchId| loop {
        let now = body(get(format!("/v1/batches/batch_{}", id.simple())).await, 200).await;
        if matches!(now["status"].as_str(), Some("failed" | "completed")) {
            break now;
        }
        tokio::time::sleep(std::time::Duration::from_millis(5)).await;
    };
    let lines = async |file: &Value| -> Vec<Value> {
        let id = file.as_str().expect("a file");
        let text = get(format!("/v1/files/{id}/content")).await.text().await.expect("a body");
        text.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect()
    };
    let failed = ended(running.id).await;
    assert_eq!(
        (&failed["status"], &failed["errors"]["data"][0]["code"]),
        (&json!("failed"), &json!("content_missing"))
    );
    assert_eq!(failed["request_counts"], json!({"total": 3, "completed": 1, "failed": 0}));
    assert_eq!(lines(&failed["output_file_id"]).await[0]["response"]["body"], json!({"said": "one"}));

    let completed = ended(writing.id).await;
    assert_eq!(completed["status"], "completed");
    let output = lines(&completed["output_file_id"]).await;
    assert_eq!(output[0]["response"]["body"], json!({"said": "one"}));
    assert_eq!((&output[1]["custom_id"], &output[1]["response"]), (&json!("line-2"), &Value::Null));
    assert_eq!(output[1]["error"]["code"], "content_missing");
    host.stop().await;
}

use std::collections::HashMap;

use mock_upstream::{Config, MockUpstream};

use crate::installed::answered;
use crate::sse::{Event, Reader};
use crate::{begin, start, stranger};

fn is_final(event: &Event) -> bool {
    ["generation.succeeded", "generation.failed", "generation.canceled"].contains(&event.name.as_str())
}

#[tokio::test]
async fn a_reader_goes_on_after_the_host_was_killed_with_no_event_lost_or_doubled() {
    let upstream = MockUpstream::start(Config { polls_to_finish: 3, ..Config::default() }).await.expect("it");
    let mut atelier = start(&upstream, "").await;
    let mut jobs = Vec::new();
    let mut reader = Reader::open(atelier.get("/api/v1/events?last_event_id=0"), None).await;
    let mut seen: Vec<Event> = Vec::new();
    for kill in 0..3 {
        for _ in 0..2 {
            jobs.push(begin(&atelier).await);
        }
        // In the middle of whatever it is doing.
        let enough = seen.len() + 3;
        while seen.len() < enough {
            seen.push(reader.next().await.expect("there is more"));
        }
        atelier.kill();
        // What was on its way when it died.
        while let Some(event) = reader.next().await {
            seen.push(event);
        }
        atelier.restart();
        if kill == 1 {
            // Something happens while nobody looks.
            jobs.push(begin(&atelier).await);
        }
        let last = seen.last().expect("some").sequence();
        reader = Reader::open(atelier.get("/api/v1/events"), Some(last)).await;
    }
    while seen.iter().filter(|event| is_final(event)).count() < jobs.len() {
        seen.push(reader.next().await.expect("there is more"));
    }
    let numbers: Vec<u64> = seen.iter().map(Event::sequence).collect();
    assert_eq!(numbers, (1..=numbers.len() as u64).collect::<Vec<_>>(), "each once, in order");
    let mut by_job: HashMap<&str, Vec<&Event>> = HashMap::new();
    for event in &seen {
        assert_eq!(event.data["sequence"], event.sequence());
        assert!(
            !event.data.to_string().contains("CANARY"),
            "events tell nothing that callers sent: {event:?}"
        );
        by_job.entry(event.job()).or_default().push(event);
    }
    assert_eq!(by_job.len(), jobs.len());
    for job in &jobs {
        let events = &by_job[job.as_str()];
        assert_eq!(events[0].name, "generation.queued");
        assert!(events.last().is_some_and(|event| is_final(event)), "{events:?}");
        assert_eq!(events.iter().filter(|event| is_final(event)).count(), 1);
    }
    // Another reader from the beginning gets the same.
    let mut again = Reader::open(atelier.get("/api/v1/events"), Some(0)).await;
    for event in &seen {
        assert_eq!(again.next().await.as_ref(), Some(event));
    }
}

#[tokio::test]
async fn a_job_s_feed_ends_with_the_job_and_is_its_owner_s_alone() {
    let upstream = MockUpstream::start(Config { polls_to_finish: 2, ..Config::default() }).await.expect("it");
    let atelier = start(&upstream, "[events]\nfeeds_per_user = 2\n").await;
    let job = begin(&atelier).await;
    let path = format!("/api/v1/generations/{job}/events");
    let mut reader = Reader::open(atelier.get(&path), None).await;
    let mut seen = Vec::new();
    while let Some(event) = reader.next().await {
        seen.push(event);
    }
    assert_eq!(seen[0].name, "generation.queued");
    let last = seen.last().expect("some");
    assert_eq!(last.name, "generation.succeeded", "{seen:?}");
    assert_eq!((last.job(), &last.data["data"]["outputs"]), (job.as_str(), &serde_json::json!(1)));
    let over = atelier.get(&path).header("last-event-id", last.sequence()).send().await.expect("answered");
    assert_eq!(over.status(), 204, "the word at which a browser asks no more");

    let bob = stranger(&atelier).await;
    let foreign = atelier.client.get(format!("{}{path}", atelier.base)).bearer_auth(&bob);
    let (status, _) = answered(foreign.send().await.expect("answered")).await;
    assert_eq!(status, 404);
    for (path, code) in [
        ("/api/v1/generations/nothing/events", "invalid_value"),
        ("/api/v1/events?last_event_id=x", "invalid_value"),
        ("/api/v1/events?from=1", "unknown_parameter"),
    ] {
        let (status, refused) = answered(atelier.get(path).send().await.expect("answered")).await;
        assert_eq!((status, refused["code"].as_str()), (400, Some(code)), "{path}");
    }
    let _first = Reader::open(atelier.get("/api/v1/events"), None).await;
    let _second = Reader::open(atelier.get("/api/v1/events"), None).await;
    let (status, refused) = answered(atelier.get("/api/v1/events").send().await.expect("answered")).await;
    assert_eq!((status, refused["code"].as_str()), (429, Some("too_many")));
    let metrics = atelier.client.get(format!("{}/metrics", atelier.admin)).send().await.expect("answered");
    let metrics = metrics.text().await.expect("a body");
    assert!(metrics.contains("\natelier_event_feeds 2\n"), "{metrics}");
}

//! What live calls cost that were left, or of which nobody tells what they used.

use atelier_domain::blob::Blob;
use atelier_domain::failure::FailureCode;
use atelier_domain::generation::chat::ChatEvent;
use atelier_domain::generation::empty_object;
use atelier_domain::generation::transcription::{TranscriptionEvent, TranscriptionRequest};
use atelier_domain::generation::usage::UsageLine;
use atelier_domain::model::Task;
use atelier_domain::money::MicroCredits;
use atelier_domain::store::LedgerStore as _;
use atelier_service::ServiceError;
use atelier_service::caller::Caller;
use atelier_service::generation::Live;
use futures::StreamExt;

use crate::jobs::stores;
use crate::live_money::{Desk, answer, desk, last, settings};
use crate::money::{amount, rich, settings_of};
use crate::scripted::{Scripted, Talk};

impl Desk {
    async fn hear(&self, caller: &Caller, audio: &[u8]) -> Result<Live<TranscriptionEvent>, ServiceError> {
        let resolved = self.generations.resolve(caller, "scripted/ears", Task::Transcription).await?;
        let request = TranscriptionRequest {
            model: String::new(),
            audio: Blob::in_memory("audio/wav", audio.to_vec().into()),
            filename: "talk.wav".to_owned(),
            language: None,
            prompt: None,
            temperature: None,
            translate: false,
            word_times: false,
            segment_times: false,
            speakers: false,
            logprobs: false,
            stream: true,
            options: empty_object(),
        };
        self.generations.transcribe(caller, resolved, request)
    }
}

/// Half a second of silence: 8,000 samples a second, of one channel and one byte.
fn half_a_second() -> Vec<u8> {
    let format = b"fmt \x10\0\0\0\x01\0\x01\0\x40\x1f\0\0\x40\x1f\0\0\x01\0\x08\0";
    let data = [&b"data\xa0\x0f\0\0"[..], &[0x80; 4_000]].concat();
    [&b"RIFF\xc4\x0f\0\0WAVE"[..], format, &data].concat()
}

#[tokio::test]
async fn a_transcription_whose_caller_leaves_costs_the_sound_that_was_sent_or_the_operators_price() {
    let (_folder, store, _) = stores();
    let provider = Scripted::new([]);
    *provider.hears.lock().expect("no panic") = Some(Vec::new());
    let settings = settings_of("scripted/ears", "audio-ms", 1, 700);
    let (desk, alice) = (desk(&store, &provider, settings).await, rich(&store, 5_000_000).await);
    let mp3 = b"ID3\x04\0\0\0\0\0\0".to_vec();
    for (sound, is_asked, cost) in [
        (half_a_second(), true, 500),
        (mp3.clone(), true, 700),
        // Nobody was asked: it was left first.
        (half_a_second(), false, 0),
        (mp3, false, 0),
    ] {
        let mut live = desk.hear(&alice, &sound).await.expect("begun");
        if is_asked {
            live.next().await.expect("it is asked").expect("no refusal");
        }
        drop(live);
        desk.ledger.settle().await.expect("folded");
        let record = last(&store, &alice);
        assert_eq!((record.outcome.as_str(), record.cost), ("abandoned", Some(amount(cost))));
        assert_eq!((record.is_estimated, record.is_unpriced), (is_asked, false));
    }
    let whole = TranscriptionEvent::Finished(Box::default());
    *provider.hears.lock().expect("no panic") = Some(vec![whole]);
    for (sound, cost) in [(half_a_second(), 500), (b"OggS".to_vec(), 700)] {
        let mut live = desk.hear(&alice, &sound).await.expect("begun");
        live.next().await.expect("it is asked").expect("no refusal");
        live.next().await.expect("it has heard").expect("all");
        drop(live);
        desk.ledger.settle().await.expect("folded");
        let record = last(&store, &alice);
        assert_eq!((record.outcome.as_str(), record.cost), ("ok", Some(amount(cost))), "no usage is told");
    }
    assert!(store.audit().expect("read").is_clean());
}

#[tokio::test]
async fn a_chat_left_before_its_first_word_costs_what_was_asked_if_its_provider_was() {
    let (_folder, store, _) = stores();
    let provider = Scripted::new([]);
    let (desk, alice) = (desk(&store, &provider, settings()).await, rich(&store, 5_000).await);
    for (charges, cost) in [(Some(false), 6), (Some(true), 6), (None, 0)] {
        let talk = Talk { charges, waits: true, ..Talk::saying("nobody hears it") };
        provider.talks.lock().expect("no panic").push_back(talk);
        let mut live = desk.ask(&alice).await.expect("begun");
        tokio::select! {
            event = live.next() => panic!("{event:?}"),
            () = provider.charged.notified() => {}
        }
        drop(live);
        desk.ledger.settle().await.expect("folded");
        assert_eq!(last(&store, &alice).cost, Some(amount(cost)), "{charges:?}");
    }
    // What its provider refused or failed at is no delivery.
    for code in [FailureCode::RateLimited, FailureCode::Overloaded] {
        provider.talks.lock().expect("no panic").push_back(Talk::failing(code));
        desk.whole(&alice).await.expect_err("it fails");
        desk.ledger.settle().await.expect("folded");
        assert_eq!(last(&store, &alice).cost, Some(MicroCredits::ZERO), "{code}");
    }
}

#[tokio::test]
async fn absurd_usage_of_one_plugin_stops_nobodys_calls() {
    let (_folder, store, _) = stores();
    let provider = Scripted::new([]);
    let word = "\u{1}".repeat(64);
    let absurd =
        UsageLine { meter: word.clone(), quantity: u64::MAX, attributes: vec![(word.clone(), word); 8] };
    let mut events = answer(None).expect("events");
    events.push(ChatEvent::Usage(vec![absurd; 1_000]));
    *provider.chat.lock().expect("no panic") = Some(events);
    let (desk, alice) = (desk(&store, &provider, settings()).await, rich(&store, 5_000).await);
    for _ in 0..2 {
        desk.whole(&alice).await.expect("answered, and the next is let in");
    }
    desk.ledger.settle().await.expect("folded");
    let record = last(&store, &alice);
    assert_eq!((record.is_estimated, record.cost), (true, Some(amount(6 + 20))), "as if it had told nothing");
}

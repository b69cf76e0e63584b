//! Templates over providers that repeat what they are told, on the real store.

use std::collections::HashMap;
use std::sync::Arc;

use atelier_domain::account::{Principal, Role, Scope};
use atelier_domain::failure::FailureCode;
use atelier_domain::hidden::Hidden;
use atelier_domain::id::{KeyId, TemplateId};
use atelier_domain::job::{Job, JobState, StoredOutput};
use atelier_domain::model::Task;
use atelier_domain::template::{Audience, Settings, Template, TemplateFilter, Variable, VariableKind};
use atelier_domain::time::SystemClock;
use atelier_service::caller::Caller;
use atelier_service::meter::NoMeter;
use atelier_service::registry::Registry;
use atelier_service::templates::{Given, NewTemplate, PromptFault, Templates};
use atelier_service::{ServiceError, StoragePool, StoragePoolLimits};
use atelier_storage::Store;
use serde_json::json;

use crate::jobs::{Engine, caller, end_of, stores};
use crate::scripted::{Act, Scripted};

const CANARY: &str = "canary-4711-heron";

async fn templates(store: &Arc<Store>, provider: &Arc<Scripted>) -> Templates {
    let clock = Arc::new(SystemClock::default());
    let registry = Arc::new(Registry::new(HashMap::new(), clock.clone(), Arc::new(NoMeter)));
    registry.put(&"scripted".parse().expect("a name"), provider.clone()).await;
    Templates::new(store.clone(), StoragePool::new(StoragePoolLimits::default()), clock, registry)
}

fn administrator() -> Caller {
    let caller = caller();
    let (user, key) = (caller.user(), KeyId::new());
    let principal = Principal {
        user,
        role: Role::Administrator,
        key,
        scopes: Scope::ALL.to_vec(),
        expires: None,
        session: None,
    };
    Caller { principal: Arc::new(principal), ..caller }
}

fn poster() -> NewTemplate {
    let what = VariableKind::Text { characters_max: 40, default: None };
    NewTemplate {
        name: "poster".to_owned(),
        description: String::new(),
        scene: Some("shop".to_owned()),
        tags: ["wall".to_owned()].into(),
        task: Task::ImageGeneration,
        model: "scripted/painter".to_owned(),
        variables: vec![Variable {
            name: "what".to_owned(),
            description: String::new(),
            required: true,
            kind: what,
        }],
        text_characters_max: 20,
        prompt: Some(Hidden::new(format!("Paint {{{{ what }}}} as {CANARY} would"))),
        negative_prompt: Some(Hidden::new("no {{ what }} upside down")),
        options: None,
        settings: Settings { count: Some(2), ..Settings::default() },
        audience: Audience::Everyone,
    }
}

fn given(what: &str) -> Given {
    Given { variables: json!({"what": what}).as_object().cloned().expect("an object"), text: None }
}

async fn begun(engine: &Engine, templates: &Templates, caller: &Caller, id: TemplateId, given: Given) -> Job {
    let filled = templates.fill(caller, id, given).await.expect("filled in");
    engine.jobs.admit_filled(caller, filled, Vec::new()).await.expect("admitted")
}

#[tokio::test]
async fn a_job_goes_on_after_a_restart_with_the_version_that_it_began_with() {
    let (_folder, store, blobs) = stores();
    let provider = Scripted::new([Act::Done("first"), Act::Done("second")]);
    let (templates, admin, alice) = (templates(&store, &provider).await, administrator(), caller());
    let template = templates.create(&admin, poster()).await.expect("created");
    // Admitted, and not submitted before the process ends.
    let resting = Engine::start(&store, &blobs, &provider).await.rest().await;
    let filled = templates.fill(&alice, template.id, given("a cat")).await.expect("filled in");
    let job = resting.admit_filled(&alice, filled, Vec::new()).await.expect("admitted");
    drop(resting);
    let next = NewTemplate { prompt: Some(Hidden::new("Draw {{ what }}")), ..poster() };
    let changed = templates.change(&admin, template.id, next).await.expect("changed");
    assert_eq!((changed.version, changed.created), (2, template.created));
    templates.archive(&admin, template.id).await.expect("archived");
    let engine = Engine::start(&store, &blobs, &provider).await;
    let ended = end_of(&engine, &alice, &job).await;
    assert_eq!(ended.state, JobState::Succeeded, "{ended:?}");
    let sent = provider.seen.lock().expect("no panic").media.clone();
    assert_eq!(sent.len(), 1);
    assert_eq!(sent[0].prompt.as_deref(), Some("Paint a cat as canary-4711-heron would"));
    assert_eq!(sent[0].negative_prompt.as_deref(), Some("no a cat upside down"));
    assert_eq!(sent[0].count, 2);
    let used = ended.request.template.as_deref().expect("it is known");
    assert_eq!((used.version, used.variables.as_str()), (1, r#"{"what":"a cat"}"#));
    assert_eq!(ended.request.prompt, None, "nothing that shows a job's prompt shows this one");
    engine.stop().await;
}

#[tokio::test]
async fn what_a_provider_repeats_of_a_hidden_prompt_is_kept_nowhere_but_in_the_request() {
    let (_folder, store, blobs) = stores();
    let provider = Scripted::new([
        Act::FailEchoing(FailureCode::InvalidRequest),
        Act::DoneEchoing,
        Act::Fail(FailureCode::ContentRefused),
    ]);
    let (templates, alice) = (templates(&store, &provider).await, caller());
    let template = templates.create(&administrator(), poster()).await.expect("created");
    let engine = Engine::start(&store, &blobs, &provider).await;
    let failed = begun(&engine, &templates, &alice, template.id, given("a cat")).await;
    let failed = end_of(&engine, &alice, &failed).await;
    let error = failed.error.expect("why");
    assert_eq!(error.code, "invalid-request");
    assert!(error.message.contains("not shown") && !error.message.contains("canary"), "{error:?}");
    let done = begun(&engine, &templates, &alice, template.id, given("a dog")).await;
    let done = end_of(&engine, &alice, &done).await;
    assert_eq!(done.state, JobState::Succeeded, "{done:?}");
    let StoredOutput::Media { revised_prompt, attributes, seed, .. } = &done.outputs[0] else {
        panic!("{done:?}");
    };
    assert_eq!((revised_prompt, attributes.is_empty(), *seed), (&None, true, Some(7)));
    assert!(done.usage.iter().all(|line| line.attributes.is_empty()), "{done:?}");
    let refused = begun(&engine, &templates, &alice, template.id, given("a hen")).await;
    let refused = end_of(&engine, &alice, &refused).await;
    assert_eq!(refused.error.expect("why").message, "as the script says", "other words are passed on");
    engine.stop().await;
}

#[tokio::test]
async fn a_template_is_for_whom_it_says_and_written_by_administrators() {
    let (_folder, store, _) = stores();
    let provider = Scripted::new([]);
    let (templates, admin, alice, bob) =
        (templates(&store, &provider).await, administrator(), caller(), caller());
    let refused = templates.create(&alice, poster()).await;
    assert!(matches!(refused, Err(ServiceError::ScopeMissing(Scope::Admin))), "{refused:?}");
    let named = |name: &str, audience| NewTemplate { name: name.to_owned(), audience, ..poster() };
    let hers = named("hers", Audience::Users([alice.user()].into()));
    let hers = templates.create(&admin, hers).await.expect("created");
    let ours = templates.create(&admin, named("ours", Audience::Administrators)).await.expect("created");
    let all = templates.create(&admin, poster()).await.expect("created");
    let seen = async |caller: &Caller| -> Vec<TemplateId> {
        let listed = templates.list(caller, TemplateFilter::default(), None, 10).await.expect("listed");
        listed.into_iter().map(|template| template.id).collect()
    };
    assert_eq!(seen(&admin).await, [all.id, ours.id, hers.id]);
    assert_eq!(seen(&alice).await, [all.id, hers.id]);
    assert_eq!(seen(&bob).await, [all.id]);
    for (id, caller) in [(hers.id, &bob), (ours.id, &bob), (ours.id, &alice), (TemplateId::new(), &admin)] {
        for refused in [
            templates.get(caller, id).await.map(drop),
            templates.fill(caller, id, given("a cat")).await.map(drop),
        ] {
            assert!(matches!(refused, Err(ServiceError::NotFound { .. })), "{refused:?}");
        }
    }
    for refused in [
        templates.change(&alice, hers.id, poster()).await.map(drop),
        templates.archive(&alice, hers.id).await,
        templates.seed(&alice, vec![poster()]).await.map(drop),
        templates.clear(&alice, TemplateFilter::default()).await.map(drop),
    ] {
        assert!(matches!(refused, Err(ServiceError::ScopeMissing(_))), "{refused:?}");
    }
    assert!(templates.fill(&alice, hers.id, given("a cat")).await.is_ok());
}

#[tokio::test]
async fn a_seed_is_written_whole_or_not_at_all_and_changes_nothing_the_second_time() {
    let (_folder, store, _) = stores();
    let (templates, admin) = (templates(&store, &Scripted::new([])).await, administrator());
    let named = |name: &str| NewTemplate { name: name.to_owned(), ..poster() };
    let bad = NewTemplate { prompt: Some(Hidden::new("{% include \"x\" %}")), ..named("b") };
    let refused = templates.seed(&admin, vec![named("a"), bad]).await.expect_err("refused");
    assert!(
        matches!(&refused, ServiceError::Invalid { param, message } if param == "templates[1].prompt" && message.starts_with("line 1: ")),
        "{refused:?}"
    );
    let all = TemplateFilter::default();
    assert!(templates.list(&admin, all.clone(), None, 10).await.expect("listed").is_empty());
    let first = templates.seed(&admin, vec![named("a"), named("b")]).await.expect("seeded");
    assert_eq!((first.created, first.changed), (2, 0));
    let again = templates.seed(&admin, vec![named("a"), named("b")]).await.expect("seeded");
    assert_eq!((again.created, again.changed), (0, 0));
    assert_eq!(again.templates, first.templates);
    let other = NewTemplate { description: "new".to_owned(), ..named("b") };
    let third = templates.seed(&admin, vec![named("a"), other, named("c")]).await.expect("seeded");
    assert_eq!((third.created, third.changed), (1, 1));
    let versions: Vec<_> = third.templates.iter().map(|template| template.version).collect();
    assert_eq!(versions, [1, 2, 1]);
    let twice = templates.seed(&admin, vec![named("d"), named("d")]).await;
    assert!(matches!(twice, Err(ServiceError::Invalid { .. })), "{twice:?}");
    let nowhere = TemplateFilter { scene: Some("nowhere".to_owned()), tag: None };
    assert_eq!(templates.clear(&admin, nowhere).await.expect("cleared"), 0);
    assert_eq!(templates.clear(&admin, all).await.expect("cleared"), 3);
}

#[tokio::test]
async fn what_cannot_be_filled_in_is_refused_with_the_variable_or_a_typed_fault() {
    let (_folder, store, _) = stores();
    let (templates, admin) = (templates(&store, &Scripted::new([])).await, administrator());
    let template = templates.create(&admin, poster()).await.expect("created");
    let refusal = async |variables: serde_json::Value, text: Option<&str>| {
        let variables = variables.as_object().cloned().expect("an object");
        let given = Given { variables, text: text.map(str::to_owned) };
        match templates.fill(&admin, template.id, given).await.expect_err("refused") {
            ServiceError::Invalid { param, .. } | ServiceError::Prompt { param, .. } => param,
            other => panic!("{other:?}"),
        }
    };
    for (variables, text, param) in [
        (json!({}), None, "variables.what"),
        (json!({"what": 1}), None, "variables.what"),
        (json!({"what": "x".repeat(41)}), None, "variables.what"),
        (json!({"what": "a\u{0}b"}), None, "variables.what"),
        (json!({"what": "a", "other": 1}), None, "variables.other"),
        (json!({"what": "a"}), Some("x".repeat(21)), "text"),
        (json!({"what": "a"}), Some("\u{7f}".to_owned()), "text"),
    ] {
        assert_eq!(refusal(variables, text.as_deref()).await, param);
    }
    let endless = "{% for i in range(99999) %}{% for j in range(99999) %}{% endfor %}{% endfor %}";
    let endless = NewTemplate { prompt: Some(Hidden::new(endless)), ..poster() };
    let endless = templates.change(&admin, template.id, endless).await.expect("it is well formed");
    let ended = templates.fill(&admin, endless.id, given("a")).await;
    assert!(matches!(ended, Err(ServiceError::Template(PromptFault::Endless))), "{ended:?}");
}

#[tokio::test]
async fn only_what_its_model_can_do_becomes_a_template() {
    let (_folder, store, _) = stores();
    let (templates, admin) = (templates(&store, &Scripted::new([])).await, administrator());
    let with = |change: fn(&mut NewTemplate)| {
        let mut new = poster();
        change(&mut new);
        new
    };
    let cannot = templates.create(&admin, with(|new| new.task = Task::VideoGeneration)).await;
    assert!(matches!(cannot, Err(ServiceError::ModelCannot { .. })), "{cannot:?}");
    let unknown = templates.create(&admin, with(|new| new.model = "scripted/nobody".to_owned())).await;
    assert!(matches!(unknown, Err(ServiceError::ModelUnknown { .. })), "{unknown:?}");
    type Change = fn(&mut NewTemplate);
    let bad: [(Change, &str); 12] = [
        (|new| new.options = Some(Hidden::new(r#"{"steps":4}"#)), "steps"),
        (|new| new.options = Some(Hidden::new("[]")), "options"),
        (|new| new.prompt = None, "prompt"),
        (|new| new.prompt = Some(Hidden::new("x".repeat(Template::SOURCE_BYTES_MAX + 1))), "prompt"),
        (|new| new.negative_prompt = Some(Hidden::new("{{ nobody }}")), "negative_prompt"),
        (|new| new.task = Task::Embedding, "task"),
        (|new| new.name = " ".to_owned(), "name"),
        (|new| new.text_characters_max = 2_001, "text_max"),
        (|new| new.settings.count = Some(17), "settings.count"),
        (|new| new.settings.top_p = Some(0.5), "settings.top_p"),
        (|new| new.variables[0].name = "text".to_owned(), "variables[0].name"),
        (|new| new.audience = Audience::Users([].into()), "users"),
    ];
    for (change, path) in bad {
        let refused = templates.create(&admin, with(change)).await.expect_err(path);
        assert!(
            matches!(&refused, ServiceError::Invalid { param, .. } if param == path),
            "{path}: {refused:?}"
        );
    }
}

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use futures::FutureExt;

use super::*;

/// A model that holds its room until it is evicted, which it refuses while it is busy.
#[derive(Default)]
struct Model {
    busy: AtomicBool,
    room: Arc<Mutex<Option<Room>>>,
    evictions: AtomicUsize,
}

impl Resident for Model {
    fn evict(&self) -> Option<BoxFuture<'static, ()>> {
        if self.busy.load(Ordering::SeqCst) {
            return None;
        }
        self.evictions.fetch_add(1, Ordering::SeqCst);
        let room = self.room.clone();
        Some(async move { drop(room.lock().expect("no panic").take()) }.boxed())
    }
}

impl Model {
    async fn load(self: &Arc<Self>, budget: &Budget, bytes: u64) -> Result<(), EngineError> {
        let resident: Arc<dyn Resident> = self.clone();
        let room = budget.take(Memory::Processor, &needs(bytes), Arc::downgrade(&resident)).await?;
        *self.room.lock().expect("no panic") = Some(room);
        Ok(())
    }

    fn is_loaded(&self) -> bool {
        self.room.lock().expect("no panic").is_some()
    }

    fn touch(&self) {
        self.room.lock().expect("no panic").as_ref().expect("loaded").touch();
    }
}

fn needs(bytes: u64) -> Needs {
    Needs { ends_bytes: bytes, ..Needs::default() }
}

/// 100 bytes.
fn budget(waited_max: Duration) -> Budget {
    Budget::made(100, waited_max, false)
}

fn model() -> Arc<Model> {
    Arc::default()
}

#[tokio::test]
async fn the_least_recently_used_idle_model_makes_room() {
    let budget = budget(Duration::ZERO);
    let [a, b, c] = [model(), model(), model()];
    a.load(&budget, 50).await.expect("it fits");
    b.load(&budget, 50).await.expect("it fits, to the byte");
    a.touch();
    c.load(&budget, 50).await.expect("one makes room");
    assert_eq!([a.is_loaded(), b.is_loaded(), c.is_loaded()], [true, false, true]);
    a.busy.store(true, Ordering::SeqCst);
    b.load(&budget, 1).await.expect("the idle one goes, though it was used later");
    assert_eq!([a.is_loaded(), b.is_loaded(), c.is_loaded()], [true, true, false]);
    assert_eq!(budget.used_bytes(), 51);
}

#[tokio::test]
async fn what_never_fits_is_refused_with_the_numbers_and_nothing_is_unloaded_for_it() {
    let budget = budget(Duration::from_secs(60));
    let (a, b) = (model(), model());
    a.load(&budget, 50).await.expect("it fits");
    let Err(EngineError::Model(error)) = b.load(&budget, 101).await else { panic!("it was loaded") };
    assert!(matches!(*error, ModelError::DoesNotFit { needed_bytes: 101, limit_bytes: 100 }), "{error}");
    assert!(a.is_loaded());
}

#[tokio::test]
async fn a_busy_model_is_waited_for_within_bounds() {
    let budget = budget(Duration::from_millis(300));
    let (a, b) = (model(), model());
    a.load(&budget, 60).await.expect("it fits");
    a.busy.store(true, Ordering::SeqCst);
    let begun = Instant::now();
    let refused = b.load(&budget, 60).await;
    assert!(
        matches!(refused, Err(EngineError::NoRoom { needed_bytes: 60, free_bytes: 40, total_bytes: 100 })),
        "{refused:?}"
    );
    assert!(begun.elapsed() >= Duration::from_millis(300));
    let freeing = async {
        tokio::time::sleep(Duration::from_millis(60)).await;
        a.busy.store(false, Ordering::SeqCst);
    };
    let (loaded, ()) = tokio::join!(b.load(&budget, 60), freeing);
    loaded.expect("it became idle in time");
    assert_eq!([a.is_loaded(), b.is_loaded()], [false, true]);
}

#[tokio::test]
async fn a_large_model_that_waits_is_not_overtaken_by_small_ones() {
    let budget = budget(Duration::from_secs(60));
    let (a, large, small) = (model(), model(), model());
    a.load(&budget, 60).await.expect("it fits");
    a.busy.store(true, Ordering::SeqCst);
    large.busy.store(true, Ordering::SeqCst);
    let order = Mutex::new(Vec::new());
    let load = async |name, model: &Arc<Model>, bytes| {
        model.load(&budget, bytes).await.expect("in time");
        order.lock().expect("no panic").push(name);
    };
    let freeing = async {
        tokio::time::sleep(Duration::from_millis(60)).await;
        a.busy.store(false, Ordering::SeqCst);
    };
    tokio::join!(load("large", &large, 90), load("small", &small, 10), freeing);
    assert_eq!(*order.lock().expect("no panic"), ["large", "small"]);
}

#[tokio::test]
async fn one_waiting_model_too_many_is_refused_at_once() {
    let budget = budget(Duration::from_secs(60));
    let _all = budget.shared.places.acquire_many(WAITING_MAX as u32).await.expect("open");
    assert!(matches!(model().load(&budget, 1).await, Err(EngineError::NoRoom { .. })));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_at_once_never_exceed_the_budget() {
    let budget = budget(Duration::from_secs(60));
    let tasks: Vec<_> = (0..20)
        .map(|index| {
            let (budget, model) = (budget.clone(), model());
            tokio::spawn(async move {
                for round in 0..20 {
                    model.load(&budget, 20 + (index * 7 + round) % 60).await.expect("all are idle");
                    assert!(budget.used_bytes() <= 100);
                    tokio::task::yield_now().await;
                    drop(model.room.lock().expect("no panic").take());
                }
            })
        })
        .collect();
    for task in tasks {
        task.await.expect("no panic");
    }
    assert_eq!(budget.used_bytes(), 0);
}

impl Model {
    async fn load_on(self: &Arc<Self>, budget: &Budget, card: Device, bytes: u64) -> Result<(), EngineError> {
        let resident: Arc<dyn Resident> = self.clone();
        let ask = || card;
        let room = budget.take(Memory::Card(&ask), &needs(bytes), Arc::downgrade(&resident)).await?;
        *self.room.lock().expect("no panic") = Some(room);
        Ok(())
    }
}

#[tokio::test]
async fn a_card_has_a_budget_of_its_own() {
    let budget = budget(Duration::ZERO);
    let (processor, [a, b, c]) = (model(), [model(), model(), model()]);
    let card = Device::unused(1000);
    processor.load(&budget, 90).await.expect("it fits");
    a.load_on(&budget, card, 600).await.expect("it fits the card, and takes nothing of the processor's");
    assert_eq!(budget.used_bytes(), 90);
    // The card says that all is free: what was promised to the first is not.
    b.load_on(&budget, card, 500).await.expect("the first makes room");
    assert_eq!([processor.is_loaded(), a.is_loaded(), b.is_loaded()], [true, false, true]);
    b.busy.store(true, Ordering::SeqCst);
    let Err(EngineError::NoRoom { needed_bytes: 600, free_bytes: 500, total_bytes: 1000 }) =
        c.load_on(&budget, card, 600).await
    else {
        panic!("it was loaded")
    };
    c.load_on(&budget, card, 500).await.expect("beside it, to the byte");
}

/// Memory of a card that another process has is nobody's here: it is not waited for.
#[tokio::test]
async fn what_another_process_has_of_a_card_is_not_waited_for() {
    let budget = budget(Duration::from_secs(60));
    let card = Device { free_bytes: 300, ..Device::unused(1000) };
    let Err(EngineError::Model(error)) = model().load_on(&budget, card, 301).await else {
        panic!("it was loaded")
    };
    assert!(matches!(*error, ModelError::DoesNotFit { needed_bytes: 301, limit_bytes: 300 }), "{error}");
    model().load_on(&budget, card, 300).await.expect("it fits");
}

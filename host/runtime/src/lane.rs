//! The slow lane. A guest that has computed for a tick within one poll has not paused for a millisecond: from then on its call runs in the
//! slow lane, on threads of lower priority, where it can no longer delay its neighbours.

use std::collections::HashMap;
use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, ready};

use tokio::runtime::Runtime;
use tokio::task::JoinHandle;

use crate::cpu::CpuMeter;

/// A call's future with its CPU clock running.
struct Metered<F: ?Sized> {
    meter: Arc<CpuMeter>,
    /// Whether it computes, as the calls in the slow lane do.
    computes: bool,
    future: Pin<Box<F>>,
}

impl<T> Future for Metered<dyn Future<Output = T> + Send> {
    type Output = T;
    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<T> {
        self.meter.begin_poll(self.computes);
        let polled = self.future.as_mut().poll(cx);
        self.meter.end_poll();
        polled
    }
}

/// The threads for calls that compute.
#[derive(Debug)]
pub struct SlowLane {
    runtime: Option<Runtime>,
    places: Mutex<Places>,
}

/// Who is in the lane.
#[derive(Debug)]
struct Places {
    free: usize,
    /// By plugin.
    taken: HashMap<Arc<str>, usize>,
}

impl Places {
    /// Takes a place, if there is one for this plugin: it may hold as many as would stay free for others (the dynamic threshold of
    /// shared packet buffers: Choudhury and Hahne, 1998). One plugin alone gets half of the lane, and however many it holds, others
    /// find room.
    fn take(&mut self, plugin: &Arc<str>) -> bool {
        let held = self.taken.get(plugin).copied().unwrap_or(0);
        if held >= self.free {
            return false;
        }
        self.free -= 1;
        self.taken.insert(Arc::clone(plugin), held + 1);
        true
    }

    fn give_back(&mut self, plugin: &Arc<str>) {
        self.free += 1;
        match self.taken.get_mut(plugin) {
            Some(held) if *held > 1 => *held -= 1,
            _ => drop(self.taken.remove(plugin)),
        }
    }
}

impl SlowLane {
    /// Starts its threads at a lower priority.
    ///
    /// # Errors
    /// The machine gives no threads.
    pub fn new(threads: usize, calls_max: usize) -> std::io::Result<Self> {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(threads)
            .thread_name("slow-lane")
            .on_thread_start(|| {
                // Without permission to be nice the lane still keeps spinning guests off the fast threads.
                let _ = rustix::process::setpriority_process(Some(rustix::thread::gettid()), 15);
            })
            .enable_all()
            .build()?;
        let places = Mutex::new(Places { free: calls_max, taken: HashMap::new() });
        Ok(Self { runtime: Some(runtime), places })
    }

    fn places(&self) -> MutexGuard<'_, Places> {
        self.places.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn enter(self: &Arc<Self>, plugin: &Arc<str>) -> Option<InLane> {
        self.places().take(plugin).then(|| InLane { lane: Arc::clone(self), plugin: Arc::clone(plugin) })
    }
}

impl Drop for SlowLane {
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

struct InLane {
    lane: Arc<SlowLane>,
    plugin: Arc<str>,
}

impl Drop for InLane {
    fn drop(&mut self) {
        self.lane.places().give_back(&self.plugin);
    }
}

/// Why a call ended without its own result.
#[derive(Debug, PartialEq, Eq)]
pub enum Stopped {
    /// The slow lane has no place for this plugin.
    LaneFull,
    /// The lane's thread lost it: a panic in host code.
    Lost(String),
}

/// A call that runs where it is polled until it overruns a tick, then in the slow lane. Dropping it ends the call.
pub struct TwoLanes<T: Send + 'static> {
    state: LaneState<T>,
    lane: Arc<SlowLane>,
    plugin: Arc<str>,
}

enum LaneState<T> {
    Fast(Metered<dyn Future<Output = T> + Send>),
    Slow(JoinHandle<T>),
    Done,
}

impl<T: Send + 'static> TwoLanes<T> {
    /// Wraps a call of a plugin.
    pub fn new(
        future: impl Future<Output = T> + Send + 'static,
        meter: Arc<CpuMeter>,
        lane: Arc<SlowLane>,
        plugin: Arc<str>,
    ) -> Self {
        Self {
            state: LaneState::Fast(Metered { meter, computes: false, future: Box::pin(future) }),
            lane,
            plugin,
        }
    }

    fn move_to_slow_lane(&mut self) -> Result<(), Stopped> {
        let LaneState::Fast(mut call) = std::mem::replace(&mut self.state, LaneState::Done) else {
            return Ok(());
        };
        call.computes = true;
        let place = self.lane.enter(&self.plugin).ok_or(Stopped::LaneFull)?;
        let runtime = self.lane.runtime.as_ref().ok_or(Stopped::LaneFull)?;
        self.state = LaneState::Slow(runtime.spawn(async move {
            let _place = place;
            call.await
        }));
        Ok(())
    }
}

impl<T: Send + 'static> Future for TwoLanes<T> {
    type Output = Result<T, Stopped>;
    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        if let LaneState::Fast(call) = &mut self.state {
            if let Poll::Ready(output) = Pin::new(&mut *call).poll(cx) {
                self.state = LaneState::Done;
                return Poll::Ready(Ok(output));
            }
            if !call.meter.has_overrun() {
                return Poll::Pending;
            }
            if let Err(stopped) = self.move_to_slow_lane() {
                return Poll::Ready(Err(stopped));
            }
        }
        match &mut self.state {
            LaneState::Slow(handle) => {
                let joined = ready!(Pin::new(handle).poll(cx));
                self.state = LaneState::Done;
                Poll::Ready(joined.map_err(|error| Stopped::Lost(error.to_string())))
            }
            LaneState::Fast(_) | LaneState::Done => Poll::Pending,
        }
    }
}

impl<T: Send + 'static> Drop for TwoLanes<T> {
    fn drop(&mut self) {
        if let LaneState::Slow(handle) = &self.state {
            handle.abort();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_plugin_never_takes_the_whole_lane_and_gives_back_what_it_took() {
        let mut places = Places { free: 16, taken: HashMap::new() };
        let take_all = |places: &mut Places, plugin: &Arc<str>| {
            std::iter::from_fn(|| places.take(plugin).then_some(())).count()
        };
        let plugins: Vec<Arc<str>> = ["a", "b", "c", "d", "e"].map(Arc::from).to_vec();
        let got: Vec<usize> = plugins.iter().map(|plugin| take_all(&mut places, plugin)).collect();
        assert_eq!(got, [8, 4, 2, 1, 1]);
        for _ in 0..8 {
            places.give_back(&plugins[0]);
        }
        assert_eq!((places.free, take_all(&mut places, &plugins[1])), (8, 2), "those that stay may grow");
        let mut single = Places { free: 1, taken: HashMap::new() };
        assert_eq!(take_all(&mut single, &plugins[0]), 1);
    }
}

//! Spans: begun where something is done, recorded when they are dropped.

use std::borrow::Cow;
use std::fmt::Debug;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use super::context::{SpanId, TraceContext, TraceId};
use super::state::TraceState;

/// Attributes of a span.
const ATTRIBUTES_MAX: usize = 32;
/// Characters of a text among them.
const TEXT_CHARACTERS_MAX: usize = 256;

/// Takes ended spans.
pub trait SpanSink: Send + Sync + Debug {
    /// Takes one, or drops and counts it: whoever ends a span waits for nothing.
    fn ended(&self, span: EndedSpan);
}

/// What a span is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SpanKind {
    /// A request that was answered.
    Server,
    /// A request that was made of somebody else.
    Client,
}

/// The value of an attribute.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SpanValue {
    Text(Cow<'static, str>),
    Number(i64),
    Texts(Vec<Cow<'static, str>>),
}

impl From<&'static str> for SpanValue {
    fn from(text: &'static str) -> Self {
        Self::Text(text.into())
    }
}
impl From<String> for SpanValue {
    fn from(text: String) -> Self {
        Self::Text(text.into())
    }
}
impl From<u64> for SpanValue {
    fn from(number: u64) -> Self {
        Self::Number(i64::try_from(number).unwrap_or(i64::MAX))
    }
}

/// A span with its end.
#[derive(Clone, Debug)]
pub struct EndedSpan {
    pub context: TraceContext,
    pub state: Option<TraceState>,
    pub parent: Option<SpanId>,
    /// The parent is another process'.
    pub is_parent_remote: bool,
    /// What else it was caused by, in another trace.
    pub link: Option<TraceContext>,
    pub kind: SpanKind,
    pub name: Cow<'static, str>,
    pub begun: SystemTime,
    pub duration: Duration,
    pub attributes: Vec<(&'static str, SpanValue)>,
    /// What it failed with, as a word out of few.
    pub error: Option<Cow<'static, str>>,
}

/// A span within its trace, as what it causes goes on from it. Cheap to copy.
#[derive(Clone, Debug)]
pub struct Trace(Arc<Point>);

#[derive(Debug)]
struct Point {
    context: TraceContext,
    state: Option<TraceState>,
    sink: Arc<dyn SpanSink>,
}

/// Something that is being done. Dropped, it has ended. Where its trace is not sampled, it is but its ids.
#[derive(Debug)]
pub struct Span {
    trace: Trace,
    record: Option<Box<Record>>,
}

#[derive(Debug)]
struct Record {
    started: Instant,
    span: EndedSpan,
}

/// Begins traces, and chooses which are recorded.
#[derive(Clone, Debug)]
pub struct Tracer {
    sink: Arc<dyn SpanSink>,
    /// Lots below it are recorded.
    below: u64,
}

impl Tracer {
    /// Records a share of the traces that begin here: from 0 to 1.
    pub fn new(sink: Arc<dyn SpanSink>, ratio: f64) -> Self {
        let lots = (1u64 << 56) as f64;
        Self { sink, below: (ratio.clamp(0.0, 1.0) * lots) as u64 }
    }

    /// Begins a request's span: in the trace of whoever sent it, recorded if theirs is, or in a new one.
    pub fn request(
        &self,
        from: Option<(TraceContext, Option<TraceState>)>,
        kind: SpanKind,
        name: impl Into<Cow<'static, str>>,
    ) -> Span {
        match from {
            Some((parent, state)) => {
                let context = TraceContext { span: SpanId::random(), ..parent };
                let mut span = self.begin(context, state, kind, name);
                if let Some(record) = &mut span.record {
                    (record.span.parent, record.span.is_parent_remote) = (Some(parent.span), true);
                }
                span
            }
            None => {
                let trace = TraceId::random();
                let is_sampled = trace.lot() < self.below;
                self.begin(TraceContext { trace, span: SpanId::random(), is_sampled }, None, kind, name)
            }
        }
    }

    /// Begins a trace that something in another one has caused, recorded if that is.
    pub fn linked(&self, to: TraceContext, kind: SpanKind, name: impl Into<Cow<'static, str>>) -> Span {
        let context =
            TraceContext { trace: TraceId::random(), span: SpanId::random(), is_sampled: to.is_sampled };
        let mut span = self.begin(context, None, kind, name);
        if let Some(record) = &mut span.record {
            record.span.link = Some(to);
        }
        span
    }

    fn begin(
        &self,
        context: TraceContext,
        state: Option<TraceState>,
        kind: SpanKind,
        name: impl Into<Cow<'static, str>>,
    ) -> Span {
        Span::new(Trace(Arc::new(Point { context, state, sink: self.sink.clone() })), None, kind, name)
    }
}

impl Trace {
    /// The span's ids.
    pub fn context(&self) -> TraceContext {
        self.0.context
    }

    /// Begins a part of it.
    pub fn begin(&self, kind: SpanKind, name: impl Into<Cow<'static, str>>) -> Span {
        let Point { context, state, sink } = &*self.0;
        let own = TraceContext { span: SpanId::random(), ..*context };
        let point = Point { context: own, state: state.clone(), sink: sink.clone() };
        Span::new(Self(Arc::new(point)), Some(context.span), kind, name)
    }
}

impl Span {
    fn new(trace: Trace, parent: Option<SpanId>, kind: SpanKind, name: impl Into<Cow<'static, str>>) -> Self {
        let Point { context, state, .. } = &*trace.0;
        let record = context.is_sampled.then(|| {
            let span = EndedSpan {
                context: *context,
                state: state.clone(),
                parent,
                is_parent_remote: false,
                link: None,
                kind,
                name: cut(name.into()),
                begun: SystemTime::now(),
                duration: Duration::ZERO,
                attributes: Vec::with_capacity(8),
                error: None,
            };
            Box::new(Record { started: Instant::now(), span })
        });
        Self { trace, record }
    }

    /// Where what it causes goes on.
    pub fn trace(&self) -> &Trace {
        &self.trace
    }

    /// Notes an attribute. What is beyond the bounds of a span is cut, or left out.
    pub fn set(&mut self, name: &'static str, value: impl Into<SpanValue>) {
        let Some(record) = &mut self.record else { return };
        let attributes = &mut record.span.attributes;
        if attributes.len() < ATTRIBUTES_MAX {
            attributes.push((name, bounded(value.into())));
        }
    }

    /// The same for what has to be made first: nothing is made where nothing is recorded.
    pub fn set_with<V: Into<SpanValue>>(&mut self, name: &'static str, value: impl FnOnce() -> V) {
        if self.record.is_some() {
            self.set(name, value());
        }
    }

    /// What it failed with, as a word out of few; nothing if it went well after all.
    pub fn failed(&mut self, error: Option<Cow<'static, str>>) {
        if let Some(record) = &mut self.record {
            record.span.error = error.map(cut);
        }
    }
}

impl Drop for Span {
    fn drop(&mut self) {
        let Some(record) = self.record.take() else { return };
        let Record { started, mut span } = *record;
        span.duration = started.elapsed();
        self.trace.0.sink.ended(span);
    }
}

fn bounded(value: SpanValue) -> SpanValue {
    match value {
        SpanValue::Text(text) => SpanValue::Text(cut(text)),
        SpanValue::Texts(texts) => {
            SpanValue::Texts(texts.into_iter().take(ATTRIBUTES_MAX).map(cut).collect())
        }
        SpanValue::Number(_) => value,
    }
}

fn cut(text: Cow<'static, str>) -> Cow<'static, str> {
    match text.char_indices().nth(TEXT_CHARACTERS_MAX) {
        None => text,
        Some((end, _)) => Cow::Owned(text[..end].to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{Mutex, PoisonError};

    use super::*;

    #[derive(Debug, Default)]
    struct Kept(Mutex<Vec<EndedSpan>>);

    impl SpanSink for Kept {
        fn ended(&self, span: EndedSpan) {
            self.0.lock().unwrap_or_else(PoisonError::into_inner).push(span);
        }
    }

    fn tracer(ratio: f64) -> (Tracer, Arc<Kept>) {
        let kept = Arc::new(Kept::default());
        (Tracer::new(kept.clone(), ratio), kept)
    }

    fn parent(flags: &str) -> TraceContext {
        format!("00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-{flags}").parse().expect("good")
    }

    #[test]
    fn parts_are_recorded_within_what_caused_them_when_they_end() {
        let (tracer, kept) = tracer(1.0);
        let whole = tracer.request(None, SpanKind::Server, "GET /");
        let mut part = whole.trace().begin(SpanKind::Client, "chat x");
        part.set("a", "b");
        part.failed(Some("late".into()));
        drop((part, whole));
        let spans = kept.0.lock().expect("not poisoned");
        let [part, whole] = &spans[..] else { panic!("{spans:?}") };
        assert_eq!(part.context.trace, whole.context.trace);
        assert_eq!((part.parent, whole.parent), (Some(whole.context.span), None));
        assert_eq!(part.attributes, [("a", SpanValue::from("b"))]);
        assert_eq!((part.error.as_deref(), whole.error.as_deref()), (Some("late"), None));
    }

    #[test]
    fn a_caller_who_records_is_followed_and_one_who_does_not_too() {
        let (tracer, kept) = tracer(0.0);
        let followed = tracer.request(Some((parent("01"), None)), SpanKind::Server, "GET /");
        assert_eq!(followed.trace().context().trace, parent("01").trace);
        drop(followed);
        let spans = std::mem::take(&mut *kept.0.lock().expect("not poisoned"));
        assert!(spans.len() == 1 && spans[0].is_parent_remote && spans[0].parent == Some(parent("01").span));
        let (tracer, kept) = self::tracer(1.0);
        let unrecorded = tracer.request(Some((parent("00"), None)), SpanKind::Server, "GET /");
        assert!(!unrecorded.trace().begin(SpanKind::Client, "chat").trace().context().is_sampled);
        drop(unrecorded);
        assert!(kept.0.lock().expect("not poisoned").is_empty());
    }

    #[test]
    fn a_share_of_all_traces_is_recorded() {
        for (ratio, least, most) in [(0.0, 0, 0), (0.25, 400, 600), (1.0, 2000, 2000)] {
            let (tracer, kept) = tracer(ratio);
            for _ in 0..2000 {
                drop(tracer.request(None, SpanKind::Server, "GET /"));
            }
            let found = kept.0.lock().expect("not poisoned").len();
            assert!((least..=most).contains(&found), "{found} at {ratio}");
        }
    }

    #[test]
    fn a_span_has_bounds_whatever_it_is_given() {
        let (tracer, kept) = tracer(1.0);
        let mut span = tracer.linked(parent("01"), SpanKind::Client, "é".repeat(1000));
        for _ in 0..100 {
            span.set("text", "é".repeat(1000));
        }
        drop(span);
        let spans = kept.0.lock().expect("not poisoned");
        assert_eq!(spans[0].attributes.len(), ATTRIBUTES_MAX);
        assert_eq!(spans[0].name.chars().count(), TEXT_CHARACTERS_MAX);
        assert_eq!(spans[0].attributes[0].1, SpanValue::from("é".repeat(TEXT_CHARACTERS_MAX)));
        assert_eq!(spans[0].link, Some(parent("01")));
    }
}

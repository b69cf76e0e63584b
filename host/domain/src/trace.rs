//! What a request caused, and how long each part of it took: spans of a trace, and the context by which others go on with it.
//!
//! The words are those of OpenTelemetry's trace API; the context is W3C's Trace Context (<https://www.w3.org/TR/trace-context/>).

mod context;
mod span;
mod state;

pub use context::{InvalidTraceContext, SpanId, TraceContext, TraceId};
pub use span::{EndedSpan, Span, SpanKind, SpanSink, SpanValue, Trace, Tracer};
pub use state::TraceState;

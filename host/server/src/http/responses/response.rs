//! The answer's shapes.

use atelier_domain::generation::Json;
use atelier_domain::generation::chat::{FinishReason, ToolCall};
use atelier_domain::generation::usage::TokenTotals;
use atelier_domain::id::ResponseId;
use atelier_domain::time::Timestamp;
use atelier_service::generation::answer::ChatAnswer;
use serde::Serialize;
use serde_json::value::RawValue;
use utoipa::ToSchema;

use super::request::Echo;
use crate::http::chat_completions::extra::ExtraContent;
use crate::http::openapi::{null, words};
use crate::http::prefix;

/// What does not change while an answer is made.
#[derive(Debug)]
pub(super) struct Head {
    id: String,
    model: String,
    created_at: u64,
    echo: Echo,
    /// Whether it is kept.
    store: bool,
    previous: Option<String>,
}

#[derive(Serialize, ToSchema)]
#[schema(as = Response)]
pub(super) struct ResponseView<'a> {
    id: &'a str,
    #[schema(inline, value_type = ResponseWord)]
    object: &'static str,
    /// Unix seconds.
    created_at: u64,
    #[schema(inline, value_type = ResponseStatus)]
    status: &'static str,
    #[schema(schema_with = null)]
    error: Option<()>,
    #[schema(required)]
    incomplete_details: Option<Incomplete>,
    #[schema(required)]
    instructions: Option<&'a str>,
    #[schema(required)]
    max_output_tokens: Option<u32>,
    /// The model that answered, by its full id.
    model: &'a str,
    output: Vec<Item>,
    parallel_tool_calls: bool,
    /// The answer that it goes on from.
    #[schema(required)]
    previous_response_id: Option<&'a str>,
    /// Whether it is kept.
    store: bool,
    #[schema(required)]
    temperature: Option<f64>,
    #[schema(required)]
    top_p: Option<f64>,
    /// As in the request.
    #[schema(required, value_type = Value)]
    tool_choice: Option<&'a RawValue>,
    /// As in the request.
    #[schema(required, value_type = Option<Vec<Object>>)]
    tools: Option<&'a RawValue>,
    /// As in the request.
    #[schema(required, value_type = Option<Object>)]
    metadata: Option<&'a RawValue>,
    #[schema(required)]
    usage: Option<Usage>,
}

#[derive(Serialize, ToSchema)]
#[schema(as = ResponseIncomplete)]
struct Incomplete {
    #[schema(inline, value_type = IncompleteReason)]
    reason: &'static str,
}

/// An item of the output.
#[derive(Debug, Serialize, ToSchema)]
#[serde(tag = "type", rename_all = "snake_case")]
#[schema(as = ResponseOutputItem)]
pub(super) enum Item {
    Reasoning {
        id: String,
        summary: [Summary; 1],
    },
    Message {
        id: String,
        #[schema(inline, value_type = ItemStatus)]
        status: &'static str,
        #[schema(inline, value_type = AssistantWord)]
        role: &'static str,
        content: Vec<Content>,
    },
    FunctionCall {
        id: String,
        call_id: String,
        name: String,
        /// JSON, as the model wrote it.
        arguments: String,
        #[schema(inline, value_type = ItemStatus)]
        status: &'static str,
        #[serde(skip_serializing_if = "Option::is_none")]
        extra_content: Option<ExtraContent>,
    },
}

#[derive(Clone, Debug, Serialize, ToSchema)]
#[schema(as = ResponseSummary)]
pub(super) struct Summary {
    #[schema(inline, value_type = SummaryWord)]
    pub r#type: &'static str,
    pub text: String,
}

#[derive(Clone, Debug, Serialize, ToSchema)]
#[serde(tag = "type", rename_all = "snake_case")]
#[schema(as = ResponseOutputContent)]
pub(super) enum Content {
    OutputText {
        text: String,
        #[schema(value_type = Vec<Object>, max_items = 0)]
        annotations: [(); 0],
    },
    Refusal {
        refusal: String,
    },
}

#[derive(Serialize, ToSchema)]
#[schema(as = ResponseUsage)]
pub(super) struct Usage {
    input_tokens: u64,
    input_tokens_details: InputDetails,
    output_tokens: u64,
    output_tokens_details: OutputDetails,
    total_tokens: u64,
}

#[derive(Serialize, ToSchema)]
#[schema(as = ResponseInputDetails)]
struct InputDetails {
    cached_tokens: u64,
}

#[derive(Serialize, ToSchema)]
#[schema(as = ResponseOutputDetails)]
struct OutputDetails {
    reasoning_tokens: u64,
}

words! {
    ResponseWord: "response";
    ResponseStatus: "in_progress" | "completed" | "incomplete";
    IncompleteReason: "max_output_tokens" | "content_filter";
    ItemStatus: "completed";
    AssistantWord: "assistant";
    SummaryWord: "summary_text";
}

impl From<TokenTotals> for Usage {
    fn from(totals: TokenTotals) -> Self {
        Self {
            input_tokens: totals.input,
            input_tokens_details: InputDetails { cached_tokens: totals.input_cached },
            output_tokens: totals.output,
            output_tokens_details: OutputDetails { reasoning_tokens: totals.output_reasoning },
            total_tokens: totals.input + totals.output,
        }
    }
}

impl Item {
    pub(super) fn text(text: String) -> Self {
        Self::message(Content::OutputText { text, annotations: [] })
    }
    pub(super) fn refusal(refusal: String) -> Self {
        Self::message(Content::Refusal { refusal })
    }
    fn message(content: Content) -> Self {
        Self::Message {
            id: prefix::id("msg_"),
            status: "completed",
            role: "assistant",
            content: vec![content],
        }
    }
    pub(super) fn reasoning(text: String) -> Self {
        Self::Reasoning { id: prefix::id("rs_"), summary: [Summary { r#type: "summary_text", text }] }
    }
    pub(super) fn call(call: ToolCall) -> Self {
        let ToolCall { id: call_id, name, arguments, signature } = call;
        let extra_content = signature.map(ExtraContent::of);
        Self::FunctionCall {
            id: prefix::id("fc_"),
            call_id,
            name,
            arguments,
            status: "completed",
            extra_content,
        }
    }
}

/// The items of a whole answer.
pub(super) fn output(answer: &ChatAnswer) -> Vec<Item> {
    let mut items = Vec::new();
    if !answer.thinking.is_empty() {
        items.push(Item::reasoning(answer.thinking.clone()));
    }
    if !answer.text.is_empty() {
        items.push(Item::text(answer.text.clone()));
    }
    if !answer.refusal.is_empty() {
        items.push(Item::refusal(answer.refusal.clone()));
    }
    let calls = answer.tool_calls.iter();
    items.extend(calls.map(|call| Item::call(call.clone())));
    items
}

impl Head {
    pub(super) fn new(id: ResponseId, model: &str, now: Timestamp, echo: Echo) -> Self {
        let (id, created_at) = (prefix::of(prefix::RESPONSE, &id.simple()), now.unix_seconds());
        Self { id, model: model.to_owned(), created_at, echo, store: false, previous: None }
    }

    /// Of an answer that is kept, or goes on from one that is.
    pub(super) fn with_state(self, store: bool, previous: Option<ResponseId>) -> Self {
        let previous = previous.map(|id| prefix::of(prefix::RESPONSE, &id.simple()));
        Self { store, previous, ..self }
    }

    fn view(&self, status: &'static str, output: Vec<Item>) -> ResponseView<'_> {
        fn raw(json: &Option<Json>) -> Option<&RawValue> {
            json.as_deref()
        }
        ResponseView {
            id: &self.id,
            object: "response",
            created_at: self.created_at,
            status,
            error: None,
            incomplete_details: None,
            instructions: self.echo.instructions.as_deref(),
            max_output_tokens: self.echo.max_output_tokens,
            model: &self.model,
            output,
            parallel_tool_calls: self.echo.parallel_tool_calls,
            previous_response_id: self.previous.as_deref(),
            store: self.store,
            temperature: self.echo.temperature,
            top_p: self.echo.top_p,
            tool_choice: raw(&self.echo.tool_choice),
            tools: raw(&self.echo.tools),
            metadata: raw(&self.echo.metadata),
            usage: None,
        }
    }

    /// An answer that has just begun.
    pub(super) fn begun(&self) -> ResponseView<'_> {
        self.view("in_progress", Vec::new())
    }

    /// An answer at its end.
    pub(super) fn finished(
        &self,
        output: Vec<Item>,
        finish: Option<&FinishReason>,
        tokens: Option<TokenTotals>,
    ) -> ResponseView<'_> {
        let reason = match finish {
            Some(FinishReason::Length) => Some("max_output_tokens"),
            Some(FinishReason::ContentFilter) => Some("content_filter"),
            Some(FinishReason::Stop | FinishReason::ToolCalls | FinishReason::Other(_)) | None => None,
        };
        let mut view = self.view(if reason.is_some() { "incomplete" } else { "completed" }, output);
        view.incomplete_details = reason.map(|reason| Incomplete { reason });
        view.usage = tokens.map(Usage::from);
        view
    }
}

impl ResponseView<'_> {
    /// Its items.
    pub(super) fn output(&self) -> &[Item] {
        &self.output
    }

    /// Whether it was cut short.
    pub(super) fn is_incomplete(&self) -> bool {
        self.incomplete_details.is_some()
    }
}

//! Words of the API's schemas that both dialects of OpenAI share.

use crate::http::openapi::words;

words! {
    FunctionWord: "function";
    ToolChoiceWord: "auto" | "none" | "required";
    FormatWord: "text" | "json_object" | "json_schema";
}

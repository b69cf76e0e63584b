// Chat completions, streamed or in one piece.

import { eventGroups, exchange, readJson } from "./api.js";
import { AnswerStream, wholeAnswer } from "./chat_answer.js";
import { chatBody } from "./chat_request.js";
import { Failure } from "./failure.js";
import { jsonBody } from "./json_body.js";
import { parseJson } from "./json_text.js";

export function generate(context, request, sink) {
  const body = jsonBody(chatBody(request, parseJson(context.settings || "{}")));
  const post = { method: "POST", path: "/chat/completions", body, effect: "charging" };
  exchange(context, post, (answer) => {
    if (!request.stream) {
      send(sink, wholeAnswer(readJson(answer)));
      return;
    }
    const stream = new AnswerStream();
    for (const group of eventGroups(answer)) {
      // All that one read brought goes on in one host call.
      const events = group.flatMap((data) => stream.take(data));
      if (events.length > 0) send(sink, events);
    }
    stream.end();
  });
}

function send(sink, events) {
  try {
    sink.send(events);
  } catch (error) {
    throw error.payload === undefined ? error : new Failure("canceled", error.payload.message);
  }
}

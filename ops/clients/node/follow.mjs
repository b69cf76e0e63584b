// Follows a feed with an EventSource, as a browser does (WHATWG HTML §9.2), and prints a line of JSON for whatever it is told. It is
// run by `cargo xtask test`, which kills the host meanwhile: the EventSource comes back by itself, with the id of its last event.
import { EventSource } from "eventsource";

const KINDS = ["queued", "processing", "progress", "succeeded", "failed", "canceled"];

const told = (line) => console.log(JSON.stringify(line));
const authorization = `Bearer ${process.env.ATELIER_API_KEY}`;
const source = new EventSource(`${process.env.ATELIER_BASE_URL}/api/v1/events`, {
  fetch: (url, init) => fetch(url, { ...init, headers: { ...init.headers, authorization } }),
});
source.addEventListener("open", () => told({ told: "open" }));
source.addEventListener("error", (error) => told({ told: "error", status: error.code ?? null }));
for (const kind of KINDS) {
  source.addEventListener(`generation.${kind}`, (event) => {
    told({ told: "event", id: Number(event.lastEventId), name: event.type, job: JSON.parse(event.data).data.id });
  });
}

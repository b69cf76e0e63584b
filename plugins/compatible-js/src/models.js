// What a server's list of models says of each.

import { Failure, invalid } from "./failure.js";

const MODELS_MAX = 10_000;
/** What this plugin has no task for. */
const OTHERS = /embed|moderation|whisper|transcribe|(^|[/_-])(tts|image|dall-e|rerank)/;

/** The models of `GET /models` that this plugin serves. */
export function listedModels(list) {
  if (!Array.isArray(list?.data) || list.data.length > MODELS_MAX) {
    throw new Failure("bad-response", "the provider's list of models is not a list of models");
  }
  return list.data.filter((entry) => !OTHERS.test(entry?.id)).map(listedModel);
}

/** One entry. A list says little more than the id: the task is told by the id alone. */
export function listedModel(entry) {
  if (typeof entry?.id !== "string" || entry.id === "") {
    throw new Failure("bad-response", "the provider's list of models has an entry without an id");
  }
  const films = /(^|[/_-])(sora|video)/.test(entry.id);
  return {
    id: entry.id,
    name: entry.id,
    description: undefined,
    status: "available",
    tasks: [films ? "video-generation" : "chat"],
    inputModalities: films ? [] : ["image"],
    features: films ? [] : ["streaming", "tools", "structured-output", "seed"],
    limits: {},
    optionsSchema: '{"type":"object"}',
    prices: [],
    owner: undefined,
    created: BigInt(Number.isSafeInteger(entry.created) && entry.created > 0 ? entry.created : 0),
  };
}

/** The path of one model. Compatible servers have ids with slashes, which stay. */
export function modelPath(id) {
  const segments = id.split("/");
  if (segments.some((segment) => ["", ".", ".."].includes(segment))) throw invalid("model", "this is no model id");
  return ["/models", ...segments.map(encodeURIComponent)].join("/");
}

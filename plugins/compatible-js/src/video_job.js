// What a video object means for the job.

import { Failure, endsJob, invalid, reported, unsupported } from "./failure.js";
import { openOptions } from "./json_body.js";
import { usageLine } from "./usage.js";

const RESERVED = ["model", "prompt", "seconds", "size", "input_reference"];
const STATE_VERSION = 1;
const POLL_MS = 5_000n;
/** What the provider makes when neither size nor length is asked for. */
const SIZE_DEFAULT = "720x1280";
const MS_DEFAULT = 4_000n;
/** What this provider's videos have no field for is refused, not dropped. */
const NO_FIELD = ["negativePrompt", "seed", "quality", "format", "background", "aspectRatio"];

/** The form that creates a video. */
export function videoForm(request) {
  if (request.task !== "video-generation") throw unsupported(`this plugin has no task ${request.task}`, "task");
  const given = NO_FIELD.find((name) => request[name] !== undefined);
  if (given !== undefined) {
    const param = given.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`);
    throw unsupported("this provider's videos have no such field: leave it out", param);
  }
  if (request.count !== 1) throw invalid("count", "this provider makes one video at a time");
  if (request.prompt === undefined) throw invalid("prompt", "this task needs a prompt");
  if (request.inputs.length > 1) throw invalid("inputs", "this provider takes one image to begin from");
  const fields = { model: request.model, prompt: request.prompt };
  if (request.durationMs !== undefined) fields.seconds = seconds(request.durationMs).toString();
  if (request.size !== undefined && request.size !== "auto") fields.size = request.size;
  for (const [name, value] of Object.entries(openOptions(request.options, RESERVED))) {
    fields[name] = typeof value === "string" ? value : JSON.stringify(value);
  }
  const encoder = new TextEncoder();
  const parts = Object.entries(fields).map(([name, value]) => {
    return { name, filename: undefined, contentType: undefined, content: { tag: "bytes", val: encoder.encode(value) } };
  });
  return { tag: "multipart", val: [...parts, ...request.inputs.map(reference)] };
}

function reference({ media }) {
  if (media.source.tag !== "blob") {
    throw unsupported("this provider takes uploaded files only: upload it instead of giving its URL", "inputs");
  }
  const blob = media.source.val;
  const contentType = media.contentType ?? blob.contentType();
  return {
    name: "input_reference",
    filename: media.name ?? `input.${contentType.split("/").pop()}`,
    contentType,
    content: { tag: "blob", val: { blob, offset: 0n, length: undefined } },
  };
}

/** Whether the video is made; one that failed throws. */
export function isFinal(video) {
  switch (video.status) {
    case "completed":
      return true;
    case "queued":
    case "in_progress":
      return false;
    case "failed":
      throw endsJob(video.error ? reported(video.error) : new Failure("internal", "the provider could not make the video"));
    default:
      throw new Failure("bad-response", `the provider's video has the unknown status ${video.status}`);
  }
}

/** The ticket of a video in the making. */
export function pending(video) {
  const percent = Number.isFinite(video.progress) ? video.progress : undefined;
  return {
    state: new TextEncoder().encode(JSON.stringify({ id: text(video.id) })),
    stateVersion: STATE_VERSION,
    pollAfterMs: POLL_MS,
    progress: percent === undefined ? undefined : Math.min(Math.max(percent / 100, 0), 1),
    acceptsWebhook: false,
    providerId: text(video.id),
  };
}

/** The provider's id that a ticket keeps. */
export function decodedState(state) {
  try {
    return text(JSON.parse(new TextDecoder().decode(state)).id);
  } catch {
    throw new Failure("internal", "the job's state is not this plugin's");
  }
}

/** The outcome with its content in a blob. */
export function finished(video, blob) {
  const attributes = [
    { name: "video-id", value: text(video.id) },
    ...["size", "seconds"].filter((name) => video[name]).map((name) => ({ name, value: String(video[name]) })),
  ];
  const media = {
    source: { tag: "blob", val: blob },
    contentType: blob.contentType(),
    revisedPrompt: undefined,
    seed: undefined,
    attributes,
  };
  const made = /^\d{1,6}$/.test(video.seconds ?? "") ? BigInt(video.seconds) * 1000n : undefined;
  return { outputs: [{ tag: "media", val: media }], usage: [videoUsage(made, video.size)] };
}

/** A video's length, at its resolution: the shorter side, e.g. `720p`. */
export function videoUsage(ms, size) {
  const known = /^(\d{1,5})x(\d{1,5})$/.exec(size ?? "") ?? /^(\d+)x(\d+)$/.exec(SIZE_DEFAULT);
  const resolution = `${Math.min(Number(known[1]), Number(known[2]))}p`;
  return usageLine("video-ms", ms ?? MS_DEFAULT, { resolution });
}

export function videoPath(id) {
  return `/videos/${encodeURIComponent(id)}`;
}

function seconds(ms) {
  if (ms % 1000n !== 0n) throw invalid("duration_ms", "this provider takes whole seconds");
  return ms / 1000n;
}

function text(id) {
  if (typeof id !== "string" || id === "") throw new Failure("bad-response", "the provider's video has no id");
  return id;
}

// Videos (`/videos`) as jobs: created, polled, fetched.

import { exchange, readJson, save } from "./api.js";
import { Failure } from "./failure.js";
import { decodedState, finished, isFinal, pending, videoForm, videoPath, videoUsage } from "./video_job.js";

export function estimateUsage(_context, request) {
  return [videoUsage(request.durationMs, request.size)];
}

export function submit(context, request) {
  const post = { method: "POST", path: "/videos", body: videoForm(request), effect: "charging" };
  return step(context, exchange(context, post, readJson));
}

export function resume(context, state) {
  const path = videoPath(decodedState(state));
  return step(context, exchange(context, { method: "GET", path }, readJson));
}

export function cancel(context, state) {
  const path = videoPath(decodedState(state));
  try {
    const video = exchange(context, { method: "GET", path }, readJson);
    if (video.status === "completed") return { tag: "finished", val: fetched(context, video) };
    if (video.status !== "failed") exchange(context, { method: "DELETE", path, effect: "idempotent" }, () => undefined);
  } catch (error) {
    if (!(error instanceof Failure)) throw error;
    if (["invalid-request", "unsupported"].includes(error.code)) return { tag: "unsupported" };
    if (error.code !== "not-found") throw error;
  }
  return { tag: "canceled", val: [] };
}

function step(context, video) {
  return isFinal(video) ? { tag: "done", val: fetched(context, video) } : { tag: "pending", val: pending(video) };
}

function fetched(context, video) {
  const path = `${videoPath(video.id)}/content`;
  return finished(video, exchange(context, { method: "GET", path }, (body) => save(body)));
}

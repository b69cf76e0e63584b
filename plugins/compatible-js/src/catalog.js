// Which models there are: what the server lists. Nothing is known without asking.

import { exchange, readJson } from "./api.js";
import { listedModel, listedModels, modelPath } from "./models.js";

export function describe() {
  return { models: [], discovers: true, openEnded: true };
}

/** One page: the server's list has no others. */
export function discover(context) {
  return { models: exchange(context, { method: "GET", path: "/models" }, (body) => listedModels(readJson(body))) };
}

export function getModel(context, id) {
  return exchange(context, { method: "GET", path: modelPath(id) }, (body) => listedModel(readJson(body)));
}

export function check(context) {
  exchange(context, { method: "GET", path: "/models" }, () => undefined);
}

// A provider for servers that speak OpenAI's API: what the component exports.
// The exported names are the contract's interfaces (wit/0.1), the functions' theirs in camel case.

import { callable } from "./failure.js";
import { check, describe, discover, getModel } from "./catalog.js";
import { generate } from "./chat.js";
import { cancel, estimateUsage, resume, submit } from "./videos.js";

export const catalog = callable({
  describe,
  discover,
  getModel,
  voices: () => ({ voices: [], next: undefined }),
  check,
});

export const chat = callable({ generate });

export const media = callable({ estimateUsage, submit, resume, cancel });

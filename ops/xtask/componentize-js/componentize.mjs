// node componentize.mjs SOURCE WIT_FOLDER WORLD OUTPUT — all paths absolute.
import { writeFile } from "node:fs/promises";

import { componentize } from "@bytecodealliance/componentize-js";

const [sourcePath, witPath, worldName, output] = process.argv.slice(2);
const { component } = await componentize({
  sourcePath,
  witPath,
  worldName,
  // With none of the engine's own features a plugin imports Atelier's interfaces and nothing else.
  disableFeatures: ["random", "clocks", "http", "stdio", "fetch-event"],
});
await writeFile(output, component);

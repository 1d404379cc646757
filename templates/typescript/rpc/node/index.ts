/** The parts of the library that need Node. */

export { requestListener } from "./listener.js";
export { serveStdio, spawnStdio, StdioConnection, type SpawnOptions, type StdioStreams } from "./stdio.js";

/** The compiled SDK under test; TOY_SDK is the folder it was generated into. */

import { join } from "node:path";
import { pathToFileURL } from "node:url";

const load = (path) => import(pathToFileURL(join(process.env.TOY_SDK, "dist", "esm", path)).href);

export const sdk = await load("index.js");
export const node = await load("node.js");
export const { Validator } = await load("rpc/validate.js");
export const { EventParser, carried, eventText } = await load("rpc/sse.js");

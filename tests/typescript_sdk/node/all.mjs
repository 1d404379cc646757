/** Every test of this folder in one process. */

import "./json.test.mjs";
import "./validate.test.mjs";
import "./sse.test.mjs";
import "./http.test.mjs";
import "./stdio.test.mjs";

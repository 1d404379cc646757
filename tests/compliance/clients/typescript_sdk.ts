/**
 * One call by the generated TypeScript SDK, told as the kit expects it.
 *
 * Usage: typescript_sdk.js URL METHOD PARAMS
 */

import { parseJson, RpcError, SdkError, ServerClient, writeJson } from "@protogen/echo";

async function tell(url: string, method: string, params: string): Promise<number> {
  const client = new ServerClient(url);
  try {
    console.log(writeJson({ result: await client.call(method, parseJson(params)) }));
    return 0;
  } catch (error) {
    if (error instanceof RpcError) {
      const { code, message, data } = error;
      console.log(writeJson({ error: { code, message, ...(data === undefined ? {} : { data }) } }));
      return 0;
    }
    if (!(error instanceof SdkError)) throw error;
    console.error(`${error.name}: ${error.message}`);
    return 3;
  } finally {
    await client.close();
  }
}

const [url = "", method = "", params = ""] = process.argv.slice(2);
process.exitCode = await tell(url, method, params);

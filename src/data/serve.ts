import { ResponseError, type CancellationToken, type MessageConnection } from "vscode-jsonrpc";
import type { BuildProgress, CorpusApi } from "../protocol/corpus";
import { corpusMethods } from "../protocol/corpus";
import { TillageError, toProblem } from "../protocol/errors";
import { isCancelled } from "./duckdb/failure";
import { buildProgress, cancelledCode, paramSchemas, problemCode, requestOf, type Envelope } from "./rpc";

/** Answers the corpus service's requests on a connection. Every call settles: with a result, a typed error, or as cancelled. */
export function serve(connection: MessageConnection, service: CorpusApi): void {
  for (const method of corpusMethods) {
    const schema = paramSchemas[method];
    const call = service[method].bind(service) as (params: unknown, signal: AbortSignal, progress?: (p: BuildProgress) => void) => Promise<unknown>;
    connection.onRequest(requestOf(method), async (envelope: Envelope, token: CancellationToken) => {
      const controller = new AbortController();
      const subscription = token.onCancellationRequested(() => controller.abort());
      if (token.isCancellationRequested) controller.abort();
      try {
        const params = schema.safeParse(envelope.params);
        if (!params.success) throw TillageError.internal("bad_request", `'${method}' was called with '${params.error.issues[0]?.path.join(".") ?? ""}' wrong: ${params.error.issues[0]?.message ?? ""}`);
        const progress = envelope.progress;
        const report = progress === undefined ? undefined : (value: BuildProgress) => void connection.sendProgress(buildProgress, progress, value);
        return await call(params.data, controller.signal, report);
      } catch (error) {
        const problem = toProblem(error);
        throw new ResponseError(isCancelled(error) ? cancelledCode : problemCode, problem.message, { problem });
      } finally {
        subscription.dispose();
      }
    });
  }
  connection.listen();
}

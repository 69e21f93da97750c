/** The corpus service as a child of its own: JSON-RPC over Node's IPC channel. Standard error is its log. */
import { createMessageConnection, IPCMessageReader, IPCMessageWriter } from "vscode-jsonrpc/node";
import { serve } from "./serve";
import { CorpusService } from "./service";

const extensionPath = process.env.TILLAGE_DUCKDB_EXTENSION;
const service = new CorpusService(extensionPath === undefined || extensionPath === "" ? {} : { extensionPath });
const connection = createMessageConnection(new IPCMessageReader(process), new IPCMessageWriter(process));
process.on("disconnect", () => {
  service.dispose();
  process.exit(0);
});
serve(connection, service);

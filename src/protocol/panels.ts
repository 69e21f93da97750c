/**
 * What host and webview say to each other: vscode-jsonrpc over postMessage.
 *
 * The panel sends `panel/ready`; the host answers with a snapshot. While the panel is visible the host pushes
 * `panel/update` notifications; a panel that was hidden says `panel/ready` again when it returns and gets a fresh snapshot.
 * Everything a panel asks for is a request of `PanelCalls`; every request settles with a result or a problem.
 */
import { NotificationType, RequestType } from "vscode-jsonrpc";

/** Asks for the snapshot; each panel types its own. */
export const readyRequest = new RequestType<null, unknown, void>("panel/ready");
/** A delta from the host. `seq` counts up from the snapshot, so that a lost one is noticed. */
export const updateNotification = new NotificationType<{ seq: number; update: unknown }>("panel/update");
/** One call of a panel's own API, by name. */
export const callRequest = new RequestType<{ method: string; params: unknown }, unknown, void>("panel/call");

export interface Snapshot<S> {
  seq: number;
  state: S;
}

/** The shape of a panel's API: named async methods with one argument each. */
export type PanelApi = Record<string, (params: never, signal: AbortSignal) => Promise<unknown>>;

/** JSON-RPC error code under which a `Problem` travels in `data`. */
export const PROBLEM_CODE = -32001;

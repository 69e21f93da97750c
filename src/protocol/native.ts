/**
 * Checks at run time of what comes from the engine and from run folders, by the schema that the engine itself gives.
 * ajv compiles a schema with `new Function`: for the host and the command line only, never for a webview.
 */
import Ajv2020 from "ajv/dist/2020";
import type { ValidateFunction } from "ajv/dist/2020";
import { TillageError } from "./errors";
import { nativeSchema } from "./native.gen";
import type { NativeProtocol } from "./native.gen";

const compiled = new Map<string, ValidateFunction>();
let ajv: Ajv2020 | undefined;

function validator(name: keyof NativeProtocol): ValidateFunction {
  const known = compiled.get(name);
  if (known) return known;
  // The schema's formats (uint64, double) say how Rust stores a number; JSON has no use for them.
  ajv ??= new Ajv2020({ strict: false, validateFormats: false }).addSchema(nativeSchema, "native");
  const made = ajv.compile({ $ref: `native#/properties/${name}` });
  compiled.set(name, made);
  return made;
}

/** Why a value does not fit, in one line; undefined when it does. */
export function mismatch(name: keyof NativeProtocol, value: unknown): string | undefined {
  const check = validator(name);
  if (check(value)) return undefined;
  // A union reports every branch: the deepest complaint is about the branch that was meant.
  const errors = [...(check.errors ?? [])].filter((error) => error.keyword !== "oneOf" && error.keyword !== "const");
  const worst = errors.sort((a, b) => b.instancePath.length - a.instancePath.length)[0];
  return worst ? `${worst.instancePath.replace(/^\//, "").replaceAll("/", ".") || name} ${worst.message ?? "does not fit"}` : "it fits none of the known kinds";
}

/**
 * A value that came from outside as the type that the engine's contract gives it.
 * @param from what is being read, for the message, such as a file's path
 * @throws `native_contract` when it does not fit
 */
export function checked<K extends keyof NativeProtocol>(name: K, value: unknown, from: string): NativeProtocol[K] {
  const reason = mismatch(name, value);
  if (reason === undefined) return value as NativeProtocol[K];
  throw TillageError.environment("native_contract", `${from} does not hold what this version of Tillage expects: ${reason}.`, "Use the engine that comes with this version of Tillage; a folder written by another version cannot be read.");
}

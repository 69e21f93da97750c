import { z } from "zod";

const uriLike = z.object({ fsPath: z.string().min(1) });
const pathLike = z.object({ path: z.string().min(1) });

/** The path in a command's argument: a Uri, `{path}` or a plain path; undefined when there is none (the command palette gives none). */
export function pathArgument(argument: unknown): string | undefined {
  if (typeof argument === "string" && argument !== "") return argument;
  const uri = uriLike.safeParse(argument);
  if (uri.success) return uri.data.fsPath;
  const plain = pathLike.safeParse(argument);
  return plain.success ? plain.data.path : undefined;
}

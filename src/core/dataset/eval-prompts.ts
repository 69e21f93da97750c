import { isSeq, LineCounter, parseDocument, isNode } from "yaml";
import { z } from "zod";
import { TillageError } from "../../protocol/errors";

/** What decontamination needs of a `*.eval.yaml`; graders and the rest belong to the evaluation itself. */
const evalSchema = z.looseObject({
  tillage: z.literal(1),
  prompts: z.array(z.looseObject({ id: z.union([z.string(), z.number()]).transform(String).optional(), prompt: z.string().min(1) })),
});

export interface EvalPrompt {
  /** The prompt's id, or its position from 1 where it has none. */
  id: string;
  prompt: string;
  /** 1-based line in the file. */
  line: number;
}

/** The prompts of a `*.eval.yaml`; throws a user error that names file and line. */
export function parseEvalPrompts(text: string, file: string): EvalPrompt[] {
  const counter = new LineCounter();
  const document = parseDocument(text, { lineCounter: counter, prettyErrors: false });
  const broken = document.errors[0];
  if (broken) throw TillageError.user("yaml_syntax", `This is not valid YAML: ${broken.message}`, "Mend this line.", { file, line: counter.linePos(broken.pos[0]).line });
  const checked = evalSchema.safeParse(document.toJS());
  const list = document.get("prompts", true);
  const lineOf = (i: number): number => {
    const item = isSeq(list) ? list.items[i] : undefined;
    return isNode(item) && item.range ? counter.linePos(item.range[0]).line : 1;
  };
  if (!checked.success) {
    const issue = checked.error.issues[0];
    const at = typeof issue?.path[1] === "number" ? lineOf(issue.path[1]) : 1;
    throw TillageError.user("invalid_eval", `This is not a valid evaluation: '${issue?.path.join(".") ?? ""}' ${issue?.message ?? ""}.`, "It needs 'tillage: 1' and a list 'prompts' whose items have 'id' and 'prompt'.", { file, line: at });
  }
  return checked.data.prompts.map((prompt, i) => ({ id: prompt.id ?? String(i + 1), prompt: prompt.prompt, line: lineOf(i) }));
}

/** ShareGPT's names of those who speak, and the roles that chat templates know. */
export const shareGptRoles: Readonly<Record<string, string>> = {
  human: "user", user: "user",
  gpt: "assistant", assistant: "assistant", chatgpt: "assistant", bing: "assistant", bard: "assistant", model: "assistant", bot: "assistant",
  system: "system",
  tool: "tool", observation: "tool", function_response: "tool", "function-response": "tool",
};

/** Those whose turn is a call of a tool: JSON with `name` and `arguments`. */
export const shareGptCalls: readonly string[] = ["function_call", "function-call"];

/** What hh-rlhf writes before an answer. */
export const answerMark = "\n\nAssistant:";

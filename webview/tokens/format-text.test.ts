import { expect, it } from "vitest";
import { escaped, unescaped } from "./format-text";

it.each([["Question: {prompt}\nAnswer: ", "Question: {prompt}\\nAnswer: "], ["a\tb", "a\\tb"], ["back\\slash \\n", "back\\\\slash \\\\n"], ["{prompt}", "{prompt}"]])("%j stands in one line, and comes back", (format, shown) => {
  expect(escaped(format)).toBe(shown);
  expect(unescaped(shown)).toBe(format);
});

import { expect, it } from "vitest";
import { visible } from "./output";

it("a terminal is told nothing by the texts that it shows: line breaks, tabs and colours stay, other control characters do not", () => {
  expect(visible("a\n\tb \u001b[31mred\u001b[0m")).toBe("a\n\tb \u001b[31mred\u001b[0m");
  expect(visible("\u001b]0;title\u0007 \u001b[2J \r \u009b31m \u0000")).toBe("\uFFFD]0;title\uFFFD \uFFFD[2J \uFFFD \uFFFD31m \uFFFD");
});

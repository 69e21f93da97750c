import { describe, expect, it } from "vitest";
import { check, readCargoOutput, readVitestResults } from "../../scripts/lib/tiers.mjs";

describe("what cargo test printed", () => {
  const output = `
running 2 tests
test a::fits ... ok
test a::breaks ... FAILED

failures:

---- a::breaks stdout ----
thread 'a::breaks' panicked at src/lib.rs:3:5:
left is not right

failures:
    a::breaks

test result: FAILED. 1 passed; 1 failed; 0 ignored; 0 measured; 0 filtered out; finished in 0.00s

test result: ok. 40 passed; 0 failed; 2 ignored; 0 measured; 0 filtered out; finished in 0.00s
`;
  it("is summed over the test programs", () => {
    expect(readCargoOutput(output, "")).toMatchObject({ passed: 41, failed: 1, skipped: 2 });
  });
  it("gives the failed test with what it said", () => {
    const [failure] = readCargoOutput(output, "").failures;
    expect(failure?.name).toBe("a::breaks");
    expect(failure?.message).toContain("left is not right");
    expect(failure?.message).not.toContain("test result");
  });
  it("counts a build that broke as a failure", () => {
    expect(readCargoOutput("", "error[E0433]: cannot find").failed).toBe(1);
  });
});

describe("vitest's report", () => {
  const test = (status: string): { status: string; fullName: string } => ({ status, fullName: `it ${status}` });
  it("is counted by state", () => {
    const report = { testResults: [{ name: "a.test.ts", status: "failed", assertionResults: [test("passed"), test("failed"), test("skipped"), test("pending")] }] };
    expect(readVitestResults(report, "")).toMatchObject({ passed: 1, failed: 1, skipped: 2 });
  });
  it("counts a file that does not load as a failure", () => {
    expect(readVitestResults({ testResults: [{ name: "a.test.ts", status: "failed", message: "no such module", assertionResults: [] }] }, "")).toMatchObject({ failed: 1 });
  });
  it("counts a run that ended badly without a failed test as a failure", () => {
    expect(readVitestResults({ testResults: [{ name: "a.test.ts", status: "passed", assertionResults: [test("passed")] }] }, "unhandled rejection").failed).toBe(1);
  });
  it("counts a run that found no test as a failure", () => {
    expect(readVitestResults({ testResults: [] }, "").failed).toBe(1);
  });
});

describe("a single check", () => {
  it("passes when its work ends and fails when it throws", async () => {
    expect(await check("fine", () => Promise.resolve())).toMatchObject({ passed: 1, failed: 0 });
    expect(await check("broken", () => Promise.reject(new Error("why")))).toMatchObject({ passed: 0, failed: 1, failures: [{ name: "broken" }] });
  });
});

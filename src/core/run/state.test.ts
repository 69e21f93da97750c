import { describe, expect, it } from "vitest";
import type { Event } from "../../protocol/native.gen";
import { emptyRun, foldEvents, isLive, isResumable, phaseWord, withLiveness } from "./state";
import type { RunPhase } from "./state";

function started(step: number, total = 100): Event {
  return {
    type: "started", time: "2025-01-01T00:00:00Z", pid: 7, engine: "0.1.0", device: "cpu", threads: 2, step, total_steps: total,
    parameters: 1000, trainable: 100, train_rows: 240, train_tokens: 9000, valid_rows: 20, planned_bytes: 1e8,
  };
}

function stepEvent(step: number, seconds: number, loss = 5 - step / 100): Event {
  return { type: "step", step, epoch: step / 20, loss, lr: 1e-3, grad_norm: 0.5, tokens: 50, tokens_per_second: 800, memory_bytes: 1e8, seconds, rows: ["a", "b"] };
}

const checkpoint = (step: number): Event => ({ type: "checkpoint", step, path: `checkpoints/step-${step}` });

describe("the fold of a run's events", () => {
  it("starts as waiting and runs from the first event", () => {
    expect(emptyRun().phase).toBe("waiting");
    const state = foldEvents(emptyRun(), [started(0), stepEvent(1, 0.5), stepEvent(2, 1)]);
    expect(state).toMatchObject({ phase: "running", step: 2, total: 100, epoch: 0.1, attempts: 1, trainRows: 240 });
    expect(state.series.tokens).toEqual([50, 100]);
  });

  it("gives the same state event by event as in one batch, and leaves the given state alone", () => {
    const events = [started(0), stepEvent(1, 0.5), checkpoint(1), stepEvent(2, 1)];
    const before = foldEvents(emptyRun(), events.slice(0, 2));
    const copy = structuredClone(before);
    const oneByOne = events.reduce((state, event) => foldEvents(state, [event]), emptyRun());
    expect(foldEvents(before, events.slice(2))).toEqual(oneByOne);
    expect(foldEvents(emptyRun(), events)).toEqual(oneByOne);
    expect(before).toEqual(copy);
  });

  it("tells the time left from the pace of the last steps", () => {
    const steps = Array.from({ length: 10 }, (_value, index) => stepEvent(index + 1, (index + 1) * 2));
    expect(foldEvents(emptyRun(), [started(0), stepEvent(1, 2)]).secondsLeft).toBeUndefined();
    expect(foldEvents(emptyRun(), [started(0), ...steps]).secondsLeft).toBeCloseTo(90 * 2);
  });

  it("takes back what an attempt did beyond the checkpoint that the next one starts from", () => {
    const lost: Event[] = [
      stepEvent(3, 3), checkpoint(3), { type: "validation", step: 3, loss: 4, tokens: 9 }, { type: "sample", step: 3, id: "q", prompt: "Why?", text: "So." }, { type: "warning", step: 3, code: "cut_rows", message: "Cut." },
    ];
    const first = [started(0), stepEvent(1, 1), stepEvent(2, 2), checkpoint(2), ...lost];
    const state = foldEvents(emptyRun(), [...first, started(2), stepEvent(3, 1.5), stepEvent(4, 3)]);
    expect(state.series.step).toEqual([1, 2, 3, 4]);
    expect(state.series.seconds).toEqual([1, 2, 3.5, 5]);
    expect(state.series.tokens).toEqual([50, 100, 150, 200]);
    expect([state.validation, state.samples, state.warnings]).toEqual([[], [], []]);
    expect(state.checkpoints.map((item) => item.step)).toEqual([2]);
    expect(state.attempts).toBe(2);
    expect(state.secondsLeft).toBeCloseTo(96 * 1.5);
  });

  it("keeps what the objective says of its pairs, and a gap where it says nothing", () => {
    const plain = stepEvent(1, 1);
    const pairs = { ...stepEvent(2, 2), metrics: { "rewards/accuracies": 0.75, "rewards/margins": 1.5 } } as Event;
    const rewarded = { ...stepEvent(3, 3), metrics: { reward: 0.25 } } as Event;
    const { series } = foldEvents(emptyRun(), [started(0), plain, pairs, rewarded]);
    expect([series.accuracy, series.margin, series.reward]).toEqual([[Number.NaN, 0.75, Number.NaN], [Number.NaN, 1.5, Number.NaN], [Number.NaN, Number.NaN, 0.25]]);
  });

  it("keeps what a policy with values says of its updates", () => {
    const updated = { ...stepEvent(1, 1), metrics: { value_loss: 0.5, explained_variance: -0.25, policy_kl: 0.01, clip_share: 0.125, kl: 0.5, completion_length: 12 } } as Event;
    const { series } = foldEvents(emptyRun(), [started(0), updated, stepEvent(2, 2)]);
    expect([series.valueLoss, series.explained, series.policyKl, series.clipShare, series.kl, series.answerLength]).toEqual([[0.5, Number.NaN], [-0.25, Number.NaN], [0.01, Number.NaN], [0.125, Number.NaN], [0.5, Number.NaN], [12, Number.NaN]]);
  });

  it("forgets what it was doing when it ends or begins anew", () => {
    const doing: Event = { type: "progress", step: 0, what: "reading", done: 1, of: 4 };
    const busy = foldEvents(emptyRun(), [started(0), doing]);
    expect(busy.doing).toEqual({ what: "reading", done: 1, of: 4 });
    const error = { blame: "environment", code: "disk_full", message: "Full.", remedy: "Free space." } as const;
    for (const end of [started(0), { type: "finished", time: "t", step: 0, outcome: "stopped", seconds: 1 }, { type: "failed", time: "t", step: 0, error }] as Event[]) {
      expect(foldEvents(busy, [end]).doing).toBeUndefined();
    }
  });

  it("knows which checkpoint the result is, and the run that it forked from", () => {
    const fork: Event = { ...started(16), type: "started", forked_from: { run: "before", step: 16 } } as Event;
    const events: Event[] = [fork, stepEvent(17, 1), { type: "finished", time: "t", step: 17, outcome: "completed", seconds: 1, output: "model", best: { step: 16, loss: 2.5 }, early: true }];
    expect(foldEvents(emptyRun(), events)).toMatchObject({ phase: "completed", step: 17, best: { step: 16, loss: 2.5 }, early: true, forkedFrom: { run: "before", step: 16 } });
    const plain = foldEvents(emptyRun(), [started(0), { type: "finished", time: "t", step: 1, outcome: "completed", seconds: 1, output: "model" }]);
    expect([plain.best, plain.early, plain.forkedFrom]).toEqual([undefined, undefined, undefined]);
  });

  it("calls a stop that can be gone on from a pause", () => {
    expect((["running", "stopping", "stopped", "failed"] as const).map(phaseWord)).toEqual(["running", "pausing", "paused", "failed"]);
  });

  it("ends as its last word says, and a resume takes the error back", () => {
    const error = { blame: "environment", code: "disk_full", message: "The disk is full.", remedy: "Free some space." } as const;
    const failed = foldEvents(emptyRun(), [started(0), stepEvent(1, 1), { type: "failed", time: "t", step: 1, error }]);
    expect(failed).toMatchObject({ phase: "failed", error });
    expect(failed.secondsLeft).toBeUndefined();
    const resumed = foldEvents(failed, [started(1)]);
    expect(resumed.phase).toBe("running");
    expect([resumed.error, resumed.endedAt]).toEqual([undefined, undefined]);
    const done = foldEvents(resumed, [{ type: "finished", time: "t", step: 100, outcome: "completed", seconds: 9, output: "adapter" }]);
    expect(done).toMatchObject({ phase: "completed", output: "adapter", step: 100 });
  });
});

describe("the phase with what only the machine knows", () => {
  const running = foldEvents(emptyRun(), [started(0)]);
  it("is interrupted when the process is gone without a last word, with no time left to tell", () => {
    const going = foldEvents(running, [stepEvent(1, 1), stepEvent(2, 2)]);
    expect(going.secondsLeft).toBeDefined();
    const gone = withLiveness(going, { alive: false, stopRequested: false });
    expect([gone.phase, gone.secondsLeft]).toEqual(["interrupted", undefined]);
  });
  it("is stopping while the stop file lies there", () => {
    expect(withLiveness(running, { alive: true, stopRequested: true }).phase).toBe("stopping");
  });
  it("leaves a last word alone", () => {
    const done = foldEvents(running, [{ type: "finished", time: "t", step: 3, outcome: "stopped", seconds: 1 }]);
    expect(withLiveness(done, { alive: false, stopRequested: false }).phase).toBe("stopped");
  });
  it("says whether the run is at work, and whether it can go on", () => {
    const phases: RunPhase[] = ["waiting", "running", "stopping", "completed", "stopped", "failed", "interrupted"];
    expect(phases.filter(isLive)).toEqual(["waiting", "running", "stopping"]);
    expect(phases.filter(isResumable)).toEqual(["stopped", "failed", "interrupted"]);
  });
});

import { describe, expect, it } from "vitest";
import type { LineageGraph, LineageNode } from "../../src/protocol/lineage-panel";
import { edgePath } from "./edges";
import { beside } from "./move";

const node = (id: string): LineageNode => ({ id, kind: "file", label: id, facts: [], opens: true });
const graph: LineageGraph = { rowsIn: 1, edges: [], layers: [{ title: "files", nodes: ["a", "b", "c"].map(node) }, { title: "sources", nodes: ["s", "t"].map(node) }, { title: "mix", nodes: [node("m")] }] };

describe("the arrow keys", () => {
  it("go up and down the layers, and stay where there is nothing", () => {
    expect(beside(graph, "c", "ArrowDown")).toBe("t");
    expect(beside(graph, "t", "ArrowDown")).toBe("m");
    expect(beside(graph, "m", "ArrowUp")).toBe("s");
    expect(beside(graph, "m", "ArrowDown")).toBeUndefined();
    expect(beside(graph, "a", "ArrowUp")).toBeUndefined();
  });

  it("go left and right within one", () => {
    expect(beside(graph, "b", "ArrowLeft")).toBe("a");
    expect(beside(graph, "b", "ArrowRight")).toBe("c");
    expect(beside(graph, "a", "ArrowLeft")).toBeUndefined();
    expect(beside(graph, "a", "x")).toBeUndefined();
  });
});

describe("an edge", () => {
  const at = (left: number, top: number) => ({ left, top, width: 100, height: 40 });

  it("leaves below and arrives above", () => expect(edgePath(at(0, 0), at(200, 80))).toBe("M 50 40 C 50 60 250 60 250 80"));

  it("is a straight line between neighbours, from whichever side", () => {
    expect(edgePath(at(0, 0), at(200, 0))).toBe("M 100 20 L 200 20");
    expect(edgePath(at(200, 0), at(0, 10))).toBe("M 200 25 L 100 25");
  });
});

import type { LineageGraph } from "../../src/protocol/lineage-panel";

/** The node that an arrow key leads to: up and down the layers, left and right within one. */
export function beside({ layers }: LineageGraph, id: string, key: string): string | undefined {
  const layer = layers.findIndex(({ nodes }) => nodes.some((node) => node.id === id));
  const nodes = layers[layer]?.nodes ?? [];
  const at = nodes.findIndex((node) => node.id === id);
  const into = (other: number): string | undefined => {
    const found = layers[other]?.nodes;
    return found?.[Math.min(at, found.length - 1)]?.id;
  };
  switch (key) {
    case "ArrowUp":
      return into(layer - 1);
    case "ArrowDown":
      return into(layer + 1);
    case "ArrowLeft":
      return nodes[at - 1]?.id;
    case "ArrowRight":
      return nodes[at + 1]?.id;
    default:
      return undefined;
  }
}

/** A node's place, in pixels of the graph. */
export interface Box {
  left: number;
  top: number;
  width: number;
  height: number;
}

/** A curve from one node's lower edge to another's upper one; between neighbours of a layer, a line from side to side. */
export function edgePath(from: Box, to: Box): string {
  const overlap = Math.min(from.top + from.height, to.top + to.height) - Math.max(from.top, to.top);
  if (overlap > 0) {
    const leftwards = from.left > to.left;
    const [x0, x1] = leftwards ? [from.left, to.left + to.width] : [from.left + from.width, to.left];
    const y = Math.max(from.top, to.top) + overlap / 2;
    return `M ${round(x0)} ${round(y)} L ${round(x1)} ${round(y)}`;
  }
  const [x0, y0] = [from.left + from.width / 2, from.top + from.height];
  const [x1, y1] = [to.left + to.width / 2, to.top];
  const middle = (y0 + y1) / 2;
  return `M ${round(x0)} ${round(y0)} C ${round(x0)} ${round(middle)} ${round(x1)} ${round(middle)} ${round(x1)} ${round(y1)}`;
}

function round(value: number): number {
  return Math.round(value * 10) / 10;
}

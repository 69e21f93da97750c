/** Draws the report's curves; runs inside the written HTML file, not in VS Code. */
import uPlot from "uplot";
import "uplot/dist/uPlot.min.css";
import "./report.css";

interface Chart {
  name: string;
  step: number[];
  loss: number[];
  smoothed: number[];
  validation: { step: number; loss: number }[];
}

const charts = JSON.parse(document.getElementById("charts")?.textContent ?? "[]") as Chart[];
for (const chart of charts) {
  const host = document.querySelector<HTMLElement>(`[data-chart="${CSS.escape(chart.name)}"]`);
  if (host) draw(host, chart);
}

function draw(host: HTMLElement, chart: Chart): void {
  const style = getComputedStyle(document.documentElement);
  const color = (name: string): string => style.getPropertyValue(name).trim();
  const steps = [...new Set([...chart.step, ...chart.validation.map((point) => point.step)])].sort((a, b) => a - b);
  const at = (keys: number[], values: number[]): (number | null)[] => {
    const map = new Map(keys.map((key, index) => [key, values[index] ?? null]));
    return steps.map((step) => map.get(step) ?? null);
  };
  const axis = { stroke: color("--muted"), grid: { stroke: color("--line"), width: 1 }, ticks: { stroke: color("--line"), width: 1 } };
  const plot = new uPlot(
    {
      width: host.clientWidth,
      height: 260,
      scales: { x: { time: false } },
      axes: [{ ...axis, label: "step" }, { ...axis, label: "loss (nats/token)", size: 60 }],
      series: [
        { label: "step" },
        { label: "train", stroke: color("--faint"), width: 1, spanGaps: true },
        { label: "smoothed", stroke: color("--accent"), width: 2, spanGaps: true },
        { label: "validation", stroke: color("--warn"), width: 2, spanGaps: true, points: { show: true, size: 6 } },
      ],
    },
    [steps, at(chart.step, chart.loss), at(chart.step, chart.smoothed), at(chart.validation.map((p) => p.step), chart.validation.map((p) => p.loss))],
    host,
  );
  new ResizeObserver(() => plot.setSize({ width: host.clientWidth, height: 260 })).observe(host);
}

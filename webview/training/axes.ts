import { formatCount, formatDuration, formatScaled } from "../shared/format";

/** What curves are drawn over. */
export const X = {
  step: { label: "step", format: formatCount },
  tokens: { label: "tokens", format: formatScaled },
  seconds: { label: "time", format: formatDuration },
} as const;

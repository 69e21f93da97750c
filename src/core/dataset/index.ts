export { parseEvalPrompts, type EvalPrompt } from "./eval-prompts";
export { detectShape, shapeColumns, type BuildShape, type ShapeColumns } from "./shape";
export * from "./guards";
export { niceBins, niceStep, type Bins } from "./bins";

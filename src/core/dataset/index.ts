export { parseEvalPrompts, type EvalPrompt } from "./eval-prompts";
export { buildShapes, detectShape, isBuildShape, ownColumns, shapeColumns, shapeTexts, type BuildShape, type OwnColumn, type ShapeColumns } from "./shape";
export * from "./guards";
export { niceBins, niceStep, type Bins } from "./bins";
export { messagesText, wholeText } from "./text-sql";

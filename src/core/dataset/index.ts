export { parseEvalPrompts, type EvalPrompt } from "./eval-prompts";
export { detect, detectShape, familyOf, type Detected } from "./detect";
export { buildShapes, isBuildShape, knownColumns, ownColumns, rolesOf, shapeColumns, shapeTexts, type BuildShape, type ColumnHolds, type Holds, type OwnColumn, type ShapeColumns } from "./shape";
export { isSourceShape, readingText, shapeRoles, type ShapeRole, type SourceShape } from "./mapping";
export * from "./guards";
export { niceBins, niceStep, type Bins } from "./bins";
export { messagesText, wholeText } from "./text-sql";

import { shapeTexts, type BuildShape, type OwnColumn } from "./shape";

const turns = `'[{"role":"VARCHAR","content":"VARCHAR"}]'`;

/** The contents of a conversation in JSON, one below the other. */
export function messagesText(messages: string): string {
  return `array_to_string(list_transform(from_json(${messages}, ${turns}), lambda m: m.content), chr(10))`;
}

/** The whole text of rows of a shape as SQL, from the columns under other names where they have others. */
export function wholeText(shape: BuildShape, column: (own: OwnColumn) => string = (own) => own): string {
  const text = (own: OwnColumn) => (shape === "chat" || shape === "preference/chat" ? messagesText(column(own)) : column(own));
  return shapeTexts[shape].map(text).join(" || chr(10) || ");
}

/** The panels' numbers are those of the editor and the terminal. */
export * from "../../src/core/format";

import { TillageError } from "../protocol/errors";

/** A whole number that an option was given; undefined where it was not given. */
export function whole(flag: string, given: string | undefined, least = 1): number | undefined {
  if (given === undefined) return undefined;
  const number = Number(given);
  if (given.trim() !== "" && Number.isInteger(number) && number >= least) return number;
  throw TillageError.user("bad_arguments", `${flag} cannot be '${given}'.`, `Give a whole number, ${least} or more.`);
}
